//! [`Push`]: the tab's own DevTools socket, on which a wait needs no WebDriver command.

use std::time::Duration;

use fantoccini::Client;
use tokio::time::{Instant, timeout};

use super::error::command;
use crate::failure::{ProtocolFailure, Site};
use crate::source::cdp::socket::Last;
pub(super) use crate::source::cdp::socket::Socket;
use crate::source::page::devtools::DebuggerAddress;
use crate::source::page::error::{LookError, LookErrorKind};
use crate::source::page::lock::lock;

/// Longest time for asking ChromeDriver which tab is the current one.
const ASK_TIMEOUT: Duration = Duration::from_millis(1500);

/// The time for which a socket that has failed is not opened again.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Opens the socket when a wait first needs it. If that fails, or the socket is cut, waits use WebDriver commands.
pub(super) struct Push {
    address: DebuggerAddress,
    state: std::sync::Mutex<State>,
    /// Held while a socket is opened.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    socket: Option<Socket>,
    /// Until then no socket is opened.
    not_before: Option<Instant>,
    has_logged: bool,
    is_left: bool,
}

impl Push {
    pub(super) fn new(address: Option<DebuggerAddress>) -> Option<Self> {
        Some(Self {
            address: address?,
            state: std::sync::Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        })
    }

    /// Returns whether a socket is open, so that a slice may run on it.
    pub(super) fn is_open(&self) -> bool {
        self.open_socket().is_some()
    }

    fn open_socket(&self) -> Option<Socket> {
        let socket = lock(&self.state).socket.clone();
        socket.filter(|socket| socket.end().is_none())
    }

    /// Returns the socket of the session's current tab; `None` if waits have to use WebDriver commands.
    pub(super) async fn socket(&self, client: &Client) -> Option<Socket> {
        let _guard = self.opening.lock().await;
        if let Some(socket) = self.open_socket() {
            return Some(socket);
        }
        {
            let mut state = lock(&self.state);
            let failed = state.socket.take().and_then(|socket| socket.end());
            // A closed tab may have been replaced by another one.
            if failed.is_some_and(|end| end.kind != LookErrorKind::TabClosed) {
                state.fail(&"it was cut");
            }
            if state.is_left || state.not_before.is_some_and(|time| Instant::now() < time) {
                return None;
            }
        }
        let opened = self.open(client).await;
        let mut state = lock(&self.state);
        match opened {
            Ok(_) if state.is_left => None,
            Ok(socket) => {
                state.socket = Some(socket.clone());
                Some(socket)
            }
            Err(failure) => {
                state.fail(&failure);
                None
            }
        }
    }

    async fn open(&self, client: &Client) -> Result<Socket, ProtocolFailure> {
        let tab = timeout(ASK_TIMEOUT, client.window()).await;
        let tab = tab.map_err(|_| LookError::timeout(Site::WebDriverCommand).failure)?;
        let tab = String::from(tab.map_err(|error| command(&error))?);
        let address = self.address.resolve().await?.to_string();
        let opened = Socket::open(&address, &tab).await;
        opened.map_err(|error| error.failure)
    }

    /// Closes the socket, since the session is on another tab now.
    pub(super) fn follow(&self) {
        lock(&self.state).socket = None;
    }

    /// Runs this script in the page, which ends the present slice, and closes the socket for good.
    pub(super) fn leave(&self, script: String) {
        let mut state = lock(&self.state);
        state.is_left = true;
        if let Some(socket) = state.socket.take() {
            socket.close(Last::Run(script));
        }
    }
}

impl State {
    fn fail(&mut self, reason: &dyn std::fmt::Display) {
        self.not_before = Some(Instant::now() + RETRY_DELAY);
        if !std::mem::replace(&mut self.has_logged, true) {
            tracing::info!(%reason, "the page's DevTools socket cannot be used; waits use WebDriver commands");
        }
    }
}
