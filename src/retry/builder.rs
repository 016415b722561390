//! The builder of a policy: [`RetryPolicyBuilder`].

use std::time::Duration;

use super::backoff::{backoff_setters, within};
use super::{LookMode, PolicyError, RetryPolicy};

/// Builds a [`RetryPolicy`]. See [`RetryPolicy::builder`]. Most setters are those of
/// [`BackoffBuilder`](super::BackoffBuilder), where an attempt is a look.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetryPolicyBuilder {
    draft: RetryPolicy,
}

impl RetryPolicyBuilder {
    pub(super) const fn from_policy(draft: RetryPolicy) -> Self {
        Self { draft }
    }

    backoff_setters!(backoff);

    /// Sets the time at which the extraction ends, measured from its start: above 0, at most 24 h. One
    /// that is shorter than the schedule cuts it.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.draft.backoff.deadline = Some(deadline);
        self
    }

    /// Sets the time after which a look counts as failed: above 0, at most 24 h.
    pub const fn look_timeout(mut self, timeout: Duration) -> Self {
        self.draft.look_timeout = timeout;
        self
    }

    /// Sets how a source is watched between two looks.
    pub const fn look_mode(mut self, look_mode: LookMode) -> Self {
        self.draft.look_mode = look_mode;
        self
    }

    /// Sets whether the first source alone is asked on the schedule and the others only after it. See
    /// [`RetryPolicy::fallback_after_exhaustion`].
    pub const fn fallback_after_exhaustion(mut self, yes: bool) -> Self {
        self.draft.fallback_after_exhaustion = yes;
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// If a value breaks a rule of its setter. The error names the setting, the value and the fix.
    pub fn build(self) -> Result<RetryPolicy, PolicyError> {
        let policy = self.draft;
        policy.backoff.to_builder().build()?;
        within("look_timeout", policy.look_timeout, Duration::from_nanos(1))?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::backoff::{MAX_DURATION, MAX_GROWTH, MIN_INTERVAL};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn each_broken_rule_is_named_with_its_value() {
        let b = RetryPolicy::builder;
        let day = MAX_DURATION + MS(1);
        for (builder, setting, value) in [
            (b().attempts(0), "attempts", "0"),
            (b().interval(Duration::ZERO), "interval", "0s"),
            (b().interval(MS(9)), "interval", "9ms"),
            (b().interval(day), "interval", "1day 1ms"),
            (b().interval(Duration::MAX), "interval", ""),
            (b().max_interval(Duration::MAX), "max_interval", ""),
            (b().look_timeout(Duration::MAX), "look_timeout", ""),
            (b().deadline(Duration::MAX), "deadline", ""),
            (b().growth(0.99), "growth", "0.99"),
            (b().growth(f64::NAN), "growth", "NaN"),
            (b().growth(f64::INFINITY), "growth", "inf"),
            (b().growth(100.5), "growth", "100.5"),
            (b().max_interval(MS(399)), "max_interval", "399ms"),
            (b().max_interval(day), "max_interval", "1day 1ms"),
            (b().jitter(-0.1), "jitter", "-0.1"),
            (b().jitter(1.1), "jitter", "1.1"),
            (b().jitter(f64::NAN), "jitter", "NaN"),
            (b().look_timeout(Duration::ZERO), "look_timeout", "0s"),
            (b().look_timeout(day), "look_timeout", "1day 1ms"),
            (b().deadline(Duration::ZERO), "deadline", "0s"),
            (b().deadline(day), "deadline", "1day 1ms"),
            (b().initial_delay(MS(10_000)), "initial_delay", "10s"),
            (b().initial_delay(Duration::MAX), "initial_delay", ""),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.setting(), setting, "{error}");
            assert!(value.is_empty() || error.value() == value, "{error}");
            assert!(
                error.to_string().starts_with(&format!("{setting} is ")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_edges_are_inside() {
        let policy = RetryPolicy::builder()
            .attempts(1)
            .interval(MIN_INTERVAL)
            .growth(MAX_GROWTH)
            .max_interval(MIN_INTERVAL)
            .jitter(1.0)
            .look_timeout(Duration::from_nanos(1))
            .deadline(MAX_DURATION)
            .initial_delay(MAX_DURATION - Duration::from_nanos(1))
            .build();
        assert!(policy.is_ok(), "{policy:?}");
    }

    #[test]
    fn the_ready_made_policies_are_valid() {
        for policy in [RetryPolicy::eager(), RetryPolicy::classic()] {
            assert_eq!(policy.to_builder().build(), Ok(policy));
        }
    }

    #[test]
    fn limits_can_be_removed() {
        let policy = RetryPolicy::classic()
            .to_builder()
            .unlimited_attempts()
            .max_interval(MS(900))
            .no_max_interval()
            .build()
            .unwrap();
        assert_eq!(
            (policy.attempts(), policy.backoff().max_interval()),
            (None, None)
        );
    }
}
