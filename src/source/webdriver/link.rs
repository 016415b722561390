//! [`Link`]: a session with one tab, and the round trips on it.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fantoccini::Client;
use fantoccini::error::CmdError;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::attach::Visit;
use super::driver::OwnedBrowser;
use super::envelope::{Envelope, NO_ANSWER, Text};
use super::error::{CONNECTION_LOST, WRONG_ORIGIN, command};
use super::evaluate::evaluate;
use super::probe::Scripts;
use super::session::{SCRIPT_TIMEOUT, Session, Wire};
use super::target::Target;
use crate::failure::{ProtocolFailure, Site};

/// Longest time for tidying up a page that may be stuck.
const TIDYING: Duration = Duration::from_secs(1);

/// How long a browser of ours may take to close by itself.
const POLITE: Duration = Duration::from_secs(2);

/// How long the end of a session may take in the background, for instance of one whose page is stuck.
const FAREWELL: Duration = Duration::from_secs(60);

/// Pause between the looks within a slice, which find what no event tells.
const PACE: Duration = Duration::from_millis(50);

/// The same where the page's storage and socket are both heard.
const EASY_PACE: Duration = Duration::from_millis(100);

/// For how long a page that did not end a script by itself is looked at from outside.
const MISTRUST: Duration = Duration::from_secs(5);

pub(super) type Answer = Result<Arc<Envelope>, ProtocolFailure>;

/// A session with one tab: whose it is, and the way to it.
pub(super) struct Link {
    pub(super) target: Target,
    wire: Mutex<Wire>,
    /// The session, where it is ours to end and to reconnect.
    session: Option<Session>,
    /// Whose guest we are, where the browser is somebody else's.
    visit: Option<Visit>,
    browser: Mutex<Option<OwnedBrowser>>,
    /// How often the wire was replaced because a command held it up.
    replaced: AtomicU32,
    /// It was closed by us: what is lost from then on is no fault of the browser's.
    is_closed: AtomicBool,
    /// Neither slices nor, by a guest, ChromeDriver's own way of running scripts are used until then.
    mistrusted_until: Mutex<Option<Instant>>,
    /// The last answer, unless it was a failure.
    seen: Mutex<Option<Arc<Envelope>>>,
}

