//! Schedules of the crate `backoff` 0.4, in both directions.
//!
//! That crate is no longer maintained (RUSTSEC-2025-0012), so nothing else here uses it.

use std::iter;
use std::time::Duration;

use backoff::backoff::Backoff;

use super::Delays;

/// A schedule for the loops of the crate `backoff`. They make the first attempt at once and on their
/// own, so the delay before attempt 1 is left out; each call gives the next one, and `None` after the last
/// attempt.
///
/// The deadline is not part of it: the loop that sleeps must mind it.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::retry::RetryPolicy;
///
/// let policy = RetryPolicy::builder().attempts(3).interval(Duration::from_millis(10)).build()?;
/// let mut tries = 0;
/// let answer = backoff::retry(policy.delays(), || {
///     tries += 1;
///     Err::<(), _>(backoff::Error::transient("not yet"))
/// });
/// assert!(answer.is_err());
/// assert_eq!(tries, 3);
/// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "backoff")))]
impl Backoff for Delays {
    /// Starts again. The jitter goes on, so a second run does not repeat that of the first.
    fn reset(&mut self) {
        self.restart();
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        if self.at_start() {
            self.next()?;
        }
        self.next()
    }
}

/// Returns the delays before each attempt from a backoff of the crate `backoff`: zero, then its delays, until
/// it has none left.
///
/// The backoff is reset before its first delay, as that crate's own loops do: it measures its time
/// from the first attempt, not from when it was made.
///
/// ```
/// use std::time::Duration;
/// use backoff::backoff::Constant;
/// use whatsapp_phone::retry::from_backoff;
///
/// let delays = from_backoff(Constant::new(Duration::from_millis(40)));
/// assert!(delays.take(3).map(|delay| delay.as_millis()).eq([0, 40, 40]));
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "backoff")))]
pub fn from_backoff(mut backoff: impl Backoff) -> impl Iterator<Item = Duration> {
    let mut started = false;
    iter::from_fn(move || {
        if started {
            return backoff.next_backoff();
        }
        started = true;
        backoff.reset();
        Some(Duration::ZERO)
    })
    // A backoff may return more after its `None`; a schedule that ended has ended.
    .fuse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::RetryPolicy;
    use backoff::backoff::{Constant, Stop, Zero};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Returns its script, then `None` once, then continues: the worst that a backoff may do.
    struct Scripted {
        left: Vec<u64>,
        resets: u32,
    }

    impl Backoff for Scripted {
        fn reset(&mut self) {
            self.resets += 1;
            assert_eq!(self.resets, 1);
        }

        fn next_backoff(&mut self) -> Option<Duration> {
            if self.left.is_empty() {
                self.left = vec![99];
                return None;
            }
            Some(MS(self.left.remove(0)))
        }
    }

    #[test]
    fn the_delay_before_the_first_look_is_left_out() {
        let mut delays = RetryPolicy::classic().delays();
        let backoffs: Vec<Duration> = iter::from_fn(|| delays.next_backoff()).collect();
        assert_eq!(backoffs, vec![MS(500); 14]);
        assert_eq!(delays.next_backoff(), None);
    }

    #[test]
    fn it_is_the_same_schedule_jitter_included() {
        let policy = RetryPolicy::classic()
            .to_builder()
            .jitter(0.5)
            .build()
            .unwrap();
        let mut delays = policy.backoff().delays_with_seed(3);
        assert!(
            policy
                .backoff()
                .delays_with_seed(3)
                .skip(1)
                .eq(iter::from_fn(|| delays.next_backoff()))
        );
    }

    #[test]
    fn reset_starts_over_at_any_point() {
        let policy = RetryPolicy::builder()
            .attempts(4)
            .interval(MS(100))
            .growth(2.0)
            .build()
            .unwrap();
        let mut delays = policy.delays();
        for taken in 0..5 {
            delays.reset();
            for _ in 0..taken {
                delays.next_backoff();
            }
            delays.reset();
            assert!(
                iter::from_fn(|| delays.next_backoff()).eq([100, 200, 400].map(MS)),
                "{taken}"
            );
        }
    }

    #[test]
    fn a_single_attempt_is_never_repeated() {
        let policy = RetryPolicy::classic()
            .to_builder()
            .attempts(1)
            .build()
            .unwrap();
        assert_eq!(policy.delays().next_backoff(), None);
    }

    #[test]
    fn a_real_loop_runs_on_our_schedule() {
        // Records the delays and returns zero, so that the loop does not sleep.
        struct Recorded<'a>(Delays, &'a mut Vec<Duration>);

        impl Backoff for Recorded<'_> {
            fn reset(&mut self) {
                self.0.reset();
            }

            fn next_backoff(&mut self) -> Option<Duration> {
                self.1.push(self.0.next_backoff()?);
                Some(Duration::ZERO)
            }
        }

        let (mut recorded, mut tries, mut notes) = (Vec::new(), 0, 0);
        let answer = backoff::retry_notify(
            Recorded(RetryPolicy::classic().delays(), &mut recorded),
            || {
                tries += 1;
                Err::<(), _>(backoff::Error::transient("not yet"))
            },
            |_, _| notes += 1,
        );
        assert!(matches!(
            answer,
            Err(backoff::Error::Transient { err: "not yet", .. })
        ));
        assert_eq!((tries, notes), (15, 14));
        assert_eq!(recorded, vec![MS(500); 14]);
    }

    #[test]
    fn a_backoff_is_a_schedule_that_begins_at_once_and_ends_once() {
        let scripted = Scripted {
            left: vec![7, 8],
            resets: 0,
        };
        let mut delays = from_backoff(scripted);
        assert!(delays.by_ref().eq([0, 7, 8].map(MS)));
        assert_eq!(delays.next(), None);
        assert!(from_backoff(Stop {}).eq([Duration::ZERO]));
        assert!(from_backoff(Zero {}).take(3).eq([Duration::ZERO; 3]));
        assert!(
            from_backoff(Constant::new(MS(4)))
                .take(3)
                .eq([0, 4, 4].map(MS))
        );
        assert_eq!(
            from_backoff(backoff::ExponentialBackoff::default())
                .take(5)
                .count(),
            5
        );
    }

    #[test]
    fn converting_there_and_back_changes_nothing() {
        let policy = RetryPolicy::builder()
            .attempts(9)
            .growth(1.5)
            .build()
            .unwrap();
        assert!(from_backoff(policy.delays()).eq(policy.delays()));
    }

    #[test]
    fn a_schedule_can_be_sent_to_another_thread() {
        fn sendable(_: impl Iterator<Item = Duration> + Send + 'static) {}
        sendable(from_backoff(Zero {}));
        sendable(RetryPolicy::eager().delays());
    }
}
