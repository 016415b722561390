//! Events that are applied at once share one transaction, and its one write to the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::meaning::Meaning;
use super::steps::{Answer, Ask, Done, Fault};
use super::{Database, HURRY, Patience, Shared};
use crate::event::SessionEvent;
use crate::store::{Outcome, StoreError};

/// Most events that one transaction applies.
const MOST: usize = 64;

/// Where events are handed in. The writer behind it ends with the last of its clones.
///
/// One is enough: with two, half as many events share a transaction, and those of one workspace would
/// be in each other's way.
#[derive(Clone, Debug)]
pub(super) struct Queue(mpsc::Sender<Job>);

/// An event, and who waits for what becomes of it. A reply that is dropped says: do it yourself.
#[derive(Debug)]
struct Job {
    event: SessionEvent,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

impl Queue {
    pub(super) fn new<D: Database>(store: &Arc<Shared<D>>) -> Self {
        let (jobs, asked) = mpsc::channel(4 * MOST);
        tokio::spawn(write(store.clone(), asked));
        Self(jobs)
    }

    /// Applies an event together with others. `None`: it is left to the caller.
    pub(super) async fn apply(&self, event: &SessionEvent) -> Option<Result<Outcome, StoreError>> {
        let (reply, applied) = oneshot::channel();
        let event = event.clone();
        // A writer that is gone has ended with the runtime that the store was made in.
        self.0.send(Job { event, reply }).await.ok()?;
        applied.await.ok()
    }
}

/// Applies all that waits, in one transaction, which waits for others a moment only. If anything is
/// still in its way, a row that somebody holds, an event that the database does not take, all of it is
/// left to those who asked, each in a transaction of its own.
async fn write<D: Database>(store: Arc<Shared<D>>, mut asked: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(MOST);
    while asked.recv_many(&mut jobs, MOST).await > 0 {
        // Whoever waits no longer will ask again.
        jobs.retain(|job: &Job| !job.reply.is_closed());
        if jobs.is_empty() {
            continue;
        }
        let events: Vec<_> = jobs.iter().map(|job| &job.event).collect();
        let done = timeout(store.options.deadline, apply(&store, &events)).await;
        if let Ok(Ok(Done {
            answer: Answer::Applied(outcomes),
            ..
        })) = done
        {
            for (job, outcome) in jobs.drain(..).zip(outcomes) {
                let _ = job.reply.send(outcome);
            }
        }
        jobs.clear();
    }
}

async fn apply<D: Database>(store: &Shared<D>, events: &[&SessionEvent]) -> Result<Done, Fault> {
    let until = Instant::now() + HURRY;
    loop {
        match store.transact(Ask::Apply(events), Patience::Hurries).await {
            Err(Fault::Sql(error))
                if matches!(D::meaning(&error), Meaning::Held | Meaning::Conflict)
                    && Instant::now() < until =>
            {
                sleep(Duration::from_micros(fastrand::u64(500..3000))).await;
            }
            done => return done,
        }
    }
}