impl Link {
    pub(super) fn new(
        wire: Wire,
        target: Target,
        session: Option<Session>,
        visit: Option<Visit>,
    ) -> Self {
        Self {
            target,
            wire: Mutex::new(wire),
            session,
            visit,
            browser: Mutex::default(),
            replaced: AtomicU32::new(0),
            is_closed: AtomicBool::new(false),
            mistrusted_until: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// From now on the browser ends with the link.
    pub(super) fn owns(&self, browser: Option<OwnedBrowser>) {
        *lock(&self.browser) = browser;
    }

    pub(super) const fn is_ours(&self) -> bool {
        self.session.is_some()
    }

    /// Whether a wait may hold the session for a slice. In a caller's session time-outs are not ours
    /// to know: there a slice could outlive a navigation by half a minute.
    pub(super) fn takes_slices(&self) -> bool {
        self.is_ours() && !self.is_mistrusted()
    }

    fn is_mistrusted(&self) -> bool {
        lock(&self.mistrusted_until).is_some_and(|until| Instant::now() < until)
    }

    fn mistrust(&self) {
        *lock(&self.mistrusted_until) = Some(Instant::now() + MISTRUST);
    }

    /// Runs a script of one turn. A page that has replaced what ChromeDriver's wrapper needs is read
    /// past it: by a guest, who has swept the driver's own copies away, and where a page's `toJSON`
    /// spoils its answers.
    async fn run(&self, client: &Client, script: &str) -> Result<Value, CmdError> {
        if self.visit.is_some() && self.is_mistrusted() {
            return past_the_driver(client, script).await;
        }
        let start = Instant::now();
        match client.execute(script, Vec::new()).await {
            Err(error)
                if self.is_ours() && (error.is_script_timeout() || error.is_unknown_error()) =>
            {
                // In less time the page was only left.
                if error.is_script_timeout() && start.elapsed() >= SCRIPT_TIMEOUT {
                    self.mistrust();
                }
                // The first error names the reason.
                past_the_driver(client, script).await.map_err(|_| error)
            }
            answer => answer,
        }
    }

    /// What the page showed last: a slice can go on from there, since the page itself tells at once
    /// if that holds no more.
    pub(super) fn seen(&self) -> Option<Arc<Envelope>> {
        lock(&self.seen).clone().filter(|_| self.takes_slices())
    }

    /// Takes out what the driver put into the page of our host.
    pub(super) async fn tidy(&self) -> Result<(), ProtocolFailure> {
        let tidied = past_the_driver(&self.client(), &self.scripts().tidy).await;
        tidied.map(drop).map_err(|error| command(&error))
    }

    /// Ends a session of ours, and its browser with it. Waits for what a healthy one takes; what
    /// takes longer goes on in the background.
    pub(super) async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let browser = lock(&self.browser).take();
        if let Some(farewell) = self.farewell(browser) {
            let _ = timeout(TIDYING + POLITE, tokio::spawn(farewell)).await;
        }
    }

    /// The same for a destructor: at once, and in the background.
    pub(super) fn end(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // The browser first: a session with a stuck page would not end otherwise.
        drop(lock(&self.browser).take());
        match (Handle::try_current(), self.farewell(None)) {
            (Ok(runtime), Some(farewell)) => drop(runtime.spawn(farewell)),
            _ => lock(&self.wire).cut(),
        }
    }

    /// One look: every reader in one round trip.
    pub(super) async fn look(&self) -> Answer {
        let mut answer = self.probe().await;
        if let (Err(failure), Some(visit)) = (&answer, &self.visit)
            && let Some("no such window" | WRONG_ORIGIN | NO_ANSWER) = failure.code()
        {
            // A guest's tab is gone: another one may have come in its place.
            match visit.follow(&self.client()).await {
                Ok(true) => answer = self.probe().await,
                Ok(false) => {}
                Err(several) => answer = Err(several),
            }
        }
        self.note(answer)
    }

    fn note(&self, answer: Answer) -> Answer {
        *lock(&self.seen) = answer.as_ref().ok().cloned();
        // Of a browser of ours it is known why its page has gone, whatever the driver says.
        let browser = lock(&self.browser);
        let is_dead = browser.as_ref().is_some_and(|browser| !browser.is_alive());
        answer.map_err(|failure| {
            if !is_dead {
                return failure;
            }
            let text = "the browser has ended";
            let end = ProtocolFailure::new(Site::WebDriverCommand, text);
            end.with_code("chrome not reachable").caused_by(failure)
        })
    }

    /// One round trip.
    async fn probe(&self) -> Answer {
        let before = self.replaced.load(Ordering::Relaxed);
        let (script, client) = (&self.scripts().probe, self.client());
        let mut answer = self.run(&client, script).await;
        if matches!(answer, Ok(Value::Null)) {
            // The first command after a tab has closed gives null; the next one tells.
            answer = self.run(&client, script).await;
        }
        self.read(answer.map_err(|error| self.reason(&error, before))?)
    }

    /// One slice: the first envelope with another mark, or what there is when it is over.
    pub(super) async fn slice(&self, known: &Arc<Envelope>, length: Duration) -> Answer {
        let before = self.replaced.load(Ordering::Relaxed);
        let start = Instant::now();
        let millis = |time: Duration| json!(time.as_secs_f64() * 1000.0);
        let mut arguments = vec![json!(known.mark)];
        arguments.extend([length, PACE, EASY_PACE].map(millis));
        let answer = self
            .client()
            .execute_async(&self.scripts().watch, arguments)
            .await;
        // Whatever else has ended it, a look tells more of what is there now.
        match answer {
            Ok(answer) if !answer.is_null() => self.note(self.read(answer)),
            Ok(_) => self.look().await,
            Err(error) => {
                // Its timers do not run: the page is busy, or has replaced them. In the background
                // they may not run either, but there its events are heard until then. In less time
                // than the time-out it was only left.
                if error.is_script_timeout()
                    && start.elapsed() >= SCRIPT_TIMEOUT
                    && !known.is_hidden
                {
                    self.mistrust();
                }
                match self.look().await {
                    // Only the first command after a browser's end names the reason.
                    Err(later) if later.code() == Some("invalid session id") => {
                        Err(self.reason(&error, before))
                    }
                    answer => answer,
                }
            }
        }
    }

    /// Why a command failed: where its wire was cut because it took too long, that is why.
    fn reason(&self, error: &CmdError, before: u32) -> ProtocolFailure {
        let failure = command(error);
        if failure.code() != Some(CONNECTION_LOST) {
            return failure;
        }
        if self.is_closed.load(Ordering::Relaxed) {
            let text = "the page was closed by its owner";
            return ProtocolFailure::new(Site::WebDriverCommand, text).with_code("no such window");
        }
        if self.replaced.load(Ordering::Relaxed) != before {
            let text = "the page or its driver took too long to answer a look";
            return ProtocolFailure::new(Site::WebDriverCommand, text).with_code("timeout");
        }
        failure
    }

    /// Gives up what is under way on the wire, where the session is ours, and takes another one.
    pub(super) async fn replace_wire(&self) -> Result<(), ProtocolFailure> {
        if let Some(session) = self
            .session
            .as_ref()
            .filter(|_| !self.is_closed.load(Ordering::Relaxed))
        {
            let wire = session.reconnect().await?;
            self.replaced.fetch_add(1, Ordering::Relaxed);
            *lock(&self.wire) = wire;
        }
        Ok(())
    }

    fn read(&self, answer: Value) -> Answer {
        let envelope = Envelope::read(answer)?;
        let origin = envelope.origin.as_ref().and_then(Text::as_str);
        if origin != Some(self.target.origin()) {
            let text = format!(
                "the page is not at {} now; it may be loading, or has moved",
                self.target.origin()
            );
            return Err(ProtocolFailure::new(Site::Script, text).with_code(WRONG_ORIGIN));
        }
        Ok(Arc::new(envelope))
    }

    fn scripts(&self) -> &'static Scripts {
        if self.visit.is_some() {
            Scripts::TIDY
        } else {
            Scripts::PLAIN
        }
    }

