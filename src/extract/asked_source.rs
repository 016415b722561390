//! One source within an extraction: asks it, bounds it, catches its panics, asks it again.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::failure::{ProtocolFailure, Site};
use crate::source::{Assurance, InfoSource, Look, PageState};
use crate::text::catch_panic;

/// Code of the failure that stands for a panic.
pub(super) const PANICKED: &str = "source panicked";
/// Code of the failure that stands for a look that took too long.
pub(super) const TIMED_OUT: &str = "look timeout";

/// Least pause before a source is asked again within its slot.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

pub(super) type LookResult = Result<Look, ProtocolFailure>;

/// How a round asks its sources. Every duration here is at most a policy's deadline, which no
/// clock overflows.
#[derive(Clone, Copy)]
pub(super) enum AskMode {
    /// One probe; the slot ends this long after the first answer.
    Probe { pause: Duration },
    /// One wait, which fills the slot.
    Wait { min: Assurance, until: Instant },
}

impl AskMode {
    /// Returns when the slot ends, given that its first answer has just come.
    fn slot_end(self) -> Instant {
        match self {
            Self::Probe { pause } => Instant::now() + pause,
            Self::Wait { until, .. } => until,
        }
    }
}

/// The answer of a source in its slot.
struct SlotAnswer {
    answer: LookResult,
    /// When the slot ends, counted from its first answer: asking again does not prolong it.
    slot_end: Instant,
    /// Before this the source is left alone.
    not_before: Instant,
}

/// One source, with its look under way and what it last answered.
pub(super) struct AskedSource<'a> {
    source: &'a Arc<dyn InfoSource>,
    look_timeout: Duration,
    classifier: &'a ProtocolErrorClassifier,
    pending: Option<Pin<Box<dyn Future<Output = SlotAnswer> + Send + 'a>>>,
    /// The round in which it was last asked. Its answer may come in a later one.
    asked: u32,
    /// Its latest answer, and the round in which that came.
    last: Option<(u32, SlotAnswer)>,
}

impl<'a> AskedSource<'a> {
    pub(super) fn new(
        source: &'a Arc<dyn InfoSource>,
        look_timeout: Duration,
        classifier: &'a ProtocolErrorClassifier,
    ) -> Self {
        Self {
            source,
            look_timeout,
            classifier,
            pending: None,
            asked: 0,
            last: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.source.name()
    }

    /// Returns the state of the source's page. A panic there is no reason to lose the error.
    pub(super) fn page_state(&self) -> Option<PageState> {
        catch_panic(|| self.source.page_state()).ok().flatten()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn last(&self) -> Option<&LookResult> {
        self.last.as_ref().map(|(_, answered)| &answered.answer)
    }

    /// Returns the source's last failure; if its look has not ended, the failure that it gave no answer.
    pub(super) fn failure(&self) -> Option<ProtocolFailure> {
        match self.last() {
            Some(answer) => answer.as_ref().err().cloned(),
            None => self.is_pending().then(no_answer),
        }
    }

    /// Returns the answer, if it came in this round.
    pub(super) fn answer_of(&self, round: u32) -> Option<&LookResult> {
        self.last
            .as_ref()
            .filter(|(then, _)| *then == round)
            .map(|(_, answered)| &answered.answer)
    }

    /// Returns when this round's slot ends, if the source was asked in it and has answered. An
    /// answer to an earlier round says nothing of this slot: that round's slot is over.
    pub(super) fn slot_end_of(&self, round: u32) -> Option<Instant> {
        if self.asked != round || self.is_pending() {
            return None;
        }
        self.last.as_ref().map(|(_, answered)| answered.slot_end)
    }

    /// Asks the source, unless an earlier look is still under way. The fastest source sets the pace
    /// of the rounds; one that took longer is left alone until its own pause is over.
    pub(super) fn ask(&mut self, mode: AskMode, round: u32) {
        if self.pending.is_none() {
            self.asked = round;
            let not_before = self.last.as_ref().map(|(_, answered)| answered.not_before);
            self.pending = Some(Box::pin(ask(
                self.source.as_ref(),
                mode,
                not_before,
                self.look_timeout,
                self.classifier,
            )));
        }
    }

    /// Drives the look under way; true when it has just ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, round: u32) -> bool {
        let Some(pending) = &mut self.pending else {
            return false;
        };
        let Poll::Ready(answered) = pending.as_mut().poll(cx) else {
            return false;
        };
        self.pending = None;
        self.last = Some((round, answered));
        true
    }
}

/// Asks until there is an answer for this slot: a failure that will pass is not one, as long as
/// the slot has time for another look.
async fn ask(
    source: &dyn InfoSource,
    mode: AskMode,
    mut not_before: Option<Instant>,
    look_timeout: Duration,
    classifier: &ProtocolErrorClassifier,
) -> SlotAnswer {
    let mut first_end = None;
    loop {
        if let Some(start) = not_before.filter(|start| *start > Instant::now()) {
            sleep_until(start).await;
        }
        // The answer ends with this block: held over the pause, it would make every look larger.
        {
            let answer = look(source, mode, look_timeout).await;
            let slot_end = *first_end.get_or_insert_with(|| mode.slot_end());
            let will_pass = answer.as_ref().err().is_some_and(|failure| {
                tracing::debug!(source = source.name(), code = failure.code(), %failure, "a look failed");
                failure.code() != Some(TIMED_OUT)
                    && classifier.classify(failure).verdict(Phase::Live) == Verdict::Retry
            });
            let again = Instant::now() + RETRY_PAUSE;
            if !will_pass || again >= slot_end {
                let not_before = if will_pass { again } else { slot_end };
                return SlotAnswer {
                    answer,
                    slot_end,
                    not_before,
                };
            }
            not_before = Some(again);
        }
    }
}

/// Looks once, within the timeout, and catches a panic.
async fn look(source: &dyn InfoSource, mode: AskMode, look_timeout: Duration) -> LookResult {
    let (min, max) = match mode {
        AskMode::Probe { .. } => (None, Duration::ZERO),
        AskMode::Wait { min, until } => {
            (Some(min), until.saturating_duration_since(Instant::now()))
        }
    };
    let mut asked = Asked(None);
    let caught = poll_fn(|cx| {
        let polled = catch_panic(|| {
            let future = asked.0.get_or_insert_with(|| match min {
                None => source.probe(),
                Some(min) => source.wait(min, max),
            });
            future.as_mut().poll(cx)
        });
        // A future that panicked is not polled again: this is the look's answer.
        polled.unwrap_or_else(|message| Poll::Ready(Err(panicked(&message))))
    });
    let answer = timeout(max + look_timeout, caught).await;
    answer.unwrap_or_else(|_| Err(no_answer()))
}

/// The future of a foreign source. However its look ends (an answer, a time-out, the deadline, a
/// caller who left), a panic in its destructor stays here: the answer is known already, or no longer
/// wanted.
struct Asked<'a>(Option<Pin<Box<dyn Future<Output = LookResult> + Send + 'a>>>);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let future = self.0.take();
        if let Err(message) = catch_panic(|| drop(future)) {
            let failure = panicked(&message);
            tracing::warn!(%failure, "a source panicked while its look was dropped");
        }
    }
}

fn no_answer() -> ProtocolFailure {
    let text = "the source did not answer in time; its browser or service may hang";
    ProtocolFailure::new(Site::Unknown, text).with_code(TIMED_OUT)
}

fn panicked(message: &str) -> ProtocolFailure {
    ProtocolFailure::new(Site::Unknown, format!("the source panicked: {message}"))
        .with_code(PANICKED)
}
