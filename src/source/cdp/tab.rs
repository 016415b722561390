//! [`Tab`]: one tab with its socket, and the round trips on it.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};

use super::error;
use super::socket::{Last, Socket};
use crate::failure::{ProtocolFailure, Site};
use crate::link::QrCode;
use crate::source::PageState;
use crate::source::page::command::CommandResult;
use crate::source::page::decision::Observation;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::envelope::Envelope;
use crate::source::page::error::{LookError, LookErrorKind};
use crate::source::page::finder::TabFinder;
use crate::source::page::lock::lock;
use crate::source::page::overrides::{Overrides, invalid_reader};
use crate::source::page::qr::Shown;
use crate::source::page::record::{self, Record};
use crate::source::page::scripts::{Extra, Kind, Scripts, wait_arguments};
use crate::source::page::target::NoTab;
use crate::source::page::wait::SOCKET_SLICE_GRACE;

const KIND: Kind = Kind {
    is_tidy: false,
    keeps_slice: true,
};

/// A page that has not answered for so long is asked about by another way.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// Longest time for the answer of a page on a new socket, which the browser has answered on.
const FRESH_ANSWER: Duration = Duration::from_millis(300);

/// Longest time for the answer of a look: less than the look timeout of the default policies, so that the
/// failure names the reason.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1700);

/// One tab of a Chrome.
pub(super) struct Tab {
    finder: TabFinder,
    address: DebuggerAddress,
    /// The tab is ours, and closes with the page.
    is_opened: bool,
    state: Mutex<State>,
    /// Held while a lost socket is replaced.
    reopening: tokio::sync::Mutex<()>,
}

pub(super) struct State {
    /// The id of the tab.
    id: String,
    socket: Socket,
    /// The caller has closed the page.
    is_closed: bool,
    pub(super) record: Record,
}

