//! The schedule as a pure iterator: [`Delays`].

use std::iter::FusedIterator;
use std::time::Duration;

use fastrand::Rng;

use super::Backoff;
use super::backoff::MAX_DURATION;

/// The delays before each attempt, from [`Backoff::delays`]. Item n is the delay before attempt n.
///
/// It has no clock. A clone continues from the same item.
#[derive(Clone, Debug)]
pub struct Delays {
    plan: Backoff,
    /// The next item before jitter.
    next: Duration,
    /// The attempts that are left; `None` if they are unlimited.
    left: Option<u32>,
    at_start: bool,
    rng: Rng,
}

impl Delays {
    pub(super) fn new(plan: &Backoff, rng: Rng) -> Self {
        Self {
            plan: plan.clone(),
            next: plan.initial_delay,
            left: plan.attempts,
            at_start: true,
            rng,
        }
    }

    /// Returns the next delay; `None` after the last attempt, or if the next one would start after the
    /// [deadline](Backoff::deadline). `elapsed`: the time since the start.
    pub fn next_within(&mut self, elapsed: Duration) -> Option<Duration> {
        let delay = self.next()?;
        let is_in_time = |deadline| elapsed.saturating_add(delay) <= deadline;
        self.plan.deadline.is_none_or(is_in_time).then_some(delay)
    }

    /// Returns whether no item was taken yet.
    #[cfg(feature = "backoff")]
    pub(super) const fn at_start(&self) -> bool {
        self.at_start
    }

    /// Starts again. The generator continues, so a second run does not repeat the jitter of the first.
    #[cfg(feature = "backoff")]
    pub(super) const fn restart(&mut self) {
        self.next = self.plan.initial_delay;
        self.left = self.plan.attempts;
        self.at_start = true;
    }

    fn after(&self) -> Duration {
        let longest = self.plan.max_interval.unwrap_or(MAX_DURATION);
        if self.at_start {
            self.plan.interval
        } else if self.plan.growth > 1.0 && self.next < longest {
            // A day times a hundred is far from overflow. A steady interval stays exact.
            self.next.mul_f64(self.plan.growth).min(longest)
        } else {
            self.next
        }
    }
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        let delay = self.next;
        self.next = self.after();
        self.at_start = false;
        if self.plan.jitter > 0.0 {
            return Some(delay + delay.mul_f64(self.plan.jitter * self.rng.f64()));
        }
        Some(delay)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.left {
            Some(left) => {
                usize::try_from(left).map_or((usize::MAX, None), |left| (left, Some(left)))
            }
            None => (usize::MAX, None),
        }
    }
}

impl FusedIterator for Delays {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::RetryPolicy;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn classic_looks_from_two_and_a_half_seconds_every_half_second() {
        let mut at = Duration::ZERO;
        let times: Vec<Duration> = RetryPolicy::classic()
            .delays()
            .map(|delay| {
                at += delay;
                at
            })
            .collect();
        let expected: Vec<Duration> = (0..15).map(|n| MS(2_500 + n * 500)).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn eager_looks_at_once_and_does_not_end() {
        let mut delays = RetryPolicy::eager().delays();
        assert_eq!(delays.next(), Some(Duration::ZERO));
        assert!(delays.by_ref().take(100_000).all(|delay| delay == MS(400)));
        assert_eq!(delays.size_hint(), (usize::MAX, None));
    }

    #[test]
    fn growth_starts_at_the_interval_and_ends_at_the_cap_which_spares_the_initial_delay() {
        let policy = RetryPolicy::builder()
            .initial_delay(MS(5_000))
            .interval(MS(100))
            .growth(3.0)
            .max_interval(MS(1_000))
            .attempts(6)
            .build()
            .unwrap();
        let delays = policy.delays();
        assert_eq!(delays.size_hint(), (6, Some(6)));
        assert!(delays.eq([5_000, 100, 300, 900, 1_000, 1_000].map(MS)));
    }

    #[test]
    fn the_wildest_growth_saturates() {
        let policy = RetryPolicy::builder()
            .growth(100.0)
            .jitter(1.0)
            .build()
            .unwrap();
        let last = policy.backoff().delays_with_seed(1).nth(10_000).unwrap();
        assert!(last >= MAX_DURATION && last <= MAX_DURATION * 2);
    }

    #[test]
    fn without_jitter_the_generator_of_the_thread_is_not_touched() {
        fastrand::seed(42);
        let expected = fastrand::u64(..);
        fastrand::seed(42);
        assert_eq!(RetryPolicy::classic().delays().count(), 15);
        assert_eq!(fastrand::u64(..), expected);
    }

    #[test]
    fn jitter_differs_by_seed_and_repeats_with_it() {
        let policy = RetryPolicy::classic()
            .to_builder()
            .jitter(1.0)
            .build()
            .unwrap();
        assert!(
            policy
                .backoff()
                .delays_with_seed(1)
                .eq(policy.backoff().delays_with_seed(1))
        );
        assert!(
            policy
                .backoff()
                .delays_with_seed(1)
                .ne(policy.backoff().delays_with_seed(2))
        );
    }

    proptest! {
        #[test]
        fn no_delay_is_below_the_schedule_or_above_the_cap_and_its_jitter(
            initial in 0_u64..9_000_000,
            interval in 10_u64..100_000,
            room in 0_u64..1_000_000,
            growth in 1.0_f64..=100.0,
            jitter in 0.0_f64..=1.0,
            attempts in 1_u32..200,
            seed: u64,
        ) {
            let cap = MS(interval + room);
            let policy = RetryPolicy::builder()
                .initial_delay(Duration::from_micros(initial))
                .interval(MS(interval))
                .max_interval(cap)
                .growth(growth)
                .jitter(jitter)
                .attempts(attempts)
                .build()
                .unwrap();
            let steady = policy.to_builder().jitter(0.0).build().unwrap();
            let schedule: Vec<Duration> = steady.delays().collect();
            let delays: Vec<Duration> = policy.backoff().delays_with_seed(seed).collect();
            prop_assert_eq!(delays.len(), attempts as usize);
            prop_assert_eq!(schedule[0], policy.backoff().initial_delay());
            // One nanosecond for rounding.
            let most = |base: Duration| base.mul_f64(1.0 + jitter) + Duration::from_nanos(1);
            for (n, (delay, base)) in delays.iter().zip(&schedule).enumerate() {
                prop_assert!(delay >= base && *delay <= most(*base));
                prop_assert!(n == 0 || (*delay >= policy.interval() && *delay <= most(cap)));
            }
            prop_assert!(schedule[1..].is_sorted());
        }
    }
}
