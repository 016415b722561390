//! From an extraction to its event: [`Onboarding`].
//!
//! ```text
//! QR code shown -> phone accepts it -> number found
//!  qr_code()        authenticated()     run(): session_ready, or session_error
//!                                       later: disconnected()
//! ```
//!
//! What was told last is remembered, so nothing is told twice and a host may be told again what
//! changed since. A host that hears of these moments calls the methods. For one that has only the page,
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
///   accepted. Runs at the same time are one after the other, and a number that was the last thing
///   told is not told again.
/// - The events of one session are sent in order, each until the sink accepts it: what it cannot
///   take for now is sent again, by the policy of [`delivery`](Self::delivery).
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
    sequence: Option<Sequence>,
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
    last: Last,
    /// How often it was disconnected.
    ends: u64,
}

/// What the sink was told last, as far as it is known to have accepted it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nothing by this onboarding, or what came was not accepted.
    #[default]
    Nothing,
    Scanning,
    Authenticated,
    Ready(PhoneNumber),
    /// The error's code.
    Failed(Option<String>),
    Disconnected,
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
            sequence: None,
            bound: None,
            keep_watching: Duration::ZERO,
            delivery: deliver::policy(),
            running: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Numbers the session's events, so that they keep their order however late they come. A process
    /// that takes a session up again has to go on from the last number that was used
    /// ([`SessionRow::last_seq`](crate::store::SessionRow::last_seq)), or its events are taken for old
    /// ones. Default: no numbers; the order is that of arrival.
    #[must_use]
    pub fn sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
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
        let event = SessionEvent::qr_code_generated(self.session.clone(), qr);
        self.tell(event, Last::Scanning).await
    }

    /// Sends `session_authenticated`: the phone has accepted the code.
    ///
    /// # Errors
    ///
    /// When the sink did not accept it.
    pub async fn authenticated(&self) -> Result<(), OnboardError> {
        let event = SessionEvent::session_authenticated(self.session.clone());
        self.tell(event, Last::Authenticated).await
    }

    /// Sends `session_disconnected`. What a run under way finds counts no more.
    ///
    /// # Errors
    ///
    /// When the sink did not accept it.
    pub async fn disconnected(&self, reason: &str) -> Result<(), OnboardError> {
        let mut told = self.told.lock().await;
        told.ends += 1;
        let event = SessionEvent::session_disconnected(self.session.clone(), reason);
        self.deliver(&mut told, event, Last::Disconnected).await
    }

    /// What was told last.
    pub(crate) async fn last(&self) -> Last {
        self.told.lock().await.last.clone()
    }

    /// Looks for the number and tells the sink: `session_ready`, or `session_error` with the reason.
    /// A sink that refuses the number (`number_already_connected`, `rebind_refused`, `unknown_session`,
    /// `invalid_event`), as a store does that has it in another session, hears of that in a
    /// `session_error` with its own code.
    ///
    /// Dropped, it has told the outcome or has not; the next run tells it.
    ///
    /// # Errors
    ///
    /// When the sink accepted neither.
    pub async fn run(&self) -> Result<Onboarded, OnboardError> {
        let (mut outcome, mut may_come) = self.attempt(true).await?;
        let start = Instant::now();
        while may_come && start.elapsed() + PAUSE < self.keep_watching {
            sleep(PAUSE).await;
            (outcome, may_come) = self.attempt(false).await?;
        }
        Ok(outcome)
    }

    /// One extraction, and what comes of it told; an error that was told last only if `repeats`. Also
    /// whether another attempt may bring a number.
    pub(crate) async fn attempt(&self, repeats: bool) -> Result<(Onboarded, bool), OnboardError> {
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
        let outcome = self.fail(ends, failed, repeats).await?;
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
        let last = Last::Ready(found.phone.clone());
        if told.last == last {
            return Ok(Ok(Onboarded::Ready(found)));
        }
        let ready = SessionEvent::session_ready(self.session.clone(), Ready::from(&found));
        match self.deliver(&mut told, ready, last).await {
            Ok(()) => Ok(Ok(Onboarded::Ready(found))),
            Err(error) if REFUSALS.contains(&error.code()) => Ok(Err(error.into())),
            Err(error) => Err(error),
        }
    }

    async fn fail(
        &self,
        ends: u64,
        failed: Failed,
        repeats: bool,
    ) -> Result<Onboarded, OnboardError> {
        let mut told = self.told.lock().await;
        if told.ends != ends {
            return Ok(Onboarded::Disconnected);
        }
        let last = Last::Failed(failed.code().map(str::to_owned));
        if repeats || told.last != last {
            let event = SessionEvent::session_error(self.session.clone(), failed.clone());
            self.deliver(&mut told, event, last).await?;
        }
        Ok(Onboarded::Failed(failed))
    }

    async fn tell(&self, event: SessionEvent, last: Last) -> Result<(), OnboardError> {
        let mut told = self.told.lock().await;
        self.deliver(&mut told, event, last).await
    }

    /// Hands an event over, after which this is what was told last. An event that is cut short or not
    /// accepted may have arrived all the same: nothing is known then.
    async fn deliver(
        &self,
        told: &mut Told,
        event: SessionEvent,
        last: Last,
    ) -> Result<(), OnboardError> {
        let event = match &self.sequence {
            Some(sequence) => event.with_seq(sequence.next()),
            None => event,
        };
        told.last = Last::Nothing;
        match deliver::deliver(&*self.sink, &event, &self.delivery).await {
            Ok(()) => {
                told.last = last;
                Ok(())
            }
            Err(error) => Err(OnboardError::new(event, error)),
        }
    }
}

/// What a sink refuses a number for; any other error leaves it open whether the number was taken.
const REFUSALS: [&str; 4] = [
    "number_already_connected",
    "rebind_refused",
    "unknown_session",
    "invalid_event",
];

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
