//! The session's events, from nothing but its page: [`Watch`].

use std::fmt;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::event::QrCode;
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState};
use crate::onboard::{OnboardError, Onboarded, Onboarding};

/// Longest time of one look at the page.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Watches how far a session is linked, and has its [`Onboarding`] tell.
///
/// | the page | is told as |
/// |---|---|
/// | a QR code is shown | `qr_code_generated`, without the code, which the page does not tell |
/// | the phone has accepted the code | `session_authenticated` |
/// | connected | `session_authenticated`, if it was not yet, then [`Onboarding::run`] |
/// | after that: unlinked | `session_disconnected`, reason `unlinked` |
/// | after that: taken off by WhatsApp | `session_disconnected`, reason `conflict`, `tos_block`, ... |
/// | after that: page or browser gone | `session_disconnected`, reason `page_closed` or `browser_gone` |
///
/// A page that unlinks and shows itself connected for a moment, as it does on logout, is not linked:
/// what is told is told of what two looks in a row agree on. Reconnecting and reloading tell nothing.
///
/// An onboarding that fails is tried again as long as the page stays connected, and its error is told
/// once.
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

/// What has been told of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Scanning,
    Authenticated,
    /// That no number was found, of a session that is connected.
    Failed,
    Ready,
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

    /// How long between two looks. At least 10 ms. Default: 1 s.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// Watches until the page or its browser is gone. Dropped, it has told what it has told; another
    /// watch over the same onboarding goes on.
    ///
    /// # Errors
    ///
    /// When the sink did not accept an event.
    pub async fn run(&self) -> Result<Ended, OnboardError> {
        let mut told = Told::Nothing;
        let mut before = LinkState::Unknown;
        loop {
            let now = match timeout(LOOK_TIMEOUT, self.source.link()).await {
                Ok(Ok(state)) => state,
                Ok(Err(failure)) => {
                    if let Some(end) = self.end(&failure) {
                        if told != Told::Nothing {
                            self.onboarding.disconnected(end.as_str()).await?;
                        }
                        return Ok(end);
                    }
                    LinkState::Unknown
                }
                Err(_) => LinkState::Unknown,
            };
            if now == before {
                told = self.step(now, told).await?;
            }
            before = now;
            sleep(self.every).await;
        }
    }

    /// What a state that has lasted is told as.
    async fn step(&self, state: LinkState, told: Told) -> Result<Told, OnboardError> {
        Ok(match (state, told) {
            (LinkState::Unlinked, Told::Nothing) => {
                self.onboarding.qr_code(QrCode::unknown()).await?;
                Told::Scanning
            }
            (LinkState::Linking, Told::Nothing | Told::Scanning) => {
                self.onboarding.authenticated().await?;
                Told::Authenticated
            }
            (LinkState::Linked, Told::Ready) => told,
            (LinkState::Linked, _) => {
                if matches!(told, Told::Nothing | Told::Scanning) {
                    self.onboarding.authenticated().await?;
                }
                match self.onboarding.attempt(told != Told::Failed).await?.0 {
                    Onboarded::Ready(_) => Told::Ready,
                    Onboarded::Failed(_) => Told::Failed,
                    Onboarded::Disconnected => Told::Nothing,
                }
            }
            (
                LinkState::Unlinked | LinkState::Barred(_),
                Told::Authenticated | Told::Failed | Told::Ready,
            ) => {
                self.onboarding.disconnected(state.as_str()).await?;
                Told::Nothing
            }
            _ => told,
        })
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