impl Tab {
    /// Opens the socket of this tab; the caller limits the time. The address is resolved.
    pub(super) async fn open(
        finder: TabFinder,
        address: DebuggerAddress,
        id: String,
        is_opened: bool,
    ) -> Result<Self, LookError> {
        let state = State {
            socket: Socket::open_tab(&address.to_string(), &id).await?,
            id,
            is_closed: false,
            record: Record::new(),
        };
        Ok(Self {
            finder,
            address,
            is_opened,
            state: Mutex::new(state),
            reopening: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn finder(&self) -> &TabFinder {
        &self.finder
    }

    pub(super) fn page_state(&self) -> Option<PageState> {
        self.state().record.page_state
    }

    pub(super) async fn browser_version(&self) -> Option<String> {
        self.address.version().await
    }

    pub(super) fn document(&self) -> Option<String> {
        self.state().record.document().map(str::to_owned)
    }

    /// Returns the last observation, from which a slice can continue: the page reports at once if it has changed.
    pub(super) fn last(&self) -> Option<Arc<Observation>> {
        let state = self.state();
        let last = state.record.last.clone();
        last.filter(|_| !state.record.avoids_slices())
    }

    /// Looks once, with every reader in one round trip.
    pub(super) async fn look(&self, extra: Extra) -> CommandResult {
        let outcome = self.read(extra).await;
        self.observe(outcome)
    }

    /// Looks once, with the QR code.
    pub(super) async fn read_qr(&self) -> CommandResult<Option<QrCode>> {
        let mut outcome = self.read(Extra::Qr).await;
        let answer = outcome.as_mut().ok();
        let answer = answer.and_then(|envelope| envelope.qr.take());
        let observation = self.observe(outcome)?;
        Ok(match answer.map(|answer| answer.interpret(&observation)) {
            None | Some(Shown::Nothing) => None,
            Some(Shown::Expired) => Some(QrCode::expired()),
            Some(Shown::Payload(payload)) => {
                let known = self.state().record.known_qr(payload);
                Some(known.unwrap_or_else(QrCode::unknown))
            }
            Some(Shown::Unreadable(_)) => Some(QrCode::unknown()),
        })
    }

    /// Runs one slice: returns the first observation with another mark, or the present one at its end.
    pub(super) async fn slice(&self, known: &Observation, length: Duration) -> CommandResult {
        let slice = self.read_slice(known.envelope(), length);
        let outcome = match timeout(length + SOCKET_SLICE_GRACE, slice).await {
            Ok(Ok(envelope)) => Ok(envelope),
            // A look says more about the present page.
            Ok(Err(_)) => self.read(Extra::None).await,
            Err(_) => {
                // The page's timers do not run: it is busy, or has replaced them. Hidden tabs delay timers too,
                // but their events are received until then.
                if !known.envelope().is_hidden {
                    self.state().record.avoid_slices();
                }
                self.read(Extra::None).await
            }
        };
        self.observe(outcome)
    }

    /// Finds out whether a silent page still answers. If not, returns why, or a look on another socket or in
    /// another tab.
    pub(super) async fn check(&self) -> Option<CommandResult> {
        if let Ok(Some(socket)) = self.open_socket()
            && socket.answers().await
        {
            self.state().record.answered_at = Instant::now();
            return None;
        }
        let reason = timeout(ANSWER_TIMEOUT - SLOW_ANSWER, self.silence()).await;
        let reason = reason.unwrap_or_else(|_| error::timeout());
        let outcome = match reason.kind {
            LookErrorKind::TabClosed | LookErrorKind::ConnectionLost => {
                self.read(Extra::None).await
            }
            _ => Err(reason),
        };
        Some(self.observe(outcome))
    }

    /// Adds a look to the page's history.
    fn observe(&self, outcome: Result<Envelope, LookError>) -> CommandResult {
        self.state().record.add(outcome)
    }

    /// Reads the page, on another socket or in another tab if it has moved there.
    async fn read(&self, extra: Extra) -> Result<Envelope, LookError> {
        let outcome = self.read_current(extra).await;
        match outcome.as_ref().map_err(|error| error.kind) {
            Err(LookErrorKind::TabClosed | LookErrorKind::ConnectionLost) => {}
            Err(LookErrorKind::WrongOrigin | LookErrorKind::ErrorPage) if self.follow().await? => {}
            _ => return outcome,
        }
        self.read_current(extra).await
    }

    async fn read_current(&self, extra: Extra) -> Result<Envelope, LookError> {
        let socket = self.socket().await?;
        let (scripts, booted) = self.scripts();
        let script = scripts.look(KIND, booted.as_deref(), extra);
        let answer = self.run(&socket, &script).await?;
        record::envelope(answer, &scripts, &self.finder.target)
    }

    async fn read_slice(&self, known: &Envelope, length: Duration) -> Result<Envelope, LookError> {
        let socket = self.socket().await?;
        let (scripts, booted) = self.scripts();
        // The scripts are long: they do not stay in memory for the time of the wait.
        let answer = socket.run_async(
            &scripts.wait(KIND, booted.as_deref()),
            &wait_arguments(known, length),
        );
        let answer = answer.await?;
        record::envelope(answer, &scripts, &self.finder.target)
    }

    fn scripts(&self) -> (Scripts, Option<String>) {
        let state = self.state();
        let booted = state.record.booted_document().map(str::to_owned);
        (state.record.scripts.clone(), booted)
    }

    /// Runs a script of one turn.
    async fn run(&self, socket: &Socket, script: &str) -> Result<Value, LookError> {
        let due = Instant::now() + ANSWER_TIMEOUT;
        let mut answer = Box::pin(socket.run(script));
        if let Ok(answer) = timeout(SLOW_ANSWER, &mut answer).await {
            return answer;
        }
        let reason = pin!(timeout_at(due, self.silence()));
        match select(answer, reason).await {
            Either::Left((answer, _)) => answer,
            Either::Right((Ok(reason), _)) if reason.kind == LookErrorKind::ConnectionLost => {
                Err(reason)
            }
            Either::Right((reason, answer)) => {
                let answer = timeout_at(due, answer).await;
                answer.unwrap_or_else(|_| Err(reason.unwrap_or_else(|_| error::timeout())))
            }
        }
    }

    /// Finds out why the page does not answer, on another socket of the same tab. If the page answers there, that
    /// socket replaces the present one.
    async fn silence(&self) -> LookError {
        let id = self.state().id.clone();
        let ask = async {
            let other = Socket::open(&self.address.to_string(), &id).await?;
            // The browser itself answers this.
            other.command("Target.getTargetInfo", json!({})).await?;
            Ok(
                match timeout(FRESH_ANSWER, other.run("return true;")).await {
                    Ok(Ok(_)) => {
                        let mut state = self.state();
                        // Another call may have moved to another tab.
                        if !state.is_closed && state.id == id {
                            state.socket = other;
                        }
                        error::lost("it is silent")
                    }
                    _ => error::unresponsive(),
                },
            )
        };
        ask.await.unwrap_or_else(|error| error)
    }

    /// Returns the open socket; replaces a lost one.
    async fn socket(&self) -> Result<Socket, LookError> {
        if let Some(socket) = self.open_socket()? {
            return Ok(socket);
        }
        let _guard = self.reopening.lock().await;
        match self.open_socket()? {
            Some(socket) => Ok(socket),
            None => self.reopen().await,
        }
    }

    /// Returns the present socket, if it has not ended.
    fn open_socket(&self) -> Result<Option<Socket>, LookError> {
        let state = self.state();
        if state.is_closed {
            return Err(error::closed());
        }
        Ok(Some(state.socket.clone()).filter(|socket| socket.end().is_none()))
    }

    async fn reopen(&self) -> Result<Socket, LookError> {
        let (id, end) = {
            let state = self.state();
            (state.id.clone(), state.socket.end())
        };
        let is_closed = end.is_some_and(|end| end.kind == LookErrorKind::TabClosed);
        let is_running = self.address.is_running().await;
        if !is_running.map_err(error::unreachable)? {
            return Err(error::browser_gone());
        }
        let tabs = self.address.tabs().await;
        let tabs = tabs.map_err(error::unreachable)?;
        let id = if !is_closed && tabs.iter().any(|tab| tab.id == id) {
            id
        } else {
            let others = tabs.into_iter().filter(|tab| tab.id != id).collect();
            self.finder.choose(others).map_err(|reason| match reason {
                NoTab::None { .. } => error::closed(),
                NoTab::Several { .. } => self.finder.target.failure(reason).into(),
            })?
        };
        self.move_to(id).await
    }

    /// Moves to the tab that has come up at the target's origin in place of the present one. Returns whether
    /// there is one.
    async fn follow(&self) -> Result<bool, LookError> {
        let _guard = self.reopening.lock().await;
        let Ok(tabs) = self.address.tabs().await else {
            return Ok(false);
        };
        match self.finder.choose(tabs) {
            Ok(id) if id != self.state().id => self.move_to(id).await.map(|_| true),
            Ok(_) | Err(NoTab::None { .. }) => Ok(false),
            Err(reason) => Err(self.finder.target.failure(reason).into()),
        }
    }

    async fn move_to(&self, id: String) -> Result<Socket, LookError> {
        let socket = Socket::open(&self.address.to_string(), &id).await?;
        self.adopt(id, socket)
    }

    fn adopt(&self, id: String, socket: Socket) -> Result<Socket, LookError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(error::closed());
        }
        state.id = id;
        state.socket = socket.clone();
        Ok(socket)
    }

    /// Reads the page with these overrides from the next look on.
    pub(super) async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        overrides.check()?;
        for (name, row) in overrides.rows() {
            let socket = self.socket().await.map_err(|error| error.failure)?;
            let script = self.state().record.scripts.compile(KIND, &row);
            self.run(&socket, &script)
                .await
                .map_err(|error| match error.failure.site() {
                    Site::Script => invalid_reader(name, error.failure),
                    _ => error.failure,
                })?;
        }
        self.state().record.set_overrides(overrides);
        Ok(())
    }

