//! [`MockSource`]: a source that plays a script, for tests of this crate and of yours.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Assurance, Identity, InfoSource, Look, PageState};
use crate::failure::ProtocolFailure;
use crate::jid::Jid;

/// The behaviour of a [`MockSource`] when it is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Act {
    /// Answers the look: not yet, a number, a LID alone, a conflict.
    Answer(Look),
    /// Fails.
    Fail(ProtocolFailure),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

impl From<Look> for Act {
    fn from(look: Look) -> Self {
        Self::Answer(look)
    }
}

impl From<ProtocolFailure> for Act {
    fn from(failure: ProtocolFailure) -> Self {
        Self::Fail(failure)
    }
}

/// One recorded call of a [`MockSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The time since the source was made.
    pub at: Duration,
    /// For [`InfoSource::wait`]: what was asked. `None` is a [`InfoSource::probe`].
    pub wait: Option<(Assurance, Duration)>,
}

/// A scripted [`InfoSource`]. Before its first act it answers [`Look::NotYet`]; each act holds from
/// its time on, counted from the making of the source on tokio's clock. Its `wait` returns the
/// moment the script gives what is waited for.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::source::{InfoSource, Look, mock::MockSource};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let source = MockSource::new("page").number_at(Duration::from_secs(3), "628110000041@c.us");
/// assert_eq!(source.probe().await, Ok(Look::NotYet));
/// tokio::time::advance(Duration::from_secs(3)).await;
/// assert!(matches!(source.probe().await, Ok(Look::Found(_))));
/// assert_eq!(source.calls().len(), 2);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MockSource {
    name: Cow<'static, str>,
    start: Instant,
    acts: Vec<(Duration, Act)>,
    takes: Duration,
    page_state: Option<PageState>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl MockSource {
    /// Makes a source with an empty script, which answers `NotYet` at once.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            start: Instant::now(),
            acts: Vec::new(),
            takes: Duration::ZERO,
            page_state: None,
            calls: Arc::default(),
        }
    }

    /// Does this from `at` on.
    #[must_use]
    pub fn at(mut self, at: Duration, act: impl Into<Act>) -> Self {
        self.acts.push((at, act.into()));
        self.acts.sort_by_key(|(at, _)| *at);
        self
    }

    /// Gives this confirmed number from `at` on.
    ///
    /// # Panics
    ///
    /// When `jid` is no JID of a person by number.
    #[must_use]
    #[allow(clippy::panic)] // a script that is wrong must not run
    pub fn number_at(self, at: Duration, jid: &str) -> Self {
        let Ok(Look::Found(me)) = jid.parse().map(|jid| self.look(jid, Assurance::Confirmed))
        else {
            panic!("number_at wants the JID of a person, like 628110000041@c.us");
        };
        self.at(at, Look::Found(me))
    }

    /// Returns the answer of this source for a JID: its own name is the reader.
    #[must_use]
    pub fn look(&self, jid: Jid, assurance: Assurance) -> Look {
        Look::from_identity(Identity::new(jid, assurance, self.name.clone()))
    }

    /// Lets every probe take this long.
    #[must_use]
    pub fn taking(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    /// Reports this as [`InfoSource::page_state`], at all times.
    #[must_use]
    pub fn showing(mut self, state: PageState) -> Self {
        self.page_state = Some(state);
        self
    }

    /// Returns the same script on a clock that starts now, with no calls yet.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            start: Instant::now(),
            calls: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns the calls so far, in order. Clones of a source share them.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, wait: Option<(Assurance, Duration)>) {
        let at = self.start.elapsed();
        self.lock().push(Call { at, wait });
    }

    /// Returns the act that holds now, and when the next one begins.
    fn now(&self) -> (Option<&Act>, Option<Instant>) {
        let now = self.start.elapsed();
        let done = self.acts.partition_point(|(at, _)| *at <= now);
        let next = self
            .acts
            .get(done)
            .and_then(|(at, _)| self.start.checked_add(*at));
        (done.checked_sub(1).map(|i| &self.acts[i].1), next)
    }

    async fn play(act: Option<&Act>) -> Result<Look, ProtocolFailure> {
        match act {
            None => Ok(Look::NotYet),
            Some(Act::Answer(look)) => Ok(look.clone()),
            Some(Act::Fail(failure)) => Err(failure.clone()),
            Some(Act::Hang) => std::future::pending().await,
            #[allow(clippy::panic)] // that is the act
            Some(Act::Panic) => panic!("the mock source panics, as its script says"),
        }
    }
}

#[async_trait]
impl InfoSource for MockSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.record(None);
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        Self::play(self.now().0).await
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.record(Some((min, max)));
        // No end: longer than the clock can count.
        let end = Instant::now().checked_add(max);
        loop {
            let (act, next) = self.now();
            let look = Self::play(act).await?;
            if look.is_awaited(min) || end.is_some_and(|end| Instant::now() >= end) {
                return Ok(look);
            }
            match next.into_iter().chain(end).min() {
                Some(then) => tokio::time::sleep_until(then).await,
                None => std::future::pending().await,
            }
        }
    }

    fn page_state(&self) -> Option<PageState> {
        self.page_state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Site;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_wait_returns_at_the_scripted_moment_and_not_below_what_is_asked() {
        let source = MockSource::new("mock");
        let number: Jid = "628110000041@c.us".parse().unwrap();
        let provisional = source.look(number, Assurance::Provisional);
        let source = source
            .at(SECOND, provisional.clone())
            .number_at(2 * SECOND, "628110000041@c.us");

        let first = source.wait(Assurance::Confirmed, SECOND + SECOND / 2).await;
        assert_eq!(
            (first, source.start.elapsed()),
            (Ok(provisional), SECOND + SECOND / 2)
        );
        let second = source.wait(Assurance::Confirmed, 10 * SECOND).await;
        assert!(matches!(second, Ok(Look::Found(_))));
        assert_eq!(source.start.elapsed(), 2 * SECOND);
        assert_eq!(
            source.calls()[1].wait,
            Some((Assurance::Confirmed, 10 * SECOND))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_may_be_longer_than_the_clock_counts() {
        let number = MockSource::new("mock").number_at(SECOND, "628110000041@c.us");
        let found = number.wait(Assurance::Confirmed, Duration::MAX).await;
        assert!(matches!(found, Ok(Look::Found(_))));
        let never = MockSource::new("mock");
        let wait = never.wait(Assurance::Confirmed, Duration::MAX);
        assert!(tokio::time::timeout(60 * SECOND, wait).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_end_a_wait_and_hangs_do_not() {
        let failure = ProtocolFailure::new(Site::Unknown, "no");
        let source = MockSource::new("mock")
            .at(SECOND, failure.clone())
            .at(2 * SECOND, Act::Hang);
        assert_eq!(
            source.wait(Assurance::Unverified, 10 * SECOND).await,
            Err(failure)
        );
        tokio::time::advance(SECOND).await;
        let hung = tokio::time::timeout(60 * SECOND, source.probe()).await;
        assert!(hung.is_err());
        let wait = source.wait(Assurance::Unverified, SECOND);
        let hung = tokio::time::timeout(60 * SECOND, wait).await;
        assert!(hung.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "as its script says")]
    async fn it_panics_on_request() {
        let _ = MockSource::new("mock")
            .at(Duration::ZERO, Act::Panic)
            .probe()
            .await;
    }
}
