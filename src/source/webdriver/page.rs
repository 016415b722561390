//! [`Page`]: one tab, and who holds it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fantoccini::Client;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::attach::{AttachOptions, Visit};
use super::devtools::DebuggerAddress;
use super::driver::{DriverProcess, OwnedBrowser};
use super::envelope::{Envelope, NO_ANSWER};
use super::error::{MISCONFIGURED, WRONG_ORIGIN, command};
use super::open::OpenOptions;
use super::probe::Scripts;
use super::session::{Session, Wire};
use super::target::Target;
use crate::failure::{ProtocolFailure, Site};

/// Longest time that the end of a session of ours is given before it is left to itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Longest slice of a wait: for so long at most the driver is not free for another command. Shorter
/// than the script timeout of a session, which ends a slice where the page's own timers do not.
const SLICE: Duration = Duration::from_millis(400);

/// Pause between the looks within a slice, which find what no event tells.
const PACE: Duration = Duration::from_millis(25);

/// Pause between looks from outside, where slices do not work.
const OUTER_PACE: Duration = Duration::from_millis(50);

/// For how long a page whose slice did not end by itself is looked at from outside.
const MISTRUST: Duration = Duration::from_secs(5);

/// One WhatsApp Web page, to be read by [`WebDriverSource`](super::WebDriverSource)s. Cheap to
/// clone; all clones and all their sources share one WebDriver session, and looks that come
/// together share one round trip.
///
/// | made by | whose browser | when the last clone is dropped |
/// |---|---|---|
/// | [`open`](Self::open), [`open_at`](Self::open_at) | ours | the browser ends |
/// | [`attach`](Self::attach), [`attach_at`](Self::attach_at) | somebody else's | only our session with it ends; no window is closed |
/// | [`from_client`](Self::from_client) | the caller's, and the session too | nothing |
#[derive(Clone)]
pub struct Page(Arc<Inner>);

type Answer = Result<Arc<Envelope>, ProtocolFailure>;
type Flight = Shared<BoxFuture<'static, Answer>>;
type WeakFlight = WeakShared<BoxFuture<'static, Answer>>;

/// What is under way on the session. Held weakly: it ends when nobody waits for it any more.
#[derive(Default)]
struct UnderWay {
    look: Option<WeakFlight>,
    /// A slice, and the envelope that it watches for a change of.
    slice: Option<(Arc<Envelope>, WeakFlight)>,
    /// Slices are not used until then.
    mistrusted_until: Option<Instant>,
}

struct Inner {
    target: Target,
    wire: Mutex<Wire>,
    /// The session, where it is ours to end and to reconnect.
    session: Option<Session>,
    /// Whose guest we are, where the browser is somebody else's.
    visit: Option<Visit>,
    browser: Mutex<Option<OwnedBrowser>>,
    /// A command is under way. Still true when a look begins: that command was given up.
    is_busy: AtomicBool,
    under_way: Mutex<UnderWay>,
}

impl Page {
    /// Opens a browser of our own on this ChromeDriver, and in it the page. The browser ends with
    /// the last clone of the page, or with the driver.
    ///
    /// Runs in a task of its own: when it is dropped, or its deadline is over, what has been
    /// started by then is ended in the background.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when the options contradict each other, the browser cannot start, or the
    /// page ends up at another origin; `ambiguous_tab` when several tabs are at that origin;
    /// `timeout` when the deadline is over; else what the driver said.
    pub async fn open(
        driver: &DriverProcess,
        options: OpenOptions,
    ) -> Result<Self, ProtocolFailure> {
        let browsers = driver.browsers().clone();
        let url = driver.url().to_owned();
        options
            .start(url, move |client| {
                let given = client.capabilities();
                let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
                let pid = given.and_then(|given| given.get("goog:processID")?.as_u64());
                let profile = given.and_then(|given| text(given.get("chrome")?.get("userDataDir")));
                let pid = pid.and_then(|pid| u32::try_from(pid).ok()).ok_or_else(|| {
                    let text = "the driver does not name its browser's process, so it could not be ended; use ChromeDriver";
                    ProtocolFailure::new(Site::WebDriverCommand, text).with_code(MISCONFIGURED)
                })?;
                browsers.adopt(pid, profile.as_deref().map(Path::new)).map(Some)
            })
            .await
    }

    /// Opens a browser on a WebDriver server that runs elsewhere, such as a Selenium Grid, and in it
    /// the page. The session is ended with the last clone of the page.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); code `misconfigured` also when no WebDriver server answers.
    pub async fn open_at(webdriver: &str, options: OpenOptions) -> Result<Self, ProtocolFailure> {
        options.start(webdriver.to_owned(), |_| Ok(None)).await
    }

