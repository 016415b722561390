//! [`OutboxWorker`]: delivers the events of a queue to a sink.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::table::{Ended, Failed, Found, Job, START, Step};
use super::{Outbox, milliseconds};
use crate::codes;
use crate::event::{EventSink, SessionEvent, SinkError, in_time};
use crate::metrics;
use crate::retry::Backoff;
use crate::store::error::StoreError;

/// How often the events are counted, and old dead letters deleted.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// The longest time for which dead letters are kept: a hundred years.
const MAX_KEPT: Duration = Duration::from_hours(24 * 365 * 100);

/// How often a refused number is retried at least: for a minute by the default backoff.
const NUMBER_RETRIES: i64 = 6;

/// The longest `retry_after` that is waited for.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// The settings of a worker, from [`Outbox::deliver_to`]. Each has a default.
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct OutboxWorkerBuilder {
    outbox: Outbox,
    sink: Arc<dyn EventSink>,
    backoff: Backoff,
    concurrency: usize,
    send_timeout: Duration,
    keep_dead: Duration,
    max_dead: u64,
}

impl OutboxWorkerBuilder {
    pub(super) fn new(outbox: Outbox, sink: impl EventSink + 'static) -> Self {
        Self {
            outbox,
            sink: Arc::new(sink),
            backoff: Backoff::OUTBOX,
            concurrency: 32,
            send_timeout: Duration::from_secs(10),
            keep_dead: Duration::from_secs(30 * 24 * 60 * 60),
            max_dead: 1_000_000,
        }
    }

    /// Sets when an event is tried again after a transient error, and when it is a dead letter. The deadline
    /// counts from the moment at which the event was stored; each event is tried once at least. Default: after
    /// 1 s, growing by 2 to 5 minutes, jitter 0.2, any number of attempts, deadline 24 h. Its initial
    /// delay is not used.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many events are delivered at the same time, each of another session: 1 or more. A quarter of them
    /// is for first attempts, so that new events do not wait for retries that hang. They do
    /// wait for other first attempts: if those of a thousand sessions hang at once, for up to 32 send timeouts.
    /// Default: 32.
    pub fn concurrency(mut self, events: usize) -> Self {
        self.concurrency = events.max(1);
        self
    }

