//! From an extraction to its event: [`Onboarding`].
//!
//! ```text
//! QR code shown -> phone accepts it -> number found
//!  qr_code()        authenticated()     run(): session_ready, or session_error
//!                                       later: disconnected()
//! ```
//!
//! A host that hears of these moments calls the methods. For one that has only the page,
//! [`Watch`](crate::watch::Watch) notices them and calls.

mod deliver;
mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

pub use self::error::OnboardError;
use crate::event::{EventSink, Failed, QrCode, Ready, Sequence, SessionEvent, SessionKey};
use crate::extract::{ErrorKind, Extraction, PhoneExtractor};
use crate::phone::PhoneNumber;
use crate::retry::RetryPolicy;

/// Pause between extractions that go on after the error.
const PAUSE: Duration = Duration::from_secs(1);

/// Brings one session from its QR code to its number, and tells a sink. Cheap to clone; clones are
/// the same onboarding.
///
/// - [`run`](Self::run) has one outcome: a `session_ready` or a `session_error` that the sink has
///   accepted. Runs at the same time are one after the other, and a number that was announced
///   already is not announced again.
/// - The events of one session are numbered and sent in order, each until the sink accepts it: what
///   it cannot take for now is sent again, by the policy of [`delivery`](Self::delivery).
/// - What ends with an [`OnboardError`] was not accepted; the error carries the event, so nothing is
///   lost.
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
    sequence: Sequence,
    bound: Option<PhoneNumber>,
    keep_watching: Duration,
    delivery: RetryPolicy,
    /// One run at a time.
    running: Arc<Mutex<()>>,
    told: Arc<Mutex<Told>>,
}

/// What the sink has been told. Locked while an event is on its way, so that events keep their order.
#[derive(Debug, Default)]
struct Told {
    /// The number of the last `session_ready`, unless it was disconnected since.
    phone: Option<PhoneNumber>,
    /// How often it was disconnected.
    ends: u64,
}

/// How a [`run`](Onboarding::run) ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Onboarded {
    /// The sink knows the number.
    Ready(Extraction),
    /// The sink knows why there is none.
    Failed(Failed),
    /// The session was [disconnected](Onboarding::disconnected) meanwhile: what was found before
    /// counts no more, and nothing was sent.
    Disconnected,
}

impl Onboarding {
    /// An onboarding of this session: the extractor finds the number, the sink hears of it.
    pub fn new(
        session: SessionKey,
        extractor: impl PhoneExtractor + 'static,
        sink: impl EventSink + 'static,
    ) -> Self {
        Self {
            session,
            extractor: Arc::new(extractor),
            sink: Arc::new(sink),
            sequence: Sequence::after(None),
            bound: None,
            keep_watching: Duration::ZERO,
            delivery: deliver::policy(),
            running: Arc::default(),
            told: Arc::default(),
        }
    }

