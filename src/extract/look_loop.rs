//! The one loop that looks again.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::Instrument;
use tracing::field::Empty;

use super::asked_source::{AskMode, AskedSource};
use super::builder::Schedule;
use super::error::SourceFailure;
use super::round::{RoundResult, best_assurance, combine, exhausted, page_state, pending};
use super::{ErrorKind, ExtractError, Extraction};
use crate::classify::ProtocolErrorClassifier;
use crate::jid::Jid;
use crate::metrics;
use crate::retry::{LookMode, MIN_INTERVAL, RetryPolicy};
use crate::source::{Assurance, InfoSource, Look};
use crate::span::fail;

/// One extraction, before it runs.
pub(super) struct Plan<'a> {
    pub(super) sources: &'a [Arc<dyn InfoSource>],
    pub(super) policy: &'a RetryPolicy,
    pub(super) schedule: Option<&'a Schedule>,
    pub(super) accept: Assurance,
    pub(super) classifier: &'a ProtocolErrorClassifier,
}

impl<'a> Plan<'a> {
    pub(super) async fn run(self) -> Result<Extraction, ExtractError> {
        let span = tracing::info_span!(
            "extract_phone",
            otel.status_code = Empty,
            "error.type" = Empty,
            whatsapp_phone.source = Empty,
            whatsapp_phone.reader = Empty,
            whatsapp_phone.attempt = Empty,
        );
        let looked = async {
            let start = Instant::now();
            let mut run = Run::new(&self);
            let outcome = timeout_at(start + self.policy.deadline(), run.rounds(&self)).await;
            run.close(outcome.ok(), start.elapsed(), &self)
        };
        let result = looked.instrument(span.clone()).await;
        record(&span, &result);
        result
    }

    fn delays(&self) -> Box<dyn Iterator<Item = Duration> + Send + 'a> {
        match self.schedule {
            // A policy's own interval has this floor too: with less, an extraction would do nothing
            // but look. Only the first look may come at once.
            Some(schedule) => {
                let mut floor = Duration::ZERO;
                Box::new(
                    schedule()
                        .map(move |delay| delay.max(std::mem::replace(&mut floor, MIN_INTERVAL))),
                )
            }
            None => Box::new(self.policy.delays()),
        }
    }
}

/// The state of an extraction while it runs. It outlives the rounds, which the deadline may cut.
struct Run<'a> {
    sources: Vec<AskedSource<'a>>,
    attempt: u32,
}

impl<'a> Run<'a> {
    fn new(plan: &Plan<'a>) -> Self {
        let timeout = plan.policy.look_timeout();
        let sources = plan
            .sources
            .iter()
            .map(|source| AskedSource::new(source, timeout, plan.classifier));
        Self {
            sources: sources.collect(),
            attempt: 0,
        }
    }

    /// Looks until something is decided, or the schedule ends (`Open`).
    async fn rounds(&mut self, plan: &Plan<'a>) -> RoundResult {
        let policy = plan.policy;
        let has_fallback = policy.fallback_after_exhaustion() && self.sources.len() > 1;
        let (first, all) = (
            0..if has_fallback { 1 } else { self.sources.len() },
            0..self.sources.len(),
        );
        let mut delays = plan.delays();
        let mut next = delays.next();
        match next {
            Some(delay) => sleep(delay).await,
            // Only a schedule of one's own can be empty: a policy has at least one look.
            None => return RoundResult::Over(ErrorKind::Misconfigured),
        }
        while next.is_some() {
            next = delays.next();
            let is_last = next.is_none() && !has_fallback;
            let slot = next.unwrap_or(policy.interval());
            let result = self.round(plan, first.clone(), slot, is_last).await;
            if result != RoundResult::Open {
                return result;
            }
        }
        if has_fallback {
            return self
                .round(plan, all.start + 1..all.end, policy.interval(), true)
                .await;
        }
        RoundResult::Open
    }