    /// Sets how long the sink may take for an event, from 10 ms to 1 h. A longer attempt is a transient error. If a
    /// worker is killed, its events are delivered by another one after the store's
    /// [deadline](crate::store::StoreOptions::deadline) plus three times this. Default: 10 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout.clamp(Duration::from_millis(10), Duration::from_hours(1));
        self
    }

    /// Sets how long dead letters are kept, at most 100 years. Default: 30 days.
    pub fn keep_dead_letters(mut self, time: Duration) -> Self {
        self.keep_dead = time.min(MAX_KEPT);
        self
    }

    /// Sets how many dead letters are kept; of more, the worker deletes the oldest. Default: 1,000,000.
    pub fn max_dead_letters(mut self, letters: u64) -> Self {
        self.max_dead = letters;
        self
    }

    /// Starts the worker in the present tokio runtime.
    #[must_use = "a dropped worker stops"]
    pub fn start(self) -> OutboxWorker {
        let (stop, stopping) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut counting = JoinSet::new();
            counting.spawn(count(self.clone()));
            run(Arc::new(self), stopping).await;
        });
        OutboxWorker { stop, task }
    }

    /// Returns how long an event is leased: when the step that leases it is over, three times the send timeout is
    /// left. If the delivery is recorded too late all the same, another worker may have begun to deliver it again.
    fn lease(&self) -> Duration {
        self.outbox.table.deadline() + 3 * self.send_timeout
    }

    /// Counts the events, and deletes the dead letters that are too old or too many.
    async fn clean_up(&self) -> Result<(), StoreError> {
        let (outbox, queue) = (&self.outbox, &self.outbox.queue);
        let dead = outbox.status().await?.dead;
        let old = outbox.delete_dead_for(self.keep_dead, i64::MAX).await?;
        if dead.saturating_sub(old) <= self.max_dead {
            return Ok(());
        }
        // Up to an id, since another worker may delete them too.
        let Some(newest) = outbox.table.surplus(queue, self.max_dead).await? else {
            return Ok(());
        };
        let letters = outbox.delete_dead_for(Duration::ZERO, newest).await?;
        if letters > 0 {
            tracing::warn!(
                queue,
                letters,
                max = self.max_dead,
                "dead letters of the outbox were deleted, as there were too many"
            );
        }
        Ok(())
    }

    /// Delivers an event. `None`: its lease may end before the sink answers, as the process was held up.
    async fn deliver(self: Arc<Self>, job: Job, asked: Instant) -> Option<Ended> {
        let (held_up, queue, id) = (asked.elapsed(), &self.outbox.queue, job.id);
        if held_up + self.send_timeout > self.lease() {
            tracing::warn!(
                queue,
                id,
                ?held_up,
                "the lease of an event of the outbox has ended before its delivery; it is leased again"
            );
            return None;
        }
        let result = match job.read() {
            Ok(event) => self.send(&job, &event).await,
            Err(error) => {
                tracing::error!(queue = self.outbox.queue, id = job.id, %error, "a row of the outbox is no event");
                Err(Failed {
                    delay: None,
                    error: codes::INVALID_EVENT.to_owned(),
                })
            }
        };
        let outcome = match &result {
            Ok(()) => "delivered",
            Err(Failed { delay: Some(_), .. }) => "failed",
            Err(Failed { delay: None, .. }) => "dead",
        };
        metrics::outbox_delivery(&self.outbox.queue, outcome);
        Some(Ended {
            id: job.id,
            lease: job.lease,
            result,
        })
    }

    async fn send(&self, job: &Job, event: &SessionEvent) -> Result<(), Failed> {
        let sent = in_time(&self.sink, event, self.send_timeout, || {
            self.sink.send(event)
        })
        .await;
        let Err(error) = sent else {
            return Ok(());
        };
        let mut delay = self.delay(job, &error);
        if delay.is_some() && !error.is_transient() && !self.may_free_its_number(job, &error).await
        {
            delay = None;
        }
        let (queue, id, kind, code) = (&self.outbox.queue, job.id, event.kind(), error.code());
        match delay {
            Some(delay) => {
                tracing::debug!(queue, id, event = ?kind, code, %error, ?delay, "an event of the outbox was not accepted yet");
            }
            None => {
                tracing::warn!(queue, id, event = ?kind, code, %error, "an event of the outbox is a dead letter now");
            }
        }
        let is_kept = |c: &char| c.is_ascii_graphic();
        Err(Failed {
            delay,
            error: code.chars().filter(is_kept).take(128).collect(),
        })
    }

    /// Returns whether the error is `number_already_connected`, and an earlier event of another session may still free the
    /// number: one that waits in this queue, or at first in the receiver's own.
    async fn may_free_its_number(&self, job: &Job, error: &SinkError) -> bool {
        let before = self.outbox.table.holds_before(&self.outbox.queue, job.id);
        error.code() == codes::NUMBER_ALREADY_CONNECTED
            && (job.attempts < NUMBER_RETRIES
                // Without an answer it is retried.
                || !matches!(timeout(self.send_timeout, before).await, Ok(Ok(false))))
    }

    /// Returns the delay before the next attempt. `None`: the backoff has ended.
    fn delay(&self, job: &Job, error: &SinkError) -> Option<Duration> {
        let mut delays = self.backoff.delays();
        // The delays before the attempts that were made, this one included.
        delays.nth(usize::try_from(job.attempts).unwrap_or_default())?;
        let age = milliseconds(job.age);
        let delay = delays.next_within(age)?;
        let left = self
            .backoff
            .deadline()
            .map_or(MAX_WAIT, |deadline| deadline.saturating_sub(age));
        let asked = error.retry_after().unwrap_or_default();
        Some(delay.max(asked.min(left).min(MAX_WAIT)))
    }
}

impl fmt::Debug for OutboxWorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxWorkerBuilder")
            .field("outbox", &self.outbox)
            .field("sink", &self.sink.name())
            .field("backoff", &self.backoff)
            .field("concurrency", &self.concurrency)
            .field("send_timeout", &self.send_timeout)
            .field("keep_dead", &self.keep_dead)
            .field("max_dead", &self.max_dead)
            .finish()
    }
}

/// A worker that runs. If it is dropped, it starts no further delivery, and ends when those that run have
/// ended.
#[derive(Debug)]
#[must_use = "dropping it ends the delivery"]
pub struct OutboxWorker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl OutboxWorker {
    /// Stops it: no further delivery starts. Returns when those that run have ended and are recorded.
    pub async fn stop(self) {
        drop(self.stop);
        // It does not panic; it is cancelled with its runtime.
        let _ = self.task.await;
    }
}

/// The state of a worker's search for due events: steps over all order keys, from the first one on.
pub(super) struct Search {
    after: i64,
    steps: u32,
    /// How long the steps took.
    took: Duration,
    has_found: bool,
    /// Whether a step found as many events as the worker had room for: more may be due.
    was_full: bool,
    wait: Duration,
    /// The next step is at `next`, or sooner if something happens, but not before `earliest`.
    earliest: Instant,
    pub(super) next: Instant,
}

