//! [`Tab`]: a session with one tab, and the round trips on it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fantoccini::Client;
use fantoccini::error::CmdError;
use serde_json::Value;
use tokio::time::Instant;

use super::connection::Connection;
use super::driver::OwnedBrowser;
use super::error::command;
use super::evaluate::evaluate;
use super::push::{Push, Socket};
use super::session::{SCRIPT_TIMEOUT, Session};
use crate::failure::{ProtocolFailure, Site};
use crate::source::PageState;
use crate::source::page::command::{Command, CommandResult};
use crate::source::page::decision::Observation;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::envelope::Envelope;
use crate::source::page::error::{LookError, LookErrorKind};
use crate::source::page::finder::TabFinder;
use crate::source::page::lock::lock;
use crate::source::page::record::{self, Record};
use crate::source::page::scripts::{Extra, Kind, Scripts, wait_arguments};
use crate::source::page::target::Target;
use crate::source::page::version::MAX_VERSION;
use crate::text::clean;

/// The owner of the session and its browser.
pub(super) enum Owner {
    /// The caller, both: only reading is allowed.
    Caller,
    /// The session is ours, the browser is another program's.
    Attached { session: Session, finder: TabFinder },
    /// Both are ours.
    Opened { session: Session },
}

/// A session with one tab.
pub(super) struct Tab {
    pub(super) target: Target,
    owner: Owner,
    /// The versions of the WebDriver server and the browser, as the new session reported them.
    pub(super) versions: (Option<String>, Option<String>),
    /// `None`: every wait uses WebDriver commands.
    pub(super) push: Option<Push>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) connection: Connection,
    /// The browser, if this crate started both it and its driver.
    pub(super) browser: Option<OwnedBrowser>,
    /// The number of times that the connection was replaced because a command blocked it.
    pub(super) reconnects: u32,
    /// The caller has closed the page, so failures are not the browser's.
    pub(super) is_closed: bool,
    pub(super) record: Record,
    /// The look that runs, or ran last.
    pub(super) look: Option<Command>,
}

