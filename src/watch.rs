//! The events of a session, from its page alone: [`Watch`].

mod tracker;

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use self::tracker::{Action, LinkTracker};
use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::event::QrCode;
use crate::failure::ProtocolFailure;
use crate::link::LinkSource;
use crate::onboard::{LastEvent, OnboardError, Onboarding};

/// Longest time of one look at the page.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at a page at an interval, and sends the events of its session through an [`Onboarding`].
///
/// | the page | event |
/// |---|---|
/// | shows a QR code | `qr_code_generated`, without the payload; again every 10 minutes while it is shown |
/// | its QR code has expired | `qr_code_generated` with `expired`, once |
/// | the phone has accepted the code | `session_authenticated`; again every 10 minutes for at most 6 hours |
/// | connected | `session_authenticated` after a QR code or a disconnect; then as by [`Onboarding::run`] |
/// | shows a QR code again after any other event | first `session_disconnected`, reason `unlinked` |
/// | stopped by WhatsApp | `session_disconnected`, reason `conflict`, `proxy_block` or `tos_block` |
/// | [`Unknown`](crate::link::LinkState::Unknown) for 60 s | `session_disconnected`, reason `not_started`, once; not before the session's first event |
/// | without an answer for [5 minutes](Self::unresponsive_after) | `session_disconnected`, reason `unresponsive`, once |
/// | page or browser gone | `session_disconnected`, reason `page_closed` or `browser_gone`; the watch ends |
///
/// A logout connects the page for a moment, so an event is sent for a state only after all looks over
/// one second or more, at least two, have agreed on it. The second runs from the end of the first look
/// to the start of the latest one, so that slow looks prove no more than fast ones. A page that
/// reconnects, or that reloads and is connected again within 60 s, causes no event. Looks that fail or
/// time out do not count towards these 60 s.
///
/// If a failed extraction was sent as `session_error`, `Watch` extracts again while the page stays
/// connected, and sends another `session_error` only if its code has changed.
///
/// After a restart of the process, give the onboarding the session's row with [`Onboarding::resume`].
/// Otherwise the watch does not know whether a store still says connected, and the first event of a page
/// that shows a QR code is a `session_disconnected`.
pub struct Watch<S> {
    onboarding: Onboarding,
    source: S,
    every: Duration,
    unresponsive_after: Duration,
    classifier: ProtocolErrorClassifier,
}

/// The reason for which a [`Watch`] ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The page was closed.
    PageClosed,
    /// The browser or its driver is gone.
    BrowserGone,
}

impl Ended {
    /// Returns the stable name, as in the reason of the `session_disconnected`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PageClosed => "page_closed",
            Self::BrowserGone => "browser_gone",
        }
    }
}

impl<S: LinkSource> Watch<S> {
    /// Makes a watch that looks at this page once a second.
    pub fn new(onboarding: Onboarding, source: S) -> Self {
        Self {
            onboarding,
            source,
            every: Duration::from_secs(1),
            unresponsive_after: Duration::from_secs(5 * 60),
            classifier: ProtocolErrorClassifier::new(),
        }
    }

    /// Sets the pause between two looks, at least 10 ms. Default: 1 s. A shorter one notices sooner
    /// that the page has gone or that a state has lasted for its second; the second stays.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets how long looks may fail or time out before the session counts as disconnected, reason
    /// `unresponsive`. It is connected again when the page answers. Default: 5 minutes.
    #[must_use]
    pub fn unresponsive_after(mut self, time: Duration) -> Self {
        self.unresponsive_after = time;
        self
    }

    /// Watches until the page or its browser is gone. The future may be dropped; the next run continues
    /// after the last event that the sink has accepted.
    ///
    /// # Errors
    ///
    /// If the sink did not accept an event.
    pub async fn run(&self) -> Result<Ended, OnboardError> {
        let mut tracker = LinkTracker::new(self.unresponsive_after, Instant::now());
        loop {
            let began = Instant::now();
            let answer = match timeout(LOOK_TIMEOUT, self.source.link()).await {
                Ok(Ok(state)) => Some(state),
                Ok(Err(failure)) => match self.end(&failure) {
                    Some(end) => {
                        if self.onboarding.last().await != LastEvent::Disconnected {
                            self.onboarding.disconnected(end.as_str()).await?;
                        }
                        return Ok(end);
                    }
                    None => None,
                },
                Err(_) => None,
            };
            tracker.record(answer, began, Instant::now());
            self.send_due(&mut tracker).await?;
            sleep(self.every).await;
        }
    }

    /// Carries out what is due, up to an extraction.
    async fn send_due(&self, tracker: &mut LinkTracker) -> Result<(), OnboardError> {
        while let Some(action) = tracker.due(&self.onboarding.last().await, Instant::now()) {
            match action {
                Action::Disconnect(reason) => self.onboarding.disconnected(reason).await?,
                Action::QrCode => self.onboarding.qr_code(QrCode::unknown()).await?,
                Action::QrExpired => self.onboarding.qr_code(QrCode::expired()).await?,
                Action::Authenticate => self.onboarding.authenticated().await?,
                Action::Extract => {
                    self.onboarding.attempt(false).await?;
                    break;
                }
            }
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
            .field("unresponsive_after", &self.unresponsive_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
