//! From an extraction to its event: [`Onboarding`].
//!
//! ```text
//! QR code shown -> phone accepts it -> number found
//!  qr_code()        authenticated()     run(): session_ready, or session_error
//!                                       later: disconnected()
//! ```
//!
//! An [`Onboarding`] remembers the last event that its sink has accepted, so it does not send the same
//! number twice; after a restart of the process it [resumes](Onboarding::resume) from the session's
//! row. A program that gets the WhatsApp client's own events calls the methods.
//! [`Watch`](crate::watch::Watch) calls them for a program that has only the page.

mod deliver;
mod error;
mod last;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

pub use self::error::OnboardError;
pub(crate) use self::last::LastEvent;
use crate::event::{EventSink, Failed, QrCode, Ready, Sequence, SessionEvent, SessionKey};
use crate::extract::{ErrorKind, Extraction, PhoneExtractor};
use crate::phone::PhoneNumber;
use crate::retry::RetryPolicy;
use crate::store::SessionRow;

/// Pause between the extractions after a `session_error`.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends the events of one session to a sink, from its QR code to its number and its end. Cheap to
/// clone; clones share their state.
///
/// - [`run`](Self::run) has one outcome: a `session_ready` or a `session_error` that the sink has
///   accepted. Concurrent runs wait for each other. If the last event was a `session_ready` with the
///   same number, it is not sent again.
/// - The events of one session are sent in order. A transient refusal is retried by the policy of
///   [`delivery`](Self::delivery).
/// - An [`OnboardError`] carries the event that was not accepted, so that nothing is lost.
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
pub struct Onboarding {
    session: SessionKey,
    extractor: Arc<dyn PhoneExtractor>,
    sink: Arc<dyn EventSink>,
    sequence: Option<Sequence>,
    bound: Option<PhoneNumber>,
    keep_watching: Duration,
    delivery: RetryPolicy,
    /// Held during an extraction: one at a time.
    extracting: Arc<Mutex<()>>,
    sent: Arc<Mutex<Sent>>,
}