    /// Joins a Chrome that somebody else started and still drives, for instance with Puppeteer,
    /// through a ChromeDriver of ours. The tab is found without touching the others, and is switched
    /// to only if it is not the driver's current one already. Nothing of ours stays in its page: the
    /// `cdc_*` globals that ChromeDriver puts there are taken out, dialogs are left alone.
    ///
    /// When the tab is closed or moves to another origin, and another one has come up at the
    /// target's origin, that one is read from then on.
    ///
    /// What ChromeDriver does and we cannot avoid: it marks the other tabs with its `cdc_*` globals,
    /// and brings a background tab to the front when it has to switch to it.
    ///
    /// Runs in a task of its own, since a crashed tab can hold ChromeDriver for 90 seconds.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when no Chrome answers at the address (told within two seconds) or none
    /// of its tabs matches; `ambiguous_tab` when several do; `timeout` when the deadline is over;
    /// else what the driver said.
    pub async fn attach(
        driver: &DriverProcess,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        options.start(driver.url().to_owned(), address).await
    }

    /// [`attach`](Self::attach) through a WebDriver server that runs elsewhere. The address is as
    /// that server sees it; where the server is not on this machine, only it can find the tab, by
    /// switching to each in turn.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); code `misconfigured` also when no WebDriver server answers.
    pub async fn attach_at(
        webdriver: &str,
        address: DebuggerAddress,
        options: AttachOptions,
    ) -> Result<Self, ProtocolFailure> {
        options.start(webdriver.to_owned(), address).await
    }

    /// Reads the current window of a client of the caller's. Never switches, navigates, closes or
    /// changes time-outs; and as long as the window is not at the target's origin, never believes
    /// it.
    ///
    /// Leave the client's current window alone while sources read this page.
    #[must_use]
    pub fn from_client(client: Client, target: Target) -> Self {
        Self::new(client.into(), target, None, None)
    }

    pub(super) fn new(
        wire: Wire,
        target: Target,
        session: Option<Session>,
        visit: Option<Visit>,
    ) -> Self {
        Self(Arc::new(Inner {
            target,
            wire: Mutex::new(wire),
            session,
            visit,
            browser: Mutex::default(),
            is_busy: AtomicBool::new(false),
            under_way: Mutex::default(),
        }))
    }

    /// From now on the browser ends with the page.
    pub(super) fn owns(&self, browser: Option<OwnedBrowser>) {
        *lock(&self.0.browser) = browser;
    }

    /// Takes out what the driver put into the page of our host.
    pub(super) async fn tidy(&self) -> Result<(), ProtocolFailure> {
        let tidied = self
            .client()
            .execute(&self.0.scripts().tidy, Vec::new())
            .await;
        tidied.map(drop).map_err(|error| command(&error))
    }

    /// Ends a session of ours, and the browser if it is ours too: lets it close, for five seconds at
    /// most, and ends it by force if it has not. A caller's client is only let go. Other clones of
    /// this page, and their sources, can read nothing from then on.
    pub async fn close(self) {
        if let Some(farewell) = self.0.farewell() {
            let _ = timeout(FAREWELL, farewell).await;
            drop(lock(&self.0.browser).take());
        }
    }

    /// The page's WebDriver client, for whatever the caller wants to do with a page of ours: take a
    /// screenshot, show the QR code. Commands of one session run one at a time. Take it anew for
    /// each use: when a look is given up, it ends and another one takes its place.
    ///
    /// After [`close`](Self::close) every command fails.
    #[must_use]
    pub fn client(&self) -> Client {
        self.0.client()
    }

    /// Which tab this is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// One look: every reader in one round trip. Looks that come while one is under way join it.
    pub(super) async fn look(&self) -> Answer {
        let flight = {
            let mut under_way = lock(&self.0.under_way);
            let current = under_way.look.as_ref().and_then(current);
            current.unwrap_or_else(|| {
                let inner = Arc::clone(&self.0);
                let new = async move { inner.look().await }.boxed().shared();
                under_way.look = new.downgrade();
                new
            })
        };
        flight.await
    }

    /// What the page shows now: where a slice is under way, what it has found no change of.
    pub(super) async fn now(&self) -> Answer {
        let watched = {
            let under_way = lock(&self.0.under_way);
            let slice = under_way.slice.as_ref();
            slice.and_then(|(known, flight)| current(flight).map(|_| Arc::clone(known)))
        };
        match watched {
            Some(known) => Ok(known),
            None => self.look().await,
        }
    }

    /// The next envelope that differs from this one, or whatever there is when a slice is over,
    /// `end` at the latest. Waits that come together share one slice.
    pub(super) async fn change(&self, known: &Arc<Envelope>, end: Instant) -> Answer {
        let left = end.saturating_duration_since(Instant::now());
        let Some(flight) = self.slice(known, left.min(SLICE)) else {
            sleep(left.min(OUTER_PACE)).await;
            return self.look().await;
        };
        flight.await
    }

