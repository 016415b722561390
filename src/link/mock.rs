//! [`MockLink`]: a page that plays a script, for tests of this crate and of yours.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{LinkSource, LinkState, QrCode};
use crate::failure::ProtocolFailure;

/// The state of the page from a moment of the script on.
#[derive(Clone)]
enum Act {
    State(LinkState),
    /// Shows a QR code with this payload.
    Qr(String),
    Fail(ProtocolFailure),
    Hang,
}

/// One recorded look of a [`MockLink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkCall {
    /// The time since the mock was made.
    pub at: Duration,
    /// Whether it was [`LinkSource::qr`]; otherwise it was [`LinkSource::link`].
    pub is_qr: bool,
}

/// A scripted [`LinkSource`]. Before its first act it is [`LinkState::Unknown`]; each act holds from its
/// time on, counted from the making of the mock on tokio's clock.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::link::mock::MockLink;
/// use whatsapp_phone::link::{LinkSource, LinkState};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), whatsapp_phone::ProtocolFailure> {
/// let second = Duration::from_secs(1);
/// let page = MockLink::new().qr_at(second, "2@AbC...").at(20 * second, LinkState::Linked);
/// assert_eq!(page.link().await?, LinkState::Unknown);
/// tokio::time::advance(second).await;
/// assert_eq!(page.link().await?, LinkState::Unlinked);
/// assert_eq!(page.qr().await?.and_then(|qr| qr.reveal()).as_deref(), Some("2@AbC..."));
/// assert_eq!(page.calls().len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MockLink {
    start: Instant,
    acts: Vec<(Duration, Act)>,
    reloads: Vec<Duration>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<LinkCall>,
    /// The number of reloads up to the latest look that did not fail.
    document: Option<usize>,
}

impl Default for MockLink {
    fn default() -> Self {
        Self::new()
    }
}

impl MockLink {
    /// Makes a mock with an empty script.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            acts: Vec::new(),
            reloads: Vec::new(),
            seen: Arc::default(),
        }
    }

    /// Gives the page this state from this time on. [`LinkState::QrExpired`] shows an expired code, any
    /// other state none.
    #[must_use]
    pub fn at(self, at: Duration, state: LinkState) -> Self {
        self.act(at, Act::State(state))
    }

    /// Lets the page be [`LinkState::Unlinked`] and show a code with this payload from this time on. Its
    /// 60 seconds begin again with each look.
    ///
    /// # Panics
    ///
    /// If [`QrCode::new`] refuses the payload.
    #[must_use]
    #[allow(clippy::panic)] // a script that is wrong must not run
    pub fn qr_at(self, at: Duration, payload: &str) -> Self {
        match QrCode::new(payload) {
            Ok(_) => self.act(at, Act::Qr(payload.to_owned())),
            Err(error) => panic!("{error}"),
        }
    }

    /// Lets every look fail from this time on.
    #[must_use]
    pub fn failing_at(self, at: Duration, failure: ProtocolFailure) -> Self {
        self.act(at, Act::Fail(failure))
    }

    /// Lets no look end from this time on.
    #[must_use]
    pub fn hanging_at(self, at: Duration) -> Self {
        self.act(at, Act::Hang)
    }

    /// Reloads the page at this time: its state stays, its [document](LinkSource::document) is another one.
    #[must_use]
    pub fn reloads_at(mut self, at: Duration) -> Self {
        self.reloads.push(at);
        self
    }

    fn act(mut self, at: Duration, act: Act) -> Self {
        self.acts.push((at, act));
        self.acts.sort_by_key(|(at, _)| *at);
        self
    }

    /// Returns the looks so far, in order. Clones of a mock share them.
    #[must_use]
    pub fn calls(&self) -> Vec<LinkCall> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a look, and plays the present act of it.
    async fn look(&self, is_qr: bool) -> Result<(LinkState, Option<QrCode>), ProtocolFailure> {
        let at = self.start.elapsed();
        self.lock().calls.push(LinkCall { at, is_qr });
        let begun = self.acts.iter().take_while(|(begins, _)| *begins <= at);
        let seen = match begun.last().map(|(_, act)| act) {
            None => (LinkState::Unknown, None),
            Some(Act::State(LinkState::QrExpired)) => {
                (LinkState::QrExpired, Some(QrCode::expired()))
            }
            Some(Act::State(state)) => (*state, None),
            Some(Act::Qr(text)) => (LinkState::Unlinked, QrCode::new(&**text).ok()),
            Some(Act::Fail(failure)) => return Err(failure.clone()),
            Some(Act::Hang) => std::future::pending().await,
        };
        let reloads = self.reloads.iter().filter(|reload| **reload <= at);
        self.lock().document = Some(reloads.count());
        Ok(seen)
    }
}

#[async_trait]
impl LinkSource for MockLink {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        Ok(self.look(false).await?.0)
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        Ok(self.look(true).await?.1)
    }

    fn document(&self) -> Option<String> {
        Some(self.lock().document?.to_string())
    }
}

/// Does not show the payloads.
impl fmt::Debug for MockLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockLink")
            .field("acts", &self.acts.len())
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}