impl Tab {
    pub(super) fn new(
        connection: Connection,
        target: Target,
        owner: Owner,
        browser: Option<OwnedBrowser>,
        debugger: Option<DebuggerAddress>,
    ) -> Self {
        let versions = versions(&connection.client());
        let state = State {
            connection,
            browser,
            reconnects: 0,
            is_closed: false,
            record: Record::new(),
            look: None,
        };
        Self {
            target,
            owner,
            versions,
            push: Push::new(debugger),
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn client(&self) -> Client {
        self.state().connection.client()
    }

    pub(super) const fn session(&self) -> Option<&Session> {
        match &self.owner {
            Owner::Caller => None,
            Owner::Attached { session, .. } | Owner::Opened { session } => Some(session),
        }
    }

    pub(super) const fn finder(&self) -> Option<&TabFinder> {
        match &self.owner {
            Owner::Attached { finder, .. } => Some(finder),
            Owner::Caller | Owner::Opened { .. } => None,
        }
    }

    /// Returns whether session and browser are ours.
    pub(super) const fn is_opened(&self) -> bool {
        matches!(self.owner, Owner::Opened { .. })
    }

    pub(super) fn kind(&self) -> Kind {
        Kind {
            is_tidy: self.finder().is_some(),
            keeps_slice: self.waits_by_socket(),
        }
    }

    /// Returns whether a wait may run on the page's own socket, where it occupies nothing.
    pub(super) fn waits_by_socket(&self) -> bool {
        self.push.as_ref().is_some_and(Push::is_open)
    }

    /// Returns the socket for a wait; `None` if waits have to use WebDriver commands.
    pub(super) async fn socket(&self) -> Option<Socket> {
        match &self.push {
            Some(push) if self.uses_slices() => push.socket(&self.client()).await,
            _ => None,
        }
    }

    /// Returns whether a wait may occupy the session for a slice. A caller's session has timeouts that we do
    /// not know: there a slice could outlive a navigation by half a minute.
    pub(super) fn uses_slices(&self) -> bool {
        self.session().is_some() && !self.state().record.avoids_slices()
    }

    /// Returns the last observation, from which a slice can continue: the page reports at once if it has changed.
    pub(super) fn last(&self) -> Option<Arc<Observation>> {
        let last = self.state().record.last.clone();
        last.filter(|_| self.uses_slices())
    }

    pub(super) fn page_state(&self) -> Option<PageState> {
        self.state().record.page_state
    }

    pub(super) fn document(&self) -> Option<String> {
        self.state().record.document().map(str::to_owned)
    }

    /// Looks once, with every reader in one round trip.
    pub(super) async fn look(&self) -> CommandResult {
        let outcome = self.read(Extra::None).await;
        self.observe(outcome)
    }

    /// Looks once, with the details of a diagnosis.
    pub(super) async fn look_in_detail(&self) -> CommandResult {
        let outcome = self.read(Extra::Details).await;
        self.observe(outcome)
    }

    /// Runs one slice: returns the first observation with another mark, or the present one at its end.
    pub(super) async fn slice(
        &self,
        known: &Observation,
        length: Duration,
        socket: Option<&Socket>,
    ) -> CommandResult {
        let outcome = match socket {
            Some(socket) => self.wait_by_socket(socket, known.envelope(), length).await,
            None => self.read_slice(known.envelope(), length).await,
        };
        self.observe(outcome)
    }

    /// Adds a look to the page's history.
    pub(super) fn observe(&self, outcome: Result<Envelope, LookError>) -> CommandResult {
        let mut state = self.state();
        // If this crate started the browser, its process shows whether it has ended; the driver's error may not.
        let is_alive = state.browser.as_ref().is_none_or(OwnedBrowser::is_alive);
        state.record.add(outcome).map_err(|failure| match is_alive {
            true => failure,
            false => browser_gone(failure),
        })
    }

    pub(super) async fn read(&self, extra: Extra) -> Result<Envelope, LookError> {
        let outcome = self.read_current(extra).await;
        let (Err(error), Some(finder)) = (&outcome, self.finder()) else {
            return outcome;
        };
        match error.kind {
            LookErrorKind::TabClosed
            | LookErrorKind::WrongOrigin
            | LookErrorKind::ErrorPage
            | LookErrorKind::NoAnswer => {}
            _ => return outcome,
        }
        // The tab is gone; another one may have replaced it.
        if finder.follow(&self.client()).await? {
            if let Some(push) = &self.push {
                push.follow();
            }
            return self.read_current(extra).await;
        }
        outcome
    }

    /// Makes one round trip on the session's current tab.
    async fn read_current(&self, extra: Extra) -> Result<Envelope, LookError> {
        let (client, reconnects, scripts, booted) = self.start_command();
        let script = scripts.look(self.kind(), booted.as_deref(), extra);
        let mut answer = self.run(&client, &script).await;
        if matches!(answer, Ok(Value::Null)) {
            // The first command after a tab has closed answers null; the next one says why.
            answer = self.run(&client, &script).await;
        }
        match answer {
            Ok(answer) => self.envelope(answer, &scripts),
            Err(error) => Err(self.cause(&error, reconnects)),
        }
    }

    async fn read_slice(&self, known: &Envelope, length: Duration) -> Result<Envelope, LookError> {
        let (client, reconnects, scripts, booted) = self.start_command();
        let start = Instant::now();
        let arguments = wait_arguments(known, length);
        let script = scripts.wait(self.kind(), booted.as_deref());
        let answer = client.execute_async(&script, arguments).await;
        // If something else ended it, a look says more about the present page.
        match answer {
            Ok(answer) if !answer.is_null() => self.envelope(answer, &scripts),
            Ok(_) => self.read(Extra::None).await,
            Err(error) => {
                // The page's timers do not run: it is busy, or has replaced them. Hidden tabs delay
                // timers too, but their events are received until then. Before the timeout the page was
                // only left.
                if is_full_timeout(&error, start) && !known.is_hidden {
                    self.state().record.avoid_slices();
                }
                match self.read(Extra::None).await {
                    // Only the first command after a browser's end names the reason.
                    Err(later) if later.kind == LookErrorKind::SessionGone => {
                        Err(self.cause(&error, reconnects))
                    }
                    outcome => outcome,
                }
            }
        }
    }

    /// Runs a script of one turn. A page that has replaced the built-ins of ChromeDriver's wrapper is read
    /// past it: on attached pages, where the driver's own copies are removed, and if a page's `toJSON`
    /// spoils its answers.
    pub(super) async fn run(&self, client: &Client, script: &str) -> Result<Value, CmdError> {
        if self.finder().is_some() && self.state().record.avoids_slices() {
            return evaluate(client, script).await;
        }
        let start = Instant::now();
        match client.execute(script, Vec::new()).await {
            Err(error)
                if self.session().is_some()
                    && (error.is_script_timeout() || error.is_unknown_error()) =>
            {
                if is_full_timeout(&error, start) {
                    self.state().record.avoid_slices();
                }
                // The first error names the reason.
                evaluate(client, script).await.map_err(|_| error)
            }
            answer => answer,
        }
    }

    pub(super) fn start_command(&self) -> (Client, u32, Scripts, Option<String>) {
        let state = self.state();
        let booted = state.record.booted_document().map(str::to_owned);
        let scripts = state.record.scripts.clone();
        (state.connection.client(), state.reconnects, scripts, booted)
    }

    pub(super) fn envelope(&self, answer: Value, scripts: &Scripts) -> Result<Envelope, LookError> {
        if answer.is_null() {
            return Err(LookError::no_answer());
        }
        record::envelope(answer, scripts, &self.target)
    }

    /// Returns the cause of a failed command; if its connection was closed on purpose, the reason for that.
    fn cause(&self, error: &CmdError, reconnects: u32) -> LookError {
        let error = LookError::from(error);
        let state = self.state();
        match error.kind {
            LookErrorKind::ConnectionLost if state.is_closed => {
                LookError::closed(Site::WebDriverCommand)
            }
            LookErrorKind::ConnectionLost if state.reconnects != reconnects => {
                LookError::timeout(Site::WebDriverCommand)
            }
            _ => error,
        }
    }

    /// Looks on another connection, because a command blocks the present one.
    pub(super) async fn reconnect_and_look(&self) -> CommandResult {
        match self.reconnect().await {
            Ok(()) => self.look().await,
            Err(failure) => self.observe(Err(failure.into())),
        }
    }

    /// Gives up the commands on the connection, if the session is ours, and opens another one.
    async fn reconnect(&self) -> Result<(), ProtocolFailure> {
        let is_open = !self.state().is_closed;
        if let Some(session) = self.session().filter(|_| is_open) {
            let connection = session.reconnect().await?;
            let mut state = self.state();
            state.reconnects += 1;
            state.connection = connection;
        }
        Ok(())
    }

    /// Removes the traces of ChromeDriver from a page that another program drives.
    pub(super) async fn clean_up(&self) -> Result<(), ProtocolFailure> {
        let script = self.clean_up_script();
        let done = evaluate(&self.client(), &script).await;
        done.map(drop).map_err(|error| command(&error))
    }
}

fn versions(client: &Client) -> (Option<String>, Option<String>) {
    let given = client.capabilities();
    // ChromeDriver adds the commit to its version.
    let version = |value: &Value| Some(clean(value.as_str()?.split(' ').next()?, MAX_VERSION));
    let driver = given.and_then(|given| version(given.get("chrome")?.get("chromedriverVersion")?));
    let browser = given.and_then(|given| version(given.get("browserVersion")?));
    (driver, browser)
}

/// Returns whether a script was ended by its timeout, and not earlier because its page was left.
fn is_full_timeout(error: &CmdError, start: Instant) -> bool {
    error.is_script_timeout() && start.elapsed() >= SCRIPT_TIMEOUT
}

fn browser_gone(cause: ProtocolFailure) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, "the browser has ended")
        .with_code("chrome not reachable")
        .caused_by(cause)
}