impl Search {
    pub(super) fn new(poll: Duration) -> Self {
        let now = Instant::now();
        Self {
            after: START,
            steps: 0,
            took: Duration::ZERO,
            has_found: false,
            was_full: false,
            wait: poll,
            earliest: now,
            next: now,
        }
    }

    /// Notes the result of a step that had room for `limit` events. After the last order key the search starts
    /// again: at once if more events may be due, or if it found some in a single step. Otherwise it pauses for a poll
    /// interval, or until the next event is due; and for four times as long as its steps took, so that many
    /// sessions that wait for a retry cost the database a fifth of the time at most.
    pub(super) fn note(&mut self, found: &Found, limit: usize, took: Duration, poll: Duration) {
        self.steps += 1;
        self.took += took;
        self.has_found |= !found.jobs.is_empty();
        self.was_full |= found.jobs.len() >= limit;
        self.wait = self.wait.min(found.wait.unwrap_or(poll));
        if let Some(next) = found.next {
            self.after = next;
            return;
        }
        let is_at_once = self.was_full || self.has_found && self.steps == 1;
        let (pause, wait) = (4 * self.took, self.wait);
        *self = Self::new(poll);
        if !is_at_once {
            self.earliest += pause;
            self.next = self.earliest.max(self.next + wait);
        }
    }

    /// Looks as soon as it may: an event was stored, or a delivery has ended.
    pub(super) fn hasten(&mut self) {
        self.next = self.earliest.min(self.next);
    }
}

async fn run(worker: Arc<OutboxWorkerBuilder>, mut stop: oneshot::Receiver<()>) {
    let outbox = &worker.outbox;
    let poll = outbox.table.poll_interval();
    // While this many deliveries run, only first attempts are started. They have a search of their own.
    let shared = worker.concurrency - worker.concurrency / 4;
    let mut searches = [Search::new(poll), Search::new(poll)];
    let (mut deliveries, mut ended) = (JoinSet::new(), Vec::new());
    let mut is_stopping = false;
    loop {
        let mut stored = pin!(outbox.table.stored().notified());
        stored.as_mut().enable();
        while let Some(delivered) = deliveries.try_join_next() {
            ended.extend(delivered.unwrap_or_default());
            searches.iter_mut().for_each(Search::hasten);
        }
        let only_first = deliveries.len() >= shared;
        let search = &mut searches[usize::from(only_first)];
        let is_due = !is_stopping && Instant::now() >= search.next;
        let limit = match (is_due, only_first) {
            (true, true) => worker.concurrency - deliveries.len(),
            (true, false) => shared - deliveries.len(),
            (false, _) => 0,
        };
        if limit > 0 || !ended.is_empty() {
            let asked = Instant::now();
            let step = Step {
                queue: &outbox.queue,
                after: search.after,
                limit,
                lease: worker.lease(),
                only_first,
                ended: &ended,
            };
            match outbox.table.step(step).await {
                Ok(found) => {
                    ended.clear();
                    if limit > 0 {
                        search.note(&found, limit, asked.elapsed(), poll);
                    }
                    for job in found.jobs {
                        deliveries.spawn(worker.clone().deliver(job, asked));
                    }
                }
                Err(error) => {
                    let (store, queue) = (outbox.table.name(), &outbox.queue);
                    tracing::warn!(store, queue, code = error.code(), %error, "the outbox was not read");
                    if is_stopping && deliveries.is_empty() {
                        return;
                    }
                    sleep(poll).await;
                }
            }
        }
        if is_stopping && deliveries.is_empty() && ended.is_empty() {
            return;
        }
        let has_room = !is_stopping && deliveries.len() < worker.concurrency;
        let next = searches[usize::from(deliveries.len() >= shared)].next;
        tokio::select! {
            Some(delivered) = deliveries.join_next() => {
                ended.extend(delivered.unwrap_or_default());
                searches.iter_mut().for_each(Search::hasten);
            }
            () = stored => searches.iter_mut().for_each(Search::hasten),
            () = sleep_until(next), if has_room => {}
            _ = &mut stop, if !is_stopping => is_stopping = true,
        }
    }
}

/// Counts the events of a queue for the metrics, and deletes dead letters, repeatedly.
async fn count(worker: OutboxWorkerBuilder) {
    let queue = &worker.outbox.queue;
    loop {
        let began = Instant::now();
        if let Err(error) = worker.clean_up().await {
            tracing::warn!(queue, %error, "the events of the outbox were not counted, or dead letters not deleted");
        }
        sleep(COUNT_EVERY.max(4 * began.elapsed())).await;
    }
}
