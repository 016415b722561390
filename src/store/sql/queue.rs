//! Events that are applied at once share one transaction, and its one write to the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::meaning::{Failure, undecided};
use super::steps::{Answer, Ask};
use super::{Database, Shared, unexpected};
use crate::event::SessionEvent;
use crate::store::Outcome;

/// Most events that one transaction applies.
const MOST: usize = 64;

/// After how long others go on beside a transaction that has not ended, and beside how many at most: fewer
/// than a pool that we make for a server has connections.
const STUCK: Duration = Duration::from_secs(1);
const MOST_STUCK: usize = 4;

/// Where events are handed in. The writer behind it ends with the last of its clones.
///
/// One is enough: with two, half as many events share a transaction, and those of one workspace would
/// be in each other's way.
#[derive(Clone, Debug)]
pub(super) struct Queue(mpsc::Sender<Job>);

/// An event, and who waits for what becomes of it.
#[derive(Debug)]
struct Job {
    event: SessionEvent,
    reply: oneshot::Sender<Result<Outcome, Failure>>,
}

impl Queue {
    pub(super) fn new<D: Database>(store: &Arc<Shared<D>>) -> Self {
        let (jobs, asked) = mpsc::channel(4 * MOST);
        tokio::spawn(write(store.clone(), asked));
        Self(jobs)
    }

    /// Tries to apply an event together with others. `None`: the writer has ended with the runtime that the
    /// store was made in.
    pub(super) async fn apply<D: Database>(
        &self,
        event: &SessionEvent,
    ) -> Option<Result<Outcome, Failure>> {
        let (reply, applied) = oneshot::channel();
        let event = event.clone();
        self.0.send(Job { event, reply }).await.ok()?;
        let applied = applied.await;
        Some(applied.unwrap_or_else(|_| Err(undecided(D::NAME, None))))
    }
}

/// Applies all that waits, again and again. A transaction on a connection that is dead holds up the
/// next ones for a moment only.
async fn write<D: Database>(store: Arc<Shared<D>>, mut asked: mpsc::Receiver<Job>) {
    let slots = Arc::new(Semaphore::new(MOST_STUCK));
    let mut jobs = Vec::new();
    while asked.recv_many(&mut jobs, MOST).await > 0 {
        let slot = slots.clone().acquire_owned().await;
        let (store, jobs) = (store.clone(), std::mem::take(&mut jobs));
        let applied = tokio::spawn(async move {
            apply(store, jobs).await;
            drop(slot);
        });
        if let Ok(Err(error)) = timeout(STUCK, applied).await {
            // Its words may be anything.
            let has_panicked = error.is_panic();
            tracing::error!(
                store = D::NAME,
                has_panicked,
                "a task that applied events has ended"
            );
        }
        // Whoever was answered and has more to ask comes along.
        tokio::task::yield_now().await;
    }
}

/// Applies events in one transaction. Where one of them may be the reason that it failed, a value that the
/// database does not take, each half is tried for itself, and so on.
async fn apply<D: Database>(store: Arc<Shared<D>>, jobs: Vec<Job>) {
    let mut parts = vec![jobs];
    while let Some(mut jobs) = parts.pop() {
        // Whoever waits no longer was told that it is late, or has gone.
        jobs.retain(|job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let events: Vec<_> = jobs.iter().map(|job| &job.event).collect();
        let done = timeout(store.options.deadline, store.transact(Ask::Apply(&events))).await;
        // Those who asked have heard by now that it is late.
        let Ok(done) = done else { continue };
        let outcomes = match done.map(|done| done.answer) {
            Ok(Answer::Applied(outcomes)) => outcomes,
            Ok(_) => vec![Err(unexpected(D::NAME).into()); jobs.len()],
            Err(failure) if jobs.len() > 1 && failure.meaning.may_be_of_one() => {
                let events = jobs.len();
                tracing::debug!(store = D::NAME, events, meaning = ?failure.meaning, "events that shared a transaction are tried in two");
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
