//! How often something is tried again: [`Patience`].

use std::time::Duration;

use tokio::time::Instant;

use crate::retry::{Delays, RetryPolicy};

/// A policy's delays for one row of tries. It ends where the policy says: with its attempts, or where
/// the next try would come later than its deadline, counted from the start of the row.
#[derive(Debug)]
pub(super) struct Patience {
    deadline: Duration,
    delays: Delays,
    since: Instant,
}

impl Patience {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            deadline: policy.deadline(),
            delays: policy.delays(),
            since: Instant::now(),
        }
    }

    /// The delay before the very first try.
    pub(super) fn first(&mut self) -> Duration {
        // A policy has at least one attempt.
        self.delays.next().unwrap_or_default()
    }

    /// The delay before the next try; `None`: no more.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let delay = self.delays.next()?;
        (self.since.elapsed() + delay <= self.deadline).then_some(delay)
    }
}