    pub(super) fn client(&self) -> Client {
        lock(&self.wire).client()
    }

    /// Ends the session, if it is ours, then this browser, then what is still under way.
    fn farewell(
        &self,
        browser: Option<OwnedBrowser>,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (session, wire) = (self.session.clone()?, lock(&self.wire).clone());
        let tidy = self.visit.is_some().then_some(&self.scripts().tidy);
        Some(async move {
            if let Some(tidy) = tidy {
                let _ = timeout(TIDYING, past_the_driver(&wire.client(), tidy)).await;
            }
            // A command that is stuck would hold this one up on the wire it came by.
            if let Ok(last) = session.reconnect().await {
                let client = last.client();
                let mut goodbye = pin!(client.close());
                let is_over = timeout(POLITE, goodbye.as_mut()).await.is_ok();
                drop(browser);
                if !is_over {
                    let _ = timeout(FAREWELL, goodbye).await;
                }
            }
            wire.cut();
        })
    }
}

/// Runs a script past ChromeDriver's own wrapper, where the server lets us.
async fn past_the_driver(client: &Client, script: &str) -> Result<Value, CmdError> {
    match evaluate(client, script).await {
        Err(error) if error.is_unknown_command() || error.is_unknown_method() => {
            client.execute(script, Vec::new()).await
        }
        answer => answer,
    }
}

/// Locks; a panic elsewhere does not matter to what is kept here.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