    /// Runs one round: asks these sources, and drives every look under way until the slot ends.
    async fn round(
        &mut self,
        plan: &Plan<'a>,
        asked: std::ops::Range<usize>,
        slot: Duration,
        is_last: bool,
    ) -> RoundResult {
        self.attempt = self.attempt.saturating_add(1);
        // A slot beyond the deadline never ends; cut to it, no instant can overflow.
        let slot = slot.min(plan.policy.deadline());
        let mode = match plan.policy.look_mode() {
            LookMode::Wait => AskMode::Wait {
                min: plan.accept,
                until: Instant::now() + slot,
            },
            _ => AskMode::Probe { pause: slot },
        };
        for source in &mut self.sources[asked] {
            source.ask(mode, self.attempt);
        }
        // A round costs no timer until its slot has an end to wait for: the answer of a source that
        // was asked in it. There is always such a source, since the last round ended with one that
        // had answered.
        let slot_end = loop {
            let result = self.answers(plan).await;
            if result != RoundResult::Open {
                return result;
            }
            let ends = self
                .sources
                .iter()
                .filter_map(|source| source.slot_end_of(self.attempt));
            if let Some(slot_end) = ends.min() {
                break slot_end;
            }
        };
        let mut over = pin!(sleep_until(slot_end));
        while self.sources.iter().any(AskedSource::is_pending) {
            // After the last look there is no next slot to be early for: the rest may take its time.
            let result = if is_last {
                self.answers(plan).await
            } else {
                match either(pin!(self.answers(plan)), over.as_mut()).await {
                    Some(result) => result,
                    None => return RoundResult::Open,
                }
            };
            if result != RoundResult::Open {
                return result;
            }
        }
        if !is_last {
            over.await;
        }
        RoundResult::Open
    }

    /// Drives the looks under way until at least one has ended, and combines the answers.
    async fn answers(&mut self, plan: &Plan<'a>) -> RoundResult {
        poll_fn(|cx| {
            let mut has_news = false;
            for source in &mut self.sources {
                has_news |= source.poll(cx, self.attempt);
            }
            if has_news {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        combine(&self.sources, self.attempt, plan.accept, plan.classifier)
    }

    /// Turns what is known into the answer. `None`: the deadline cut the rounds.
    fn close(
        self,
        result: Option<RoundResult>,
        elapsed: Duration,
        plan: &Plan<'a>,
    ) -> Result<Extraction, ExtractError> {
        let kind = match result {
            Some(RoundResult::Found { source }) => match self.extraction(source, elapsed) {
                Some(extraction) => return Ok(extraction),
                None => ErrorKind::NotReady,
            },
            Some(RoundResult::Over(ErrorKind::Misconfigured)) if self.attempt == 0 => {
                return Err(ExtractError::empty_schedule());
            }
            Some(RoundResult::Over(kind)) => kind,
            Some(RoundResult::Open) | None => {
                exhausted(&self.sources, plan.accept, plan.classifier)
            }
        };
        let failures = self.sources.iter().filter_map(|source| {
            let failure = source.failure()?;
            Some(SourceFailure {
                source: source.name().to_owned(),
                failure,
            })
        });
        let error = ExtractError::new(
            kind,
            self.attempt,
            elapsed,
            best_assurance(&self.sources),
            failures.collect(),
            plan.classifier,
        );
        Err(error.with_page(
            pending(&self.sources, plan.accept),
            page_state(&self.sources),
        ))
    }

    fn extraction(&self, source: usize, elapsed: Duration) -> Option<Extraction> {
        let source = self.sources.get(source)?;
        let Some(Ok(Look::Found(me))) = source.last() else {
            return None;
        };
        let phone = me.phone.clone()?;
        Some(Extraction {
            jid: me.jid.clone().unwrap_or_else(|| Jid::from(phone.clone())),
            phone,
            lid: me.lid.clone(),
            assurance: me.assurance,
            source: source.name().to_owned(),
            reader: me.reader.clone().into_owned(),
            attempt: self.attempt,
            elapsed,
        })
    }
}

/// Returns the first future's output, or `None` when the second ends before it.
async fn either<T>(
    mut first: std::pin::Pin<&mut impl Future<Output = T>>,
    mut second: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => second.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn record(span: &tracing::Span, result: &Result<Extraction, ExtractError>) {
    match result {
        Ok(found) => {
            let (assurance, source) = (found.assurance.as_str(), found.source.as_str());
            span.record("whatsapp_phone.source", source);
            span.record("whatsapp_phone.reader", found.reader.as_str());
            span.record("whatsapp_phone.attempt", found.attempt);
            tracing::info!(parent: span, assurance, elapsed = ?found.elapsed, "phone number found");
            metrics::extraction(assurance, Some(source), found.elapsed);
        }
        Err(error) => {
            fail(span, error.code());
            span.record("whatsapp_phone.attempt", error.attempts());
            tracing::warn!(parent: span, %error, elapsed = ?error.elapsed(), "no phone number");
            metrics::extraction(error.code(), None, error.elapsed());
        }
    }
}
