//! [`PageMonitor`]: the events of a session, from its page alone.

mod retries;
mod tracker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use self::tracker::{Action, LinkTracker};
use super::delivery::DeliveryState;
use super::last_event::LastEvent;
use super::onboarding::Onboarding;
use super::span;
use super::state::Refusal;
use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::codes;
use crate::event::{EventSink, QrCode, Sequence, SessionKey};
use crate::extract::{Extractor, ExtractorBuilder};
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState};
use crate::metrics::WatchedPage;
use crate::phone::PhoneNumber;
use crate::retry::Backoff;
use crate::source::InfoSource;
use crate::store::{SessionRow, SessionStore};

/// Longest time of one look at the page, and of one look at the row.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`PageMonitor::run`] waits for the delivery of the last events when the page is gone.
const LAST_DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Looks at a page at an interval, extracts its number, and sends the events of its session to a sink.
///
/// | the page | event |
/// |---|---|
/// | shows a QR code | `qr_code_generated`, with the code if the page can [read](LinkSource::qr) it: again for each new code, and after 60 s of the same one, at most 10 times a minute. Without it: again every 10 minutes |
/// | its QR code has expired | `qr_code_generated` with `expired`, once |
/// | the phone has accepted the code | `session_authenticated`; again every 10 minutes for at most 6 hours |
/// | connected | `session_authenticated` after a QR code or a disconnect; then `session_ready` or `session_error` |
/// | shows a QR code again after any other event | first `session_disconnected`, reason `unlinked` |
/// | stopped by WhatsApp | `session_disconnected`, reason `conflict`, `proxy_block` or `tos_block` |
/// | [`Unknown`](crate::link::LinkState::Unknown) for 60 s | `session_disconnected`, reason `not_started`, once; not before the session's first event |
/// | without an answer for [5 minutes](Self::unresponsive_after) | `session_disconnected`, reason `unresponsive`, once |
/// | page or browser gone | `session_disconnected`, reason `page_closed` or `browser_gone`; the monitor ends |
///
/// A logout connects the page for a moment, so an event is sent for a state only after all looks over
/// one second or more, at least two, have agreed on it. The second runs from the end of the first look
/// to the start of the latest one, so that slow looks prove no more than fast ones. A page that
/// reconnects, or that reloads and is connected again within 60 s, causes no event. Looks that fail or
/// time out do not count towards these 60 s.
///
/// If a failed extraction was sent as `session_error`, `PageMonitor` extracts again while the page stays
/// connected, and sends another `session_error` only if its code has changed.
///
/// # When the sink fails or refuses
///
/// If the sink is down, the monitor continues, and its events wait: [`delivery_state`](Self::delivery_state) says
/// so. They are [queued](super#delivery) and retried until the sink accepts them, permanent errors
/// included. While the queue is full no event is formed; the state of the page at the time at which there is
/// room again is then sent. Only the `session_disconnected` of a page or browser that has gone is queued beside
/// the others.
///
/// If the sink refuses a number, the monitor sends one `session_error` with the sink's code, and sends the
/// number again only when
///
/// - the extraction gives another number,
/// - the page has changed: it was [reloaded](LinkSource::document), or its state was another one,
/// - the session's row has changed, if the monitor has its [`store`](Self::store),
/// - the caller says so by [`try_again`](Self::try_again), or
/// - five minutes have passed, since another session may have left the number.
///
/// If it is refused again, another `session_error` is sent only if the number, the code or the row has
/// changed. If the sink refuses any other event, or does not know the session (`unknown_session`), the monitor
/// sends nothing until then. A refusal that comes when the page has changed already stops nothing. [`StoreSink::register_unknown`](crate::store::StoreSink::register_unknown) registers an
/// unknown session again instead.
///
/// After a restart of the process, [`resume`](Self::resume) from the session's row. Otherwise the monitor does
/// not know whether a store still says connected, and the first event of a page that shows a QR code is a
/// `session_disconnected`.
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionKey};
/// use whatsapp_phone::link::LinkSource;
/// use whatsapp_phone::onboard::{Ended, PageMonitor};
/// use whatsapp_phone::source::{Assurance, InfoSource};
/// use whatsapp_phone::store::{SessionStore, StoreError, StoreSink};
///
/// async fn follow(
///     page: impl InfoSource + LinkSource + 'static, // WebDriverSource::all(&page)
///     store: impl SessionStore + Clone + 'static,
///     session: SessionKey,
/// ) -> Result<Ended, StoreError> {
///     let row = store.register(&session).await?;
///     let monitor = PageMonitor::new(session, page, StoreSink::new(store.clone()))
///         .resume(&row)
///         .store(store)
///         .extractor(|extractor| extractor.accept(Assurance::Confirmed));
///     Ok(monitor.run().await)
/// }
/// ```
#[must_use = "a monitor does nothing until `run`"]
pub struct PageMonitor {
    pub(super) onboarding: Onboarding,
    extractor: ExtractorBuilder,
    page: Arc<dyn LinkSource>,
    every: Duration,
    unresponsive_after: Duration,
    classifier: ProtocolErrorClassifier,
    store: Option<Arc<dyn SessionStore>>,
    tries_again: AtomicBool,
}