    /// The numbers of the session's events. A process that takes a session up again goes on from the
    /// last one that was used ([`SessionRow::last_seq`](crate::store::SessionRow::last_seq)), or its
    /// events are taken for old ones. Default: from 1.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = sequence;
        self
    }

    /// The number that the session belongs to already: another one is refused as `rebind_refused`,
    /// since somebody has scanned with the wrong account. Default: any is taken. A store refuses by
    /// its own [`RebindPolicy`](crate::store::RebindPolicy) all the same.
    #[must_use]
    pub fn bound_to(mut self, phone: PhoneNumber) -> Self {
        self.bound = Some(phone);
        self
    }

    /// Goes on looking for so long after a `session_error`; a number that comes then is announced
    /// once. Ends early when the page or its browser is gone. Default: not at all.
    #[must_use]
    pub fn keep_watching(mut self, time: Duration) -> Self {
        self.keep_watching = time;
        self
    }

    /// How often and how long an event is offered to the sink: attempts, interval and growth, each
    /// within the look timeout, all within the deadline. Default: at once, then after 100 ms growing
    /// to 5 s, each for 10 s at most, 60 s in all.
    #[must_use]
    pub fn delivery(mut self, policy: RetryPolicy) -> Self {
        self.delivery = policy;
        self
    }

    /// Whose onboarding it is.
    #[must_use]
    pub fn session(&self) -> &SessionKey {
        &self.session
    }

    /// Sends `qr_code_generated`: the session waits to be linked by this code.
    ///
    /// # Errors
    ///
    /// When the sink did not accept it.
    pub async fn qr_code(&self, qr: QrCode) -> Result<(), OnboardError> {
        self.tell(SessionEvent::qr_code_generated(self.session.clone(), qr))
            .await
    }

    /// Sends `session_authenticated`: the phone has accepted the code.
    ///
    /// # Errors
    ///
    /// When the sink did not accept it.
    pub async fn authenticated(&self) -> Result<(), OnboardError> {
        self.tell(SessionEvent::session_authenticated(self.session.clone()))
            .await
    }

    /// Sends `session_disconnected`. What a run under way finds counts no more.
    ///
    /// # Errors
    ///
    /// When the sink did not accept it.
    pub async fn disconnected(&self, reason: &str) -> Result<(), OnboardError> {
        let mut told = self.told.lock().await;
        told.phone = None;
        told.ends += 1;
        let event = SessionEvent::session_disconnected(self.session.clone(), reason);
        self.deliver(event).await
    }

    /// Looks for the number and tells the sink: `session_ready`, or `session_error` with the reason.
    /// A sink that refuses the number for good, as a store does that has it in another session, hears
    /// of that in a `session_error` with its own code.
    ///
    /// Dropped, it has told the outcome or has not; the next run tells it.
    ///
    /// # Errors
    ///
    /// When the sink accepted neither.
    pub async fn run(&self) -> Result<Onboarded, OnboardError> {
        let (mut outcome, mut may_come) = self.attempt(true).await?;
        let until = Instant::now() + self.keep_watching;
        while may_come && Instant::now() + PAUSE < until {
            sleep(PAUSE).await;
            (outcome, may_come) = self.attempt(false).await?;
        }
        Ok(outcome)
    }

    /// One extraction, and what comes of it told; an error only if `tells_errors`. Also whether
    /// another attempt may bring a number.
    pub(crate) async fn attempt(
        &self,
        tells_errors: bool,
    ) -> Result<(Onboarded, bool), OnboardError> {
        let _one_at_a_time = self.running.lock().await;
        let ends = self.told.lock().await.ends;
        let (failed, may_come) = match self.extractor.extract().await {
            Ok(found) => match self.announce(ends, found).await? {
                Ok(onboarded) => return Ok((onboarded, false)),
                // Another account, or another session's number: time does not heal it.
                Err(refused) => (refused, false),
            },
            Err(error) => (Failed::from(&error), !is_final(error.kind())),
        };
        if !tells_errors {
            return Ok((Onboarded::Failed(failed), may_come));
        }
        let outcome = self.fail(ends, failed).await?;
        let may_come = may_come && matches!(outcome, Onboarded::Failed(_));
        Ok((outcome, may_come))
    }

    /// Tells the number. The inner error: it is refused for good.
    async fn announce(
        &self,
        ends: u64,
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
        let mut told = self.told.lock().await;
        if told.ends != ends {
            return Ok(Ok(Onboarded::Disconnected));
        }
        if told.phone.as_ref() == Some(&found.phone) {
            return Ok(Ok(Onboarded::Ready(found)));
        }
        let ready = SessionEvent::session_ready(self.session.clone(), Ready::from(&found));
        match self.deliver(ready).await {
            Ok(()) => {
                told.phone = Some(found.phone.clone());
                Ok(Ok(Onboarded::Ready(found)))
            }
            Err(refused) if !refused.is_transient() => Ok(Err(refused.into())),
            Err(error) => Err(error),
        }
    }

    async fn fail(&self, ends: u64, failed: Failed) -> Result<Onboarded, OnboardError> {
        let told = self.told.lock().await;
        if told.ends != ends {
            return Ok(Onboarded::Disconnected);
        }
        let event = SessionEvent::session_error(self.session.clone(), failed.clone());
        self.deliver(event).await?;
        Ok(Onboarded::Failed(failed))
    }

    async fn tell(&self, event: SessionEvent) -> Result<(), OnboardError> {
        let _in_order = self.told.lock().await;
        self.deliver(event).await
    }

    /// Numbers the event and hands it over. The caller holds `told`.
    async fn deliver(&self, event: SessionEvent) -> Result<(), OnboardError> {
        let event = event.with_seq(self.sequence.next());
        let sent = deliver::deliver(&*self.sink, &event, &self.delivery).await;
        sent.map_err(|error| OnboardError::new(event, error))
    }
}

/// Nothing comes after it, however long one looks.
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
