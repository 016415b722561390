//! [`Onboarding`]: one outcome per session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::delivery::{Deliveries, DeliveryState};
use super::error::OnboardError;
use super::last_event::LastEvent;
use super::span;
use super::state::{Accepted, Receipt, State};
use crate::codes;
use crate::event::{EventSink, Failed, QrCode, Ready, Sequence, SessionEvent, SessionKey};
use crate::extract::{ErrorKind, ExtractError, Extraction, PhoneExtractor};
use crate::phone::PhoneNumber;
use crate::retry::Backoff;
use crate::span::fail;
use crate::store::SessionRow;

/// Pause between the extractions after a `session_error`.
const EXTRACTION_PAUSE: Duration = Duration::from_secs(1);

/// How many numbers are left out if the sink withholds an event: as many as an earlier onboarding may have
/// given to events that waited.
const SEQ_LEAP: u64 = 64;

/// The default deadline of a delivery.
const DELIVERY_DEADLINE: Duration = Duration::from_secs(60);

/// Sends the events of one session to a sink, from its QR code to its number and its end. Cheap to
/// clone; clones share their state.
///
/// - [`run`](Self::run) has one outcome: a `session_ready` or a `session_error` that the sink has
///   accepted. Concurrent runs wait for each other. If the last event was a `session_ready` with the
///   same number, it is not sent again.
/// - [`qr_code`](Self::qr_code), [`authenticated`](Self::authenticated) and
///   [`disconnected`](Self::disconnected) queue their event at the call. Await the result to know that the
///   sink has accepted it, or drop it to continue at once: it is [delivered](super#delivery) all the same. Only
///   if 64 events wait, it finds no room, and is logged and in the `queue_full` error.
/// - The events of one session are sent in order. Transient errors are retried by
///   [`delivery`](Self::delivery).
/// - An [`OnboardError`] has the event that was not accepted.
///
/// ```
/// use whatsapp_phone::event::channel;
/// use whatsapp_phone::event::{EventKind, SessionKey};
/// use whatsapp_phone::onboard::{Onboarded, Onboarding};
/// use whatsapp_phone::source::Assurance;
/// use whatsapp_phone::source::mock::MockSource;
/// use whatsapp_phone::{Extractor, RetryPolicy};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let source = MockSource::new("mock");
/// let number = source.look("628110000041@c.us".parse()?, Assurance::Confirmed);
/// let extractor = Extractor::builder().source(source.at(Default::default(), number)).build()?;
///
/// let (sink, mut events) = channel::channel(16);
/// let onboarding = Onboarding::new(SessionKey::new(7, "session-1")?, extractor, sink);
/// assert!(matches!(onboarding.run().await?, Onboarded::Ready(_)));
/// assert!(matches!(events.recv().await.unwrap().kind(), EventKind::SessionReady(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "an onboarding does nothing until it is run"]
pub struct Onboarding {
    pub(super) session: SessionKey,
    pub(super) extractor: Arc<dyn PhoneExtractor>,
    sequence: Option<Sequence>,
    bound: Option<PhoneNumber>,
    keep_extracting: Duration,
    /// Held during an extraction: one at a time.
    extracting: Arc<Mutex<()>>,
    pub(super) deliveries: Deliveries,
}

/// How a [`run`](Onboarding::run) ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Onboarded {
    /// The sink has accepted the number.
    Ready(Extraction),
    /// The sink has accepted a `session_error` with this reason.
    Failed(Failed),
    /// The session was [disconnected](Onboarding::disconnected) during the extraction: its outcome
    /// is outdated, and no event was sent.
    Disconnected,
}

impl Onboarding {
    /// Makes an onboarding of this session. The extractor finds the number; the sink gets the events.
    pub fn new(
        session: SessionKey,
        extractor: impl PhoneExtractor + 'static,
        sink: impl EventSink + 'static,
    ) -> Self {
        // A unit test checks that it is valid.
        let backoff = Backoff::builder().deadline(DELIVERY_DEADLINE).build();
        Self {
            session,
            extractor: Arc::new(extractor),
            sequence: None,
            bound: None,
            keep_extracting: Duration::ZERO,
            extracting: Arc::default(),
            deliveries: Deliveries::new(sink, backoff.unwrap_or_default()),
        }
    }

    /// Continues a session from its row, as [`SessionStore::register`](crate::store::SessionStore::register)
    /// returns it: the row's status and number count as the last event that was sent, and `seq`
    /// continues after the row's `last_seq`, or after that of the [`sequence`](Self::sequence) if it is
    /// greater. Without it an onboarding does not know what an earlier process has sent. A row of another
    /// session is ignored and logged. Call it before the first event.
    pub fn resume(self, row: &SessionRow) -> Self {
        if row.session != self.session {
            tracing::warn!(session = %self.session, row = %row.session, "not resumed: the row is another session's");
            return self;
        }
        self.deliveries.lock().last = row.into();
        self.sequence(Sequence::after(row.last_seq))
    }