/// The reason for which a [`PageMonitor`] ended by itself.
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
            Self::PageClosed => codes::PAGE_CLOSED,
            Self::BrowserGone => codes::BROWSER_GONE,
        }
    }
}

impl PageMonitor {
    /// Makes a monitor that looks at this page once a second and sends the events of the session to this
    /// sink. The page is also the first source of the [`extractor`](Self::extractor).
    pub fn new<P: InfoSource + LinkSource + 'static>(
        session: SessionKey,
        page: P,
        sink: impl EventSink + 'static,
    ) -> Self {
        let page = Arc::new(page);
        let extractor = Extractor::builder().source(Arc::clone(&page));
        let mut onboarding = Onboarding::new(session, extractor.0.clone(), sink);
        onboarding = onboarding.delivery(Backoff::default());
        onboarding.deliveries.retries_all = true;
        Self {
            onboarding,
            extractor,
            page,
            every: Duration::from_secs(1),
            unresponsive_after: Duration::from_secs(5 * 60),
            classifier: ProtocolErrorClassifier::new(),
            store: None,
            tries_again: AtomicBool::new(false),
        }
    }

    /// Changes the extractor: its policy, the assurance that it accepts, further sources. Default:
    /// [`Extractor::builder`] with the page as its source.
    pub fn extractor(mut self, change: impl FnOnce(ExtractorBuilder) -> ExtractorBuilder) -> Self {
        self.extractor = change(self.extractor);
        self.onboarding.extractor = Arc::new(self.extractor.0.clone());
        self
    }

    /// Continues a session from its row, as [`Onboarding::resume`] does.
    pub fn resume(mut self, row: &SessionRow) -> Self {
        self.onboarding = self.onboarding.resume(row);
        self
    }

    /// Numbers the session's events, as [`Onboarding::sequence`] does.
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.onboarding = self.onboarding.sequence(sequence);
        self
    }

    /// Sets the number that the session is bound to, as [`Onboarding::bound_to`] does.
    pub fn bound_to(mut self, phone: PhoneNumber) -> Self {
        self.onboarding = self.onboarding.bound_to(phone);
        self
    }

    /// Sets when an event is sent again that the sink did not accept. Without limits, as by default, no
    /// event is given up; with a number of attempts or a deadline, an event is given up and logged then.
    /// Default: [`Backoff::default`].
    pub fn delivery(mut self, backoff: Backoff) -> Self {
        self.onboarding = self.onboarding.delivery(backoff);
        self
    }

    /// Sets the store that holds the session's row. After a refusal the monitor reads the row every 10 s, and
    /// tries again when its status or number has changed, or if the row is not the reason for the refusal.
    pub fn store(mut self, store: impl SessionStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Sets the pause between two looks, at least 10 ms. Default: 1 s. A shorter one notices sooner
    /// that the page has gone or that a state has lasted for its second; the second stays.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets how long looks may fail or time out before the session counts as disconnected, reason
    /// `unresponsive`. It is connected again when the page answers. Default: 5 minutes.
    pub fn unresponsive_after(mut self, time: Duration) -> Self {
        self.unresponsive_after = time;
        self
    }

    /// Tries again at the next look what the sink has refused. Call it when the obstacle may be gone, for
    /// example when another session of the workspace has ended.
    pub fn try_again(&self) {
        self.tries_again.store(true, Ordering::Relaxed);
    }

    /// Returns what waits for the sink.
    #[must_use]
    pub fn delivery_state(&self) -> DeliveryState {
        self.onboarding.delivery_state()
    }

    /// Watches until the page or its browser is gone, and then waits up to 60 s until the sink has accepted
    /// all events. The future may be dropped; queued events are delivered while the monitor exists, and the
    /// next run continues after them.
    pub async fn run(&self) -> Ended {
        let span = span(&self.onboarding.session);
        let watch = async {
            tokio::select! {
                biased;
                ended = self.look() => ended,
                never = self.retry_refused() => match never {},
            }
        };
        let ended = watch.instrument(span.clone()).await;
        span.record("whatsapp_phone.ended", ended.as_str());
        ended
    }

    async fn look(&self) -> Ended {
        let mut tracker = LinkTracker::new(self.unresponsive_after, Instant::now());
        let mut watched = WatchedPage::new();
        loop {
            let began = Instant::now();
            let answer = match timeout(LOOK_TIMEOUT, self.page.link()).await {
                Ok(Ok(state)) => Some(state),
                Ok(Err(failure)) => match self.end(&failure) {
                    Some(end) => {
                        self.disconnect(end).await;
                        return end;
                    }
                    None => None,
                },
                Err(_) => None,
            };
            let document = answer.and_then(|_| self.page.document());
            let has_page_changed = tracker.record(answer, document, began, Instant::now());
            watched.set_unresponsive(tracker.is_unresponsive());
            tracker.code = match answer {
                Some(LinkState::Unlinked) => self.code().await,
                _ => None,
            };
            if self.tries_again.swap(false, Ordering::Relaxed) || has_page_changed {
                self.onboarding.deliveries.lock().try_again();
            }
            self.queue_due(&mut tracker).await;
            sleep(self.every).await;
        }
    }

    /// Queues the events that are due, up to an extraction.
    async fn queue_due(&self, tracker: &mut LinkTracker) {
        while self.may_send() {
            let Some(action) = tracker.due(&self.onboarding.last(), Instant::now()) else {
                return;
            };
            // The delivery continues without these futures.
            match action {
                Action::Disconnect(reason) => drop(self.onboarding.disconnected(reason)),
                Action::QrCode => {
                    let code = tracker.code.clone();
                    drop(
                        self.onboarding
                            .qr_code(code.unwrap_or_else(QrCode::unknown)),
                    );
                }
                Action::QrExpired => drop(self.onboarding.qr_code(QrCode::expired())),
                Action::Authenticate => drop(self.onboarding.authenticated()),
                Action::Extract => return self.onboarding.extract().await,
            }
        }
    }

    /// Reads the QR code that the page shows. `None`: it cannot be read.
    async fn code(&self) -> Option<QrCode> {
        let code = timeout(LOOK_TIMEOUT, self.page.qr()).await.ok()?.ok()?;
        code.filter(|code| !code.time_left().is_zero())
    }

    /// Returns whether there is room for an event, and the sink knows the session.
    fn may_send(&self) -> bool {
        let state = self.onboarding.deliveries.lock();
        let is_number = |refusal: &Refusal| refusal.phone.is_some();
        state.has_room() && state.blocking().is_none_or(is_number)
    }

    async fn disconnect(&self, end: Ended) {
        let delivered = async {
            if self.onboarding.last() != LastEvent::Disconnected {
                drop(self.onboarding.disconnected(end.as_str()));
            }
            self.onboarding.deliveries.settled().await;
        };
        if timeout(LAST_DELIVERY_TIMEOUT, delivered).await.is_err() {
            let waiting = self.delivery_state().waiting;
            tracing::warn!(session = %self.onboarding.session(), waiting, "the monitor has ended, and events still wait for the sink");
        }
    }

    fn end(&self, failure: &ProtocolFailure) -> Option<Ended> {
        match self.classifier.classify(failure).verdict(Phase::Live) {
            Verdict::EndSession => Some(Ended::PageClosed),
            Verdict::EndBrowser => Some(Ended::BrowserGone),
            _ => None,
        }
    }
}

impl fmt::Debug for PageMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageMonitor")
            .field("onboarding", &self.onboarding)
            .field("every", &self.every)
            .field("unresponsive_after", &self.unresponsive_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