    /// The slice under way, or a new one; `None` where there is none to be had.
    fn slice(&self, known: &Arc<Envelope>, length: Duration) -> Option<Flight> {
        let mut under_way = lock(&self.0.under_way);
        if let Some(flight) = under_way
            .slice
            .as_ref()
            .and_then(|(_, flight)| current(flight))
        {
            return Some(flight);
        }
        let is_mistrusted = under_way
            .mistrusted_until
            .is_some_and(|until| Instant::now() < until);
        // A caller's session has time-outs that are not ours to know: a slice could outlive a
        // navigation in it by half a minute.
        if self.0.session.is_none() || is_mistrusted {
            return None;
        }
        let (inner, base) = (Arc::clone(&self.0), Arc::clone(known));
        let new = async move { inner.slice(&base, length).await }
            .boxed()
            .shared();
        under_way.slice = new.downgrade().map(|weak| (Arc::clone(known), weak));
        Some(new)
    }
}

/// The flight, unless it has landed or nobody waits for it.
fn current(flight: &WeakFlight) -> Option<Flight> {
    flight.upgrade().filter(|flight| flight.peek().is_none())
}

impl Inner {
    async fn look(&self) -> Answer {
        match self.probe().await {
            Err(failure) => match self.moved(&failure).await {
                true => self.probe().await,
                false => Err(failure),
            },
            answer => answer,
        }
    }

    /// One round trip.
    async fn probe(&self) -> Answer {
        let script = &self.scripts().probe;
        let client = self.fresh_client().await?;
        self.is_busy.store(true, Ordering::Relaxed);
        let mut answer = client.execute(script, Vec::new()).await;
        if matches!(answer, Ok(Value::Null)) {
            // The first command after a tab has closed gives null; the next one tells.
            answer = client.execute(script, Vec::new()).await;
        }
        self.is_busy.store(false, Ordering::Relaxed);
        self.read(answer.map_err(|error| command(&error))?)
    }

    async fn slice(&self, known: &Arc<Envelope>, length: Duration) -> Answer {
        let client = self.fresh_client().await?;
        let millis = |time: Duration| json!(time.as_secs_f64() * 1000.0);
        let arguments = vec![json!(known.mark), millis(length), millis(PACE)];
        self.is_busy.store(true, Ordering::Relaxed);
        let answer = client.execute_async(&self.scripts().watch, arguments).await;
        self.is_busy.store(false, Ordering::Relaxed);
        match answer {
            Ok(answer) if !answer.is_null() => self.read(answer),
            // The page was left, or its timers do not run: it is hidden, busy, or has replaced them.
            Err(error) if error.is_script_timeout() => {
                lock(&self.under_way).mistrusted_until = Some(Instant::now() + MISTRUST);
                self.look().await
            }
            // Whatever ended it, a look can tell more of what is there now.
            Ok(_) | Err(_) => self.look().await,
        }
    }

    fn read(&self, answer: Value) -> Answer {
        let envelope = Envelope::read(answer)?;
        let origin = envelope
            .origin
            .as_ref()
            .and_then(super::envelope::Text::as_str);
        if origin != Some(self.target.origin()) {
            let text = format!(
                "the page is not at {} now; it may be loading, or has moved",
                self.target.origin()
            );
            return Err(ProtocolFailure::new(Site::Script, text).with_code(WRONG_ORIGIN));
        }
        Ok(Arc::new(envelope))
    }

    /// Whether a guest's tab is gone, and another one in its place has been turned to.
    async fn moved(&self, failure: &ProtocolFailure) -> bool {
        let is_gone = matches!(
            failure.code(),
            Some("no such window" | WRONG_ORIGIN | NO_ANSWER)
        );
        match &self.visit {
            Some(visit) if is_gone => visit.select(&self.client()).await.is_ok(),
            _ => false,
        }
    }

    fn scripts(&self) -> &'static Scripts {
        if self.visit.is_some() {
            Scripts::TIDY
        } else {
            Scripts::PLAIN
        }
    }

    fn client(&self) -> Client {
        lock(&self.wire).client()
    }

    /// The client; a new one in place of one whose last command was given up, where the session is
    /// ours: a command of the old one may hold its connection for long.
    async fn fresh_client(&self) -> Result<Client, ProtocolFailure> {
        let was_given_up = self.is_busy.swap(false, Ordering::Relaxed);
        if let Some(session) = self.session.as_ref().filter(|_| was_given_up) {
            let wire = session.reconnect().await?;
            *lock(&self.wire) = wire;
        }
        Ok(self.client())
    }

    /// Ends the session, if it is ours; for the caller to give it time.
    fn farewell(&self) -> Option<impl Future<Output = ()> + use<>> {
        self.session.as_ref()?;
        let wire = lock(&self.wire).clone();
        let tidy = self.visit.is_some().then_some(&self.scripts().tidy);
        Some(async move {
            // The wire is held until the end: it would cut these commands short.
            let client = wire.client();
            if let Some(tidy) = tidy {
                let _ = client.execute(tidy, Vec::new()).await;
            }
            let _ = client.close().await;
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The browser first: a session with a stuck page would not end otherwise.
        drop(lock(&self.browser).take());
        if let Ok(runtime) = Handle::try_current()
            && let Some(farewell) = self.farewell()
        {
            runtime.spawn(timeout(FAREWELL, farewell));
        }
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("target", &self.0.target)
            .field("is_ours", &self.0.session.is_some())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