    #[cfg(unix)]
    pub(super) async fn navigate(&self, url: &str) -> Result<Value, LookError> {
        let socket = self.socket().await?;
        socket.command("Page.navigate", json!({ "url": url })).await
    }

    /// Removes our hooks from the page, or closes it if it is ours, and closes its socket, in the background. Returns a
    /// future that waits for that.
    pub(super) fn end(&self) -> impl Future<Output = ()> + use<> {
        let mut state = self.state();
        let was_closed = std::mem::replace(&mut state.is_closed, true);
        let id = state.id.clone();
        let last = match self.is_opened {
            true => Last::CloseTab { id: id.clone() },
            false => Last::Run(state.record.scripts.clean_up(KIND)),
        };
        state.socket.close(last.clone());
        // A lost socket leaves our hooks and our tab behind.
        let is_left = !was_closed && state.socket.end().is_some();
        let runtime = is_left.then(Handle::try_current).and_then(Result::ok);
        let again = runtime.map(|runtime| {
            let address = self.address.to_string();
            runtime.spawn(async move {
                if let Ok(socket) = Socket::open(&address, &id).await {
                    socket.close(last);
                    socket.closed().await;
                }
            })
        });
        let socket = state.socket.clone();
        async move {
            socket.closed().await;
            if let Some(again) = again {
                // It fails if its runtime ends.
                let _ = again.await;
            }
        }
    }
}