    /// Numbers the session's events, so that receivers can restore their order. A new process must
    /// continue after the last number that was used, as [`resume`](Self::resume) does; otherwise stores
    /// ignore its events as out of order. If this is called after `resume`, or again, the greater of both
    /// counts continues; the order of the calls does not matter. Default: no numbers; the order is that of
    /// arrival.
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        if let Some(before) = &self.sequence {
            sequence.raise(before.last());
        }
        self.sequence = Some(sequence);
        self
    }

    /// Sets the number that the session is bound to. Another number is refused as `rebind_refused`:
    /// a user has scanned with the wrong account. Default: any number is accepted. A store also
    /// applies its own [`RebindPolicy`](crate::store::RebindPolicy).
    pub fn bound_to(mut self, phone: PhoneNumber) -> Self {
        self.bound = Some(phone);
        self
    }

    /// Repeats the extraction for this long after a `session_error`; a number that is found then is
    /// sent once. Ends early if the page or its browser is gone. Default: zero, no repetition.
    pub fn keep_extracting(mut self, time: Duration) -> Self {
        self.keep_extracting = time;
        self
    }

    /// Sets when an event is sent again that the sink did not accept. The event is given up after the last
    /// attempt and at the deadline, and is then in the [`OnboardError`] of its call. Each attempt takes at
    /// most 10 s. Default: [`Backoff::default`] with a deadline of 60 s.
    pub fn delivery(mut self, backoff: Backoff) -> Self {
        self.deliveries.backoff = backoff;
        self
    }

    /// Returns the session that the events are about.
    #[must_use]
    pub fn session(&self) -> &SessionKey {
        &self.session
    }

    /// Returns what waits for the sink.
    #[must_use]
    pub fn delivery_state(&self) -> DeliveryState {
        self.deliveries.state()
    }

    /// Queues `qr_code_generated`: the session waits to be linked by this code. An
    /// [expired](QrCode::expired) code is sent without a `seq`, because stores ignore it.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub fn qr_code(&self, qr: QrCode) -> impl Future<Output = Result<(), OnboardError>> + use<> {
        let last = match qr.is_expired() {
            true => LastEvent::QrExpired,
            false => LastEvent::QrCode,
        };
        let event = SessionEvent::qr_code_generated(self.session.clone(), qr);
        self.queue(event, last)
    }

    /// Queues `session_authenticated`: the phone has accepted the code.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub fn authenticated(&self) -> impl Future<Output = Result<(), OnboardError>> + use<> {
        let event = SessionEvent::session_authenticated(self.session.clone());
        self.queue(event, LastEvent::Authenticated)
    }

    /// Queues `session_disconnected`, also if 64 events wait already: beside these the latest one waits. The
    /// outcome of an extraction in progress is discarded from the call on, even if earlier events still wait
    /// for the sink.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it; `superseded` if another disconnect has replaced it.
    pub fn disconnected(
        &self,
        reason: &str,
    ) -> impl Future<Output = Result<(), OnboardError>> + use<> {
        self.deliveries.lock().disconnects += 1;
        let event = SessionEvent::session_disconnected(self.session.clone(), reason);
        self.queue(event, LastEvent::Disconnected)
    }

    /// Extracts the number and sends `session_ready`, or `session_error` with the reason. If the sink
    /// refuses the number (`number_already_connected`, `rebind_refused`, `unknown_session`,
    /// `invalid_event`), as a store does that has it in another session, the `session_error` has the
    /// sink's code.
    ///
    /// If the future is dropped during the extraction, nothing is sent.
    ///
    /// # Errors
    ///
    /// If the sink accepted neither.
    pub async fn run(&self) -> Result<Onboarded, OnboardError> {
        let span = span(&self.session);
        let result = self.extract_until_final().instrument(span.clone()).await;
        match &result {
            Ok(Onboarded::Failed(failed)) => fail(&span, failed.code().unwrap_or("unknown")),
            Ok(_) => {}
            Err(error) => fail(&span, error.code()),
        }
        result
    }

    async fn extract_until_final(&self) -> Result<Onboarded, OnboardError> {
        let (mut outcome, mut may_come) = self.attempt(true).await?;
        let start = Instant::now();
        while may_come && start.elapsed() + EXTRACTION_PAUSE < self.keep_extracting {
            sleep(EXTRACTION_PAUSE).await;
            (outcome, may_come) = self.attempt(false).await?;
        }
        Ok(outcome)
    }

    /// Extracts once and sends the outcome. An error that was the last event, and a number that was refused,
    /// are sent again only if `repeats`. Also returns whether another attempt may find a number.
    async fn attempt(&self, repeats: bool) -> Result<(Onboarded, bool), OnboardError> {
        let _one_at_a_time = self.extracting.lock().await;
        let disconnects = self.deliveries.lock().disconnects;
        let result = self.extractor.extract().await;
        let may_come = matches!(&result, Err(error) if !is_final(error.kind()));
        if let Ok(found) = &result
            && self.last() == LastEvent::Ready(found.phone.clone())
        {
            self.deliveries.settled().await;
        }
        let outcome = match self.conclude(disconnects, result, repeats) {
            (outcome, None) => outcome,
            (outcome, Some(receipt)) => match self.deliveries.accepted(receipt).await? {
                Accepted::Event => outcome,
                Accepted::Refusal(failed) => Onboarded::Failed(failed),
            },
        };
        let may_come = may_come && matches!(outcome, Onboarded::Failed(_));
        Ok((outcome, may_come))
    }

    /// Extracts once and queues the outcome, unless it was the last event or is refused.
    pub(super) async fn extract(&self) {
        let _one_at_a_time = self.extracting.lock().await;
        let disconnects = self.deliveries.lock().disconnects;
        let result = self.extractor.extract().await;
        self.conclude(disconnects, result, false);
        self.deliveries.start();
    }

    /// Queues the event of an extraction, if it has one. Returns the outcome for the case that the sink
    /// accepts the event.
    fn conclude(
        &self,
        disconnects: u64,
        result: Result<Extraction, ExtractError>,
        repeats: bool,
    ) -> (Onboarded, Option<Receipt>) {
        let mut state = self.deliveries.lock();
        if state.disconnects != disconnects {
            return (Onboarded::Disconnected, None);
        }
        let failed = match result {
            Err(error) => Failed::from(&error),
            Ok(found) if self.bound.as_ref().is_some_and(|it| *it != found.phone) => {
                let text = "another account was scanned than the session belongs to; unlink it and scan with the right one, or use a new session";
                Failed::new(codes::REBIND_REFUSED, text)
            }
            Ok(found) => {
                let last = LastEvent::Ready(found.phone.clone());
                if state.last == last {
                    return (Onboarded::Ready(found), None);
                }
                let refused = state.blocking().filter(|_| !repeats);
                if let Some(it) = refused.filter(|it| it.phone.as_ref() == Some(&found.phone)) {
                    let failed = Failed::new(it.error.code(), it.error.to_string());
                    return (Onboarded::Failed(failed), None);
                }
                let ready = Ready::from(&found);
                let event = SessionEvent::session_ready(self.session.clone(), ready);
                let receipt = self.push(&mut state, event, last, repeats);
                return (Onboarded::Ready(found), Some(receipt));
            }
        };
        let last = LastEvent::Failed(failed.code().map(str::to_owned));
        let receipt = (repeats || state.last != last).then(|| {
            let event = SessionEvent::session_error(self.session.clone(), failed.clone());
            self.push(&mut state, event, last, repeats)
        });
        (Onboarded::Failed(failed), receipt)
    }

    /// Goes on after the row was changed by another program: events may follow its `last_seq`, and refusals
    /// are reported again.
    pub(super) fn row_changed(&self, row: Option<&SessionRow>) {
        if let (Some(sequence), Some(row)) = (&self.sequence, row) {
            sequence.raise(row.last_seq.unwrap_or(0));
        }
        self.deliveries.lock().row_changed();
    }

    pub(super) fn queue(
        &self,
        event: SessionEvent,
        last: LastEvent,
    ) -> impl Future<Output = Result<(), OnboardError>> + use<> {
        let receipt = self.push(&mut self.deliveries.lock(), event, last, true);
        let deliveries = self.deliveries.clone();
        deliveries.start();
        async move { deliveries.accepted(receipt).await.map(drop) }
    }

    fn push(
        &self,
        state: &mut State,
        event: SessionEvent,
        last: LastEvent,
        repeats: bool,
    ) -> Receipt {
        // Stores do not record the `seq` of an expired code, so a new process would use it again.
        let sequence = self.sequence.as_ref();
        let sequence = sequence.filter(|_| last != LastEvent::QrExpired);
        if let Some(sequence) = sequence
            && std::mem::take(&mut state.is_behind)
        {
            sequence.raise(sequence.last() + SEQ_LEAP);
        }
        state.push(event, last, repeats, |event| match sequence {
            Some(sequence) => event.with_seq(sequence.next()),
            None => event,
        })
    }

    /// Returns the last event.
    pub(super) fn last(&self) -> LastEvent {
        self.deliveries.lock().last.clone()
    }
}

/// Returns whether a retry cannot find a number.
const fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PageClosed
            | ErrorKind::BrowserGone
            | ErrorKind::Misconfigured
            | ErrorKind::AmbiguousTab
    )
}

impl fmt::Debug for Onboarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onboarding")
            .field("session", &self.session)
            .field("sink", &self.deliveries.sink.name())
            .field("bound", &self.bound)
            .field("keep_extracting", &self.keep_extracting)
            .finish_non_exhaustive()
    }
}
