//! [`Command`]: a round trip whose result several callers share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::decision::Observation;
use super::error::LookError;
use crate::failure::{ProtocolFailure, Site};

/// Longest delay of a command that later callers still join.
const MAX_DELAY: Duration = Duration::from_secs(2);

pub(crate) type CommandResult<T = Arc<Observation>> = Result<T, ProtocolFailure>;

/// A command in a task of its own. Nothing can cancel it at the driver, so it keeps running after its callers
/// are dropped, and later callers share its result.
#[derive(Clone)]
pub(crate) struct Command<T = Arc<Observation>> {
    result: watch::Receiver<Option<CommandResult<T>>>,
    due: Instant,
}

impl<T: Clone + Send + Sync + 'static> Command<T> {
    /// Starts a command that takes `length` if all is well.
    pub(crate) fn start(
        length: Duration,
        work: impl Future<Output = CommandResult<T>> + Send + 'static,
    ) -> Self {
        let (sender, result) = watch::channel(None);
        tokio::spawn(async move { sender.send_replace(Some(work.await)) });
        Self {
            result,
            due: Instant::now() + length + MAX_DELAY,
        }
    }

    /// Waits for the result.
    pub(crate) async fn result(mut self) -> CommandResult<T> {
        let result = self.result.wait_for(Option::is_some).await;
        // The task ends without a result only if its runtime ends or it panics.
        let result = result.ok().and_then(|result| result.clone());
        result.unwrap_or_else(|| Err(LookError::timeout(Site::Unknown).failure))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.result.borrow().is_some() || self.result.has_changed().is_err()
    }

    /// Returns whether it is worth waiting for: it has not been running for too long.
    pub(crate) fn is_in_time(&self) -> bool {
        Instant::now() < self.due
    }

    pub(crate) const fn due(&self) -> Instant {
        self.due
    }
}
