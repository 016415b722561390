//! [`Page`]: one tab, shared by all its sources.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::Client;
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Connection;
use super::driver::OwnedBrowser;
use super::push::Socket;
use super::tab::{Owner, Tab};
use crate::failure::{ProtocolFailure, Site};
use crate::link::QrCode;
use crate::source::page::command::{Command, CommandResult};
use crate::source::page::decision::Observation;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::diagnosis::Diagnosis;
use crate::source::page::overrides::Overrides;
use crate::source::page::target::Target;
use crate::source::page::wait::{self, LOOK_INTERVAL, MAX_SOCKET_SLICE, ReadPage};

/// Longest slice of a wait: the driver is not free for another command meanwhile. Shorter than the script
/// timeout of a session, which ends a slice if the page's own timers do not. One command costs as much
/// processor time as fifteen looks in the page, so a slice is as long as the slot of
/// [`RetryPolicy::eager`](crate::retry::RetryPolicy::eager).
const MAX_SLICE: Duration = Duration::from_millis(400);

/// The time that a wait continues after its end for the result of its own slice.
const SLICE_GRACE: Duration = Duration::from_millis(50);

/// One WhatsApp Web page, read by [`WebDriverSource`](super::WebDriverSource)s. Cheap to clone; all clones and
/// all their sources share one WebDriver session, and looks at the same time share one round trip.
///
/// | made by | browser | when the last clone is dropped |
/// |---|---|---|
/// | [`open`](Self::open), [`open_at`](Self::open_at) | this crate's | the browser ends |
/// | [`attach`](Self::attach), [`attach_at`](Self::attach_at) | another program's | only this crate's session with it ends; no window is closed |
/// | [`from_client`](Self::from_client) | the caller's, and the session too | nothing |
///
/// A page remembers what its document has shown so far, until the page is dropped. Some evidence needs
/// that: if WhatsApp renames a piece of it, a number is still given once everything else has stayed unchanged
/// for 5 or 20 seconds. A deadline of 45 s outlasts every such time; with a shorter one, a later extraction
/// on the same page gives the number.
#[derive(Clone)]
#[must_use = "dropping its last clone ends the session"]
pub struct Page(Arc<LastClone>);

/// Ends the session when the last clone of its page is dropped, even if a command still runs.
struct LastClone(Arc<Tab>);

impl Page {
    /// Reads the current window of a caller's client. Never switches, navigates, closes or changes
    /// timeouts. While the window is not at the target's origin, its content is ignored.
    ///
    /// Do not change the client's current window while sources read this page.
    ///
    /// ```no_run
    /// use hyper_util::client::legacy::connect::HttpConnector; // hyper-util 0.1, feature `client-legacy`
    /// use whatsapp_phone::Extractor;
    /// use whatsapp_phone::fantoccini::ClientBuilder;
    /// use whatsapp_phone::source::webdriver::{Page, Target, WebDriverSource};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = ClientBuilder::new(HttpConnector::new());
    /// let client = builder.connect("http://127.0.0.1:9515").await?;
    /// client.goto("https://web.whatsapp.com").await?;
    ///
    /// let page = Page::from_client(client.clone(), Target::default());
    /// let extractor = Extractor::builder().source(WebDriverSource::all(&page)).build()?;
    /// println!("{}", extractor.extract().await?.phone.reveal());
    /// client.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_client(client: Client, target: Target) -> Self {
        Self::new(client.into(), target, Owner::Caller, None, None)
    }

    pub(super) fn new(
        connection: Connection,
        target: Target,
        owner: Owner,
        browser: Option<OwnedBrowser>,
        debugger: Option<DebuggerAddress>,
    ) -> Self {
        let tab = Tab::new(connection, target, owner, browser, debugger);
        Self(Arc::new(LastClone(Arc::new(tab))))
    }

    pub(super) fn tab(&self) -> &Arc<Tab> {
        &self.0.0
    }

    /// Ends the WebDriver session, and the browser if this crate started it. Waits up to three seconds; if it
    /// takes longer, the rest is done in the background. A client of [`from_client`](Self::from_client) is only
    /// dropped: its session continues. Other clones of this page, and their sources, can read nothing afterwards.
    pub async fn close(self) {
        self.tab().close().await;
    }

    /// Returns the page's WebDriver client, for other commands, for instance a screenshot. Commands of one session run one
    /// at a time. Call this for each use: if a look is given up, its client ends and another one replaces it. The session's
    /// script timeout is 500 ms.
    ///
    /// After [`close`](Self::close) every command fails.
    #[must_use]
    pub fn client(&self) -> Client {
        self.tab().client()
    }

    /// Reads the page with these names and readers of the caller's from the next look on, in all clones of
    /// this page and all their sources. They replace all earlier ones. Expressions of readers run in the account's
    /// page, with all its rights.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if a name is not plain or an expression is not JavaScript; else the driver's own
    /// code. The page is then read as before.
    pub async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        self.tab().set_overrides(overrides).await
    }

    /// Finds out which readers and guards work on this page, and what follows. Looks until the page has
    /// settled, at most for this long: 45 s outlast every time that a page must stay unchanged.
    ///
    /// # Errors
    ///
    /// If the page cannot be read: as a look.
    pub async fn diagnose(&self, deadline: Duration) -> Result<Diagnosis, ProtocolFailure> {
        wait::diagnose(self, deadline).await
    }

    /// Returns which tab this is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.tab().target
    }

    /// Returns the running slice, or a new one; `None` if no slice is possible.
    fn slice(
        &self,
        known: &Arc<Observation>,
        length: Duration,
        socket: Option<Socket>,
    ) -> Option<Command> {
        let uses_slices = self.tab().uses_slices();
        let mut state = self.tab().state();
        if let Some(command) = &state.record.slice
            && !command.has_ended()
        {
            // A stuck slice is left to a look, which can say why.
            return command.is_in_time().then(|| command.clone());
        }
        if !uses_slices {
            return None;
        }
        let (tab, known) = (Arc::clone(self.tab()), Arc::clone(known));
        let command = Command::start(length, async move {
            tab.slice(&known, length, socket.as_ref()).await
        });
        state.record.slice = Some(command.clone());
        Some(command)
    }
}

