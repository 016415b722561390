//! [`Queue`]: events that are applied at the same time share one transaction, and its one write to the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::accounts::Wanted;
use super::database::Database;
use super::driver::Driver;
use super::failure::Failure;
use crate::event::{SessionEvent, SessionKey};
use crate::store::session_store::Outcome;

/// How many events one transaction applies at most.
const MAX_BATCH: usize = 64;

/// After how long other transactions start beside one that has not ended, and beside how many at most: fewer
/// than a pool that we make for a server has connections.
const STUCK_AFTER: Duration = Duration::from_secs(1);
const MAX_STUCK_TRANSACTIONS: usize = 4;

/// How often the ids of old events, and our rows of accounts that are gone, are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// The sending end. The task behind it ends with the last of its clones.
///
/// One task is enough: with two, half as many events share a transaction, and each is in the other's way.
#[derive(Clone, Debug)]
pub(super) struct Queue(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    session: SessionKey,
    event: SessionEvent,
    reply: oneshot::Sender<Result<Outcome, Failure>>,
}

impl Queue {
    pub(super) fn new<D: Driver>(database: &Arc<Database<D>>) -> Self {
        let (jobs, queued) = mpsc::channel(4 * MAX_BATCH);
        tokio::spawn(work(database.clone(), queued));
        Self(jobs)
    }

    /// Applies an event together with others. `session` is its key as the table holds it. `None`: the task has
    /// ended with the runtime in which the store was made.
    pub(super) async fn apply<D: Driver>(
        &self,
        session: &SessionKey,
        event: &SessionEvent,
    ) -> Option<Result<Outcome, Failure>> {
        let (reply, applied) = oneshot::channel();
        let job = Job {
            session: session.clone(),
            event: event.clone(),
            reply,
        };
        self.0.send(job).await.ok()?;
        let applied = applied.await;
        Some(applied.unwrap_or_else(|_| Err(Failure::undecided(D::NAME, None))))
    }
}

/// Applies all queued events, repeatedly. A transaction on a dead connection delays the next one for a
/// moment only.
async fn work<D: Driver>(database: Arc<Database<D>>, mut queued: mpsc::Receiver<Job>) {
    let slots = Arc::new(Semaphore::new(MAX_STUCK_TRANSACTIONS));
    let mut jobs = Vec::new();
    let mut pruned = None;
    while queued.recv_many(&mut jobs, MAX_BATCH).await > 0 {
        let slot = slots.clone().acquire_owned().await;
        let (task, jobs) = (database.clone(), std::mem::take(&mut jobs));
        let applied = tokio::spawn(async move {
            apply(task, jobs).await;
            drop(slot);
        });
        if let Ok(Err(error)) = timeout(STUCK_AFTER, applied).await {
            let is_panic = error.is_panic();
            tracing::error!(
                store = D::NAME,
                is_panic,
                "a task that applied events has ended"
            );
        }
        if pruned.is_none_or(|pruned: Instant| pruned.elapsed() > PRUNE_EVERY) {
            pruned = Some(Instant::now());
            let database = database.clone();
            tokio::spawn(async move { database.tidy().await });
        }
        // Callers that were answered and ask again at once join the next batch, for as long as more of them come: one
        // that is late would have a transaction of its own, for which the others wait.
        let mut before = usize::MAX;
        while before != queued.len() && queued.len() < MAX_BATCH {
            before = queued.len();
            tokio::task::yield_now().await;
        }
    }
}

/// Applies events in one transaction. If one of them may be the reason that it failed, each half is tried
/// alone, and so on.
async fn apply<D: Driver>(database: Arc<Database<D>>, jobs: Vec<Job>) {
    let mut parts = vec![jobs];
    while let Some(mut jobs) = parts.pop() {
        // Callers that were dropped, or whose deadline has passed.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let wanted = jobs.iter();
        let wanted = wanted.map(|job| Wanted::applying(job.session.clone(), &job.event));
        let mut wanted: Vec<_> = wanted.collect();
        let applied = timeout(database.options.deadline, database.apply(&mut wanted));
        let Ok(applied) = applied.await else {
            continue;
        };
        let outcomes = match applied {
            Ok(outcomes) => outcomes,
            Err(failure) if jobs.len() > 1 && failure.class.may_be_of_one() => {
                let events = jobs.len();
                tracing::debug!(store = D::NAME, events, class = ?failure.class, "a transaction failed; its events are retried in two");
                let rest = jobs.split_off(events / 2);
                parts.extend([rest, jobs]);
                continue;
            }
            Err(failure) => vec![Err(failure); jobs.len()],
        };
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            let _ = job.reply.send(outcome);
        }
    }
}
