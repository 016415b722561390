//! The session's events, from nothing but its page: [`Watch`].

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::event::QrCode;
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState};
use crate::onboard::{Last, OnboardError, Onboarding};

/// Longest time of one look at the page.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a state must have been seen without interruption before it is told. Not longer than the
/// default interval, at which two looks are then enough.
const LASTING: Duration = Duration::from_secs(1);

/// How often a QR code that is still shown is told of: a sign of life, without which the session
/// would be given up as stuck.
const REFRESH: Duration = Duration::from_secs(10 * 60);

/// Watches how far a session is linked, and has its [`Onboarding`] tell.
///
/// | the page | is told as |
/// |---|---|
/// | a QR code is shown | `session_disconnected`, reason `unlinked`, unless it was told so; then `qr_code_generated`, without the code, which the page does not tell |
/// | the phone has accepted the code | `session_authenticated` |
/// | connected | `session_authenticated` after a QR code or a disconnect, then as by [`Onboarding::run`] |
/// | taken off by WhatsApp | `session_disconnected`, reason `conflict`, `tos_block`, ... |
/// | page or browser gone | `session_disconnected`, reason `page_closed` or `browser_gone` |
///
/// A page that unlinks and shows itself connected for a moment, as it does on logout, is not linked:
/// a state is told once all looks over one second or more, at least two, have agreed on it. The second
/// runs from the end of its first look to the start of its latest: when within a look the page was
/// seen nobody knows, so a slow look proves no more than a quick one. Reconnecting and reloading tell
/// nothing.
///
/// An onboarding that fails is tried again as long as the page stays connected; an error is told once,
/// and again when its code changes.
pub struct Watch<S> {
    onboarding: Onboarding,
    source: S,
    every: Duration,
    classifier: ProtocolErrorClassifier,
}

/// Why a [`Watch`] ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The page was closed.
    PageClosed,
    /// The browser or its driver is gone.
    BrowserGone,
}

impl Ended {
    /// The stable name, as in the reason of the `session_disconnected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PageClosed => "page_closed",
            Self::BrowserGone => "browser_gone",
        }
    }
}

impl<S: LinkSource> Watch<S> {
    /// A watch over this page, once a second.
    pub fn new(onboarding: Onboarding, source: S) -> Self {
        Self {
            onboarding,
            source,
            every: Duration::from_secs(1),
            classifier: ProtocolErrorClassifier::new(),
        }
    }

    /// How long between two looks. At least 10 ms. Default: 1 s. With a shorter one a page that has
    /// gone, or a state that has lasted for its second, is noticed sooner; the second stays.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// Watches until the page or its browser is gone, and goes on from what the onboarding has told so
    /// far: dropped, it may be run again. A session that was told of by a process before this one is
    /// told of anew.
    ///
    /// # Errors
    ///
    /// When the sink did not accept an event.
    pub async fn run(&self) -> Result<Ended, OnboardError> {
        let mut state = LinkState::Unknown;
        let mut since = Instant::now();
        let mut refreshed = since;
        loop {
            let began = Instant::now();
            let now = match timeout(LOOK_TIMEOUT, self.source.link()).await {
                Ok(Ok(state)) => state,
                Ok(Err(failure)) => match self.end(&failure) {
                    Some(end) => {
                        if self.onboarding.last().await != Last::Disconnected {
                            self.onboarding.disconnected(end.as_str()).await?;
                        }
                        return Ok(end);
                    }
                    None => LinkState::Unknown,
                },
                Err(_) => LinkState::Unknown,
            };
            if now != state {
                state = now;
                since = Instant::now();
            } else if began.duration_since(since) >= LASTING {
                let is_due = refreshed.elapsed() >= REFRESH;
                if is_due {
                    refreshed = Instant::now();
                }
                self.step(now, is_due).await?;
            }
            sleep(self.every).await;
        }
    }

    /// Tells what a state that has lasted says beyond what was told. Where nothing is known to have
    /// been told, a store may still say connected: that is taken back first.
    async fn step(&self, state: LinkState, is_due: bool) -> Result<(), OnboardError> {
        let last = self.onboarding.last().await;
        match (state, &last) {
            (LinkState::Unlinked, Last::Scanning) if !is_due => {}
            (LinkState::Unlinked, Last::Scanning | Last::Disconnected) => {
                self.onboarding.qr_code(QrCode::unknown()).await?;
            }
            (LinkState::Barred(_), Last::Disconnected) | (LinkState::Linked, Last::Ready(_)) => {}
            (LinkState::Unlinked | LinkState::Barred(_), _) => {
                self.onboarding.disconnected(state.as_str()).await?;
            }
            (LinkState::Linking, Last::Nothing | Last::Scanning | Last::Disconnected) => {
                self.onboarding.authenticated().await?;
            }
            (LinkState::Linked, _) => {
                if matches!(last, Last::Scanning | Last::Disconnected) {
                    self.onboarding.authenticated().await?;
                }
                self.onboarding.attempt(false).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self, failure: &ProtocolFailure) -> Option<Ended> {
        match self.classifier.classify(failure).verdict(Phase::Live) {
            Verdict::EndSession => Some(Ended::PageClosed),
            Verdict::EndBrowser => Some(Ended::BrowserGone),
            _ => None,
        }
    }
}

impl<S> fmt::Debug for Watch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("onboarding", &self.onboarding)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
