//! [`SessionHandle`]: a handle of one session of a service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use super::managed::Managed;
use crate::event::SessionKey;
use crate::link::QrCode;
use crate::onboard::DeliveryState;
use crate::phone::PhoneNumber;
use crate::supervisor::{Reason, SessionState, Supervisor};

/// A handle of one session of a [`SessionService`](super::SessionService), also over its restarts, and after
/// it was ended and started again. Cheap to clone; dropping it changes nothing.
#[derive(Clone)]
pub struct SessionHandle {
    /// As it was when the handle was made.
    pub(super) managed: Arc<Managed>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) supervisor: Supervisor,
}

impl SessionHandle {
    fn managed(&self) -> Arc<Managed> {
        let managed = self.sessions.get(self.key().session_id.as_str());
        managed.unwrap_or_else(|| Arc::clone(&self.managed))
    }

    /// Returns the session's ids.
    #[must_use]
    pub fn key(&self) -> &SessionKey {
        &self.managed.key
    }

    /// Returns whether the session runs, waits for its restart, is ending or has ended. `None`: the
    /// supervisor has [forgotten](crate::supervisor::SupervisorBuilder::keep) its end.
    #[must_use]
    pub fn state(&self) -> Option<SessionState> {
        self.supervisor.state(self.key().session_id.as_str())
    }

    /// Returns why the session ends, has ended or is being restarted. `None` while it runs.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.state()? {
            SessionState::Restarting(reason) => Some(reason),
            state => state.reason().cloned(),
        }
    }

    /// Returns the QR code that the page shows, as the sink has last accepted it.
    #[must_use]
    pub fn qr_code(&self) -> Option<QrCode> {
        let code = self.managed().latest().qr_code.clone();
        code.filter(|code| code.is_expired() || !code.time_left().is_zero())
    }

    /// Returns the number that the session is connected with, as the sink has last accepted it.
    #[must_use]
    pub fn number(&self) -> Option<PhoneNumber> {
        self.managed().latest().number.clone()
    }

    /// Returns which events wait for the sink, and why.
    #[must_use]
    pub fn delivery_state(&self) -> DeliveryState {
        self.managed().monitor.delivery_state()
    }

    /// Ends the session on purpose: closes page, browser and driver, and then sends `session_disconnected`,
    /// reason `ended`. Closing takes up to 10 s; what is left after `within` is ended by force. Returns the
    /// [state](Self::state). Dropping the future stops nothing.
    ///
    /// The profile stays, so [`start`](super::SessionService::start) continues with the linked account, and
    /// so does [`resume`](super::SessionService::resume), unless the row was
    /// [deleted](crate::store::SessionStore::delete).
    pub async fn end(&self, within: Duration) -> Option<SessionState> {
        let (managed, supervisor) = (self.managed(), self.supervisor.clone());
        let end = async move { managed.end(&supervisor, within).await };
        drop(tokio::spawn(end).await);
        self.state()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SessionHandle")
            .field("key", self.key())
            .field("state", &state.as_ref().map(SessionState::as_str))
            .finish_non_exhaustive()
    }
}