impl ReadPage for Page {
    const SITE: Site = Site::WebDriverCommand;

    /// Looks at the same time share a round trip.
    async fn look(&self) -> CommandResult {
        let command = {
            let mut state = self.tab().state();
            let running = state.look.take().filter(|command| !command.has_ended());
            // A stuck command on a caller's connection cannot be given up, and another one would only
            // queue behind it.
            let is_callers = self.tab().session().is_none();
            let command = match running {
                Some(command) if is_callers || command.is_in_time() => command,
                stuck => {
                    let tab = Arc::clone(self.tab());
                    Command::start(Duration::ZERO, async move {
                        if stuck.is_some() {
                            tab.reconnect_and_look().await
                        } else {
                            tab.look().await
                        }
                    })
                }
            };
            state.look = Some(command.clone());
            command
        };
        command.result().await
    }

    async fn look_in_detail(&self) -> CommandResult {
        let tab = Arc::clone(self.tab());
        let detailed = Command::start(Duration::ZERO, async move { tab.look_in_detail().await });
        detailed.result().await
    }

    async fn read_qr(&self) -> CommandResult<Option<QrCode>> {
        let tab = Arc::clone(self.tab());
        let read = Command::start(Duration::ZERO, async move { tab.read_qr().await });
        read.result().await
    }

    fn last(&self) -> Option<Arc<Observation>> {
        self.tab().last()
    }

    /// Returns the present state: the result of a running slice, or of a look.
    async fn now(&self) -> CommandResult {
        let slice = self.tab().state().record.slice.clone();
        // A slice on the page's socket would take too long.
        let slice = slice.filter(|_| !self.tab().waits_by_socket());
        match slice.filter(|command| !command.has_ended() && command.is_in_time()) {
            Some(command) => command.result().await,
            None => self.look().await,
        }
    }

    async fn change(&self, known: &Arc<Observation>, end: Instant) -> Option<CommandResult> {
        let until = known.due().map_or(end, |due| due.min(end));
        let Ok(socket) = timeout_at(end, self.tab().socket()).await else {
            return None;
        };
        let max = match &socket {
            Some(_) => MAX_SOCKET_SLICE,
            None => MAX_SLICE,
        };
        let left = until.saturating_duration_since(Instant::now());
        let Some(command) = self.slice(known, left.min(max), socket.clone()) else {
            sleep(left.min(LOOK_INTERVAL)).await;
            return Some(self.look().await);
        };
        if let Some(socket) = socket {
            return match self.tab().watch(&socket, &command, until).await {
                None if Instant::now() < end => Some(self.look().await),
                result => result,
            };
        }
        let limit = (end + SLICE_GRACE).min(command.due());
        match timeout_at(limit, command.clone().result()).await {
            Ok(answer) => Some(answer),
            // A slice that was started by another wait takes longer.
            Err(_) if command.is_in_time() => None,
            Err(_) => Some(self.look().await),
        }
    }

    async fn unchanged(&self, known: Arc<Observation>) -> CommandResult {
        match self.tab().waits_by_socket() {
            // The slice that still runs would have reported a change.
            true => Ok(known),
            false => self.now().await,
        }
    }

    async fn versions(&self) -> (Option<String>, Option<String>) {
        self.tab().versions.clone()
    }
}

impl Drop for LastClone {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("target", self.target())
            .field("is_session_ours", &self.tab().session().is_some())
            .finish_non_exhaustive()
    }
}