/// The events that the sink has accepted. Locked during a delivery, so that events keep their order.
#[derive(Debug, Default)]
struct Sent {
    last: LastEvent,
    /// Number of disconnects.
    disconnects: u64,
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
        Self {
            session,
            extractor: Arc::new(extractor),
            sink: Arc::new(sink),
            sequence: None,
            bound: None,
            keep_watching: Duration::ZERO,
            delivery: deliver::policy(),
            extracting: Arc::default(),
            sent: Arc::default(),
        }
    }

    /// Continues a session from its row, as [`SessionStore::register`](crate::store::SessionStore::register)
    /// returns it: the row's status and number count as the last event that was sent, and `seq`
    /// continues after the row's `last_seq`. Without it an onboarding does not know what an earlier
    /// process has sent. A row of another session is ignored and logged. Call it before the first clone.
    #[must_use]
    pub fn resume(mut self, row: &SessionRow) -> Self {
        if row.session != self.session {
            tracing::warn!(session = %self.session, row = %row.session, "not resumed: the row is another session's");
            return self;
        }
        self.sequence = Some(Sequence::after(row.last_seq));
        self.sent = Arc::new(Mutex::new(Sent {
            last: row.into(),
            disconnects: 0,
        }));
        self
    }

    /// Numbers the session's events, so that receivers can restore their order. A new process must
    /// continue after the last number that was used, as [`resume`](Self::resume) does; otherwise stores
    /// ignore its events as out of order. Default: no numbers; the order is that of arrival.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// Sets the number that the session is bound to. Another number is refused as `rebind_refused`:
    /// a user has scanned with the wrong account. Default: any number is accepted. A store also
    /// applies its own [`RebindPolicy`](crate::store::RebindPolicy).
    #[must_use]
    pub fn bound_to(mut self, phone: PhoneNumber) -> Self {
        self.bound = Some(phone);
        self
    }

    /// Repeats the extraction for this long after a `session_error`; a number that is found then is
    /// sent once. Ends early if the page or its browser is gone. Default: zero, no repetition.
    #[must_use]
    pub fn keep_watching(mut self, time: Duration) -> Self {
        self.keep_watching = time;
        self
    }

    /// Sets how the delivery of an event is retried. The look timeout bounds each attempt, the deadline
    /// all of them. Default: at once, then after 100 ms growing to 5 s; each attempt takes at most
    /// 10 s, all together 60 s.
    #[must_use]
    pub fn delivery(mut self, policy: RetryPolicy) -> Self {
        self.delivery = policy;
        self
    }

    /// Returns the session that the events are about.
    #[must_use]
    pub fn session(&self) -> &SessionKey {
        &self.session
    }

    /// Sends `qr_code_generated`: the session waits to be linked by this code. An
    /// [expired](QrCode::expired) code is sent without a `seq`, because stores ignore it.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub async fn qr_code(&self, qr: QrCode) -> Result<(), OnboardError> {
        let last = match qr.is_expired() {
            true => LastEvent::QrExpired,
            false => LastEvent::QrCode,
        };
        let event = SessionEvent::qr_code_generated(self.session.clone(), qr);
        self.send(event, last).await
    }

    /// Sends `session_authenticated`: the phone has accepted the code.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub async fn authenticated(&self) -> Result<(), OnboardError> {
        let event = SessionEvent::session_authenticated(self.session.clone());
        self.send(event, LastEvent::Authenticated).await
    }

    /// Sends `session_disconnected`. The outcome of an extraction in progress is discarded.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub async fn disconnected(&self, reason: &str) -> Result<(), OnboardError> {
        let mut sent = self.sent.lock().await;
        sent.disconnects += 1;
        let event = SessionEvent::session_disconnected(self.session.clone(), reason);
        self.deliver(&mut sent, event, LastEvent::Disconnected)
            .await
    }

    /// Returns the last event that the sink has accepted.
    pub(crate) async fn last(&self) -> LastEvent {
        self.sent.lock().await.last.clone()
    }

    /// Extracts the number and sends `session_ready`, or `session_error` with the reason. If the sink
    /// refuses the number (`number_already_connected`, `rebind_refused`, `unknown_session`,
    /// `invalid_event`), as a store does that has it in another session, the `session_error` has the
    /// sink's code.
    ///
    /// If the future is dropped, the outcome may or may not have been sent; the next run sends it.
    ///
    /// # Errors
    ///
    /// If the sink accepted neither.
    pub async fn run(&self) -> Result<Onboarded, OnboardError> {
        let (mut outcome, mut may_come) = self.attempt(true).await?;
        let start = Instant::now();
        while may_come && start.elapsed() + PAUSE < self.keep_watching {
            sleep(PAUSE).await;
            (outcome, may_come) = self.attempt(false).await?;
        }
        Ok(outcome)
    }

    /// Extracts once and sends the outcome; an error that was the last event is sent again only if
    /// `repeats`. Also returns whether another attempt may find a number.
    pub(crate) async fn attempt(&self, repeats: bool) -> Result<(Onboarded, bool), OnboardError> {
        let _one_at_a_time = self.extracting.lock().await;
        let disconnects = self.sent.lock().await.disconnects;
        let (failed, may_come) = match self.extractor.extract().await {
            Ok(found) => match self.send_ready(disconnects, found).await? {
                Ok(onboarded) => return Ok((onboarded, false)),
                // Another account, or another session's number: a retry finds the same.
                Err(refused) => (refused, false),
            },
            Err(error) => (Failed::from(&error), !is_final(error.kind())),
        };
        let outcome = self.send_error(disconnects, failed, repeats).await?;
        let may_come = may_come && matches!(outcome, Onboarded::Failed(_));
        Ok((outcome, may_come))
    }

    /// Sends the number. The inner error: it is refused permanently.
    async fn send_ready(
        &self,
        disconnects: u64,
        found: Extraction,
    ) -> Result<Result<Onboarded, Failed>, OnboardError> {
        if self
            .bound
            .as_ref()
            .is_some_and(|bound| *bound != found.phone)
        {
            let text = "another account was scanned than the session belongs to; unlink it and scan with the right one, or use a new session";
            return Ok(Err(Failed::new("rebind_refused", text)));
        }
        let mut sent = self.sent.lock().await;
        if sent.disconnects != disconnects {
            return Ok(Ok(Onboarded::Disconnected));
        }
        let last = LastEvent::Ready(found.phone.clone());
        if sent.last == last {
            return Ok(Ok(Onboarded::Ready(found)));
        }
        let ready = SessionEvent::session_ready(self.session.clone(), Ready::from(&found));
        match self.deliver(&mut sent, ready, last).await {
            Ok(()) => Ok(Ok(Onboarded::Ready(found))),
            Err(error) if REFUSALS.contains(&error.code()) => Ok(Err(error.into())),
            Err(error) => Err(error),
        }
    }

    async fn send_error(
        &self,
        disconnects: u64,
        failed: Failed,
        repeats: bool,
    ) -> Result<Onboarded, OnboardError> {
        let mut sent = self.sent.lock().await;
        if sent.disconnects != disconnects {
            return Ok(Onboarded::Disconnected);
        }
        let last = LastEvent::Failed(failed.code().map(str::to_owned));
        if repeats || sent.last != last {
            let event = SessionEvent::session_error(self.session.clone(), failed.clone());
            self.deliver(&mut sent, event, last).await?;
        }
        Ok(Onboarded::Failed(failed))
    }

    async fn send(&self, event: SessionEvent, last: LastEvent) -> Result<(), OnboardError> {
        let mut sent = self.sent.lock().await;
        self.deliver(&mut sent, event, last).await
    }

    /// Sends an event until the sink accepts it, and then remembers it as the last one.
    async fn deliver(
        &self,
        sent: &mut Sent,
        event: SessionEvent,
        last: LastEvent,
    ) -> Result<(), OnboardError> {
        let event = match &self.sequence {
            // Stores do not record it, so a new process would give its number to another event.
            _ if last == LastEvent::QrExpired => event,
            Some(sequence) => event.with_seq(sequence.next()),
            None => event,
        };
        if !(last.is_qr_code() && sent.last.is_unlinked()) {
            sent.last = LastEvent::Unconfirmed;
        }
        match deliver::deliver(&*self.sink, &event, &self.delivery).await {
            Ok(()) => {
                sent.last = last;
                Ok(())
            }
            Err(error) => Err(OnboardError::new(event, error)),
        }
    }
}

/// The codes of a sink that refuses a number; after any other error it may have accepted the number.
const REFUSALS: [&str; 4] = [
    "number_already_connected",
    "rebind_refused",
    "unknown_session",
    "invalid_event",
];

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
            .field("sink", &self.sink.name())
            .field("bound", &self.bound)
            .field("keep_watching", &self.keep_watching)
            .finish_non_exhaustive()
    }
}
