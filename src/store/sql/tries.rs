//! Whatever others are in the way of is tried again.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::meaning::{Failure, Meaning, late, late_again};
use super::{Database, Shared};
use crate::store::StoreError;

/// How often a number that another program took in the same moment is looked at again.
const TRIES_AT_A_NUMBER: u32 = 5;

/// The longest pause before something that others hold is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl<D: Database> Shared<D> {
    /// Tries until it is done, cannot be done or time is over, ever less often. An attempt is told why the
    /// one before it failed.
    pub(super) async fn until_done<T, F>(
        &self,
        mut attempt: impl FnMut(Option<Meaning>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let deadline = self.options.deadline;
        let (mut reason, mut is_pausing) = (None, false);
        let tries = async {
            let (mut tries, mut duplicates, mut before) = (0, 0, None);
            loop {
                let Failure { meaning, error } = match attempt(before).await {
                    Ok(done) => return Ok(done),
                    Err(failure) => failure,
                };
                tries += 1;
                duplicates += u32::from(meaning == Meaning::Duplicate);
                if duplicates >= TRIES_AT_A_NUMBER || !meaning.may_pass() {
                    return Err(error);
                }
                tracing::debug!(
                    store = D::NAME,
                    tries,
                    ?meaning,
                    "others are in its way; it is asked again"
                );
                before = Some(meaning);
                // Nothing is known yet of a number that is taken.
                reason = Some(error).filter(|_| meaning != Meaning::Duplicate);
                is_pausing = true;
                sleep(pause(tries)).await;
                is_pausing = false;
            }
        };
        if let Ok(done) = timeout(deadline, tries).await {
            return done;
        }
        Err(match reason {
            Some(reason) if is_pausing => reason,
            Some(reason) => late_again(&reason),
            None => late(D::NAME, deadline),
        })
    }
}

/// How long to wait after so many tries.
fn pause(tries: u32) -> Duration {
    let longest = Duration::from_millis(1 << tries.min(10)).min(LONGEST_PAUSE);
    Duration::from_micros(500) + longest.mul_f64(fastrand::f64())
}
