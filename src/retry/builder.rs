//! The one place where a policy is put together and judged: [`RetryPolicyBuilder`].

use std::time::Duration;

use humantime::format_duration;

use super::{PolicyError, RetryPolicy, Watch};

/// The shortest interval. Zero with unlimited attempts would be a busy loop on the page, and
/// anything below this is one in all but name: one look through a driver takes milliseconds.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The largest growth factor: a thousandfold step is a slip of the pen.
const MAX_GROWTH: f64 = 100.0;

/// The longest of every duration here. It keeps all arithmetic far away from overflow.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts a [`RetryPolicy`] together. See [`RetryPolicy::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct RetryPolicyBuilder {
    draft: RetryPolicy,
}

impl RetryPolicyBuilder {
    pub(super) const fn from_policy(draft: RetryPolicy) -> Self {
        Self { draft }
    }

    /// The wait before the first look: shorter than the deadline.
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.draft.initial_delay = delay;
        self
    }

    /// The number of looks: 1 or more.
    pub const fn attempts(mut self, looks: u32) -> Self {
        self.draft.attempts = Some(looks);
        self
    }

    /// As many looks as the deadline allows.
    pub const fn unlimited_attempts(mut self) -> Self {
        self.draft.attempts = None;
        self
    }

    /// The wait between the first look and the second: 10 ms to 24 h.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.draft.interval = interval;
        self
    }

    /// The factor by which the interval grows from look to look: 1 to 100.
    pub const fn growth(mut self, factor: f64) -> Self {
        self.draft.growth = factor;
        self
    }

    /// What the growing interval never exceeds, before jitter: from the interval to 24 h.
    pub const fn max_interval(mut self, cap: Duration) -> Self {
        self.draft.max_interval = Some(cap);
        self
    }

    /// No cap on the growing interval but the general 24 h.
    pub const fn no_max_interval(mut self) -> Self {
        self.draft.max_interval = None;
        self
    }

    /// The largest share of itself by which a delay is lengthened at random: 0 to 1. It spreads
    /// sessions that start together; no delay becomes shorter.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.draft.jitter = share;
        self
    }

    /// How long one look may take before it counts as failed: above 0, at most 24 h.
    pub const fn look_timeout(mut self, timeout: Duration) -> Self {
        self.draft.look_timeout = timeout;
        self
    }

    /// The end of everything, measured from the start: above 0, at most 24 h. One that is shorter
    /// than the schedule cuts it.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.draft.deadline = deadline;
        self
    }

    /// How a source is watched between two looks.
    pub const fn watch(mut self, watch: Watch) -> Self {
        self.draft.watch = watch;
        self
    }

    /// Whether the first source alone is asked on the schedule and the others only after it. See
    /// [`RetryPolicy::fallback_after_exhaustion`].
    pub const fn fallback_after_exhaustion(mut self, yes: bool) -> Self {
        self.draft.fallback_after_exhaustion = yes;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// The first rule of the setters above that a value breaks, with its name, the value and what to
    /// write instead.
    pub fn build(self) -> Result<RetryPolicy, PolicyError> {
        let p = &self.draft;
        if p.attempts == Some(0) {
            let advice = "at least one look is needed: write 1 or more, or leave it unlimited";
            return Err(PolicyError::new("attempts", "0", advice));
        }
        within("interval", p.interval, MIN_INTERVAL)?;
        if !(1.0..=MAX_GROWTH).contains(&p.growth) {
            let advice = format!("it must be from 1 (a steady interval) to {MAX_GROWTH}");
            return Err(PolicyError::new("growth", p.growth.to_string(), advice));
        }
        if let Some(cap) = p.max_interval {
            if cap < p.interval {
                let interval = format_duration(p.interval);
                let advice =
                    format!("the interval is {interval} already: raise it or lower the interval");
                return Err(PolicyError::new("max_interval", human(cap), advice));
            }
            within("max_interval", cap, MIN_INTERVAL)?;
        }
        if !(0.0..=1.0).contains(&p.jitter) {
            let advice = "it must be from 0 (none) to 1 (up to twice the delay)";
            return Err(PolicyError::new("jitter", p.jitter.to_string(), advice));
        }
        within("look_timeout", p.look_timeout, Duration::from_nanos(1))?;
        within("deadline", p.deadline, Duration::from_nanos(1))?;
        if p.initial_delay >= p.deadline {
            let deadline = format_duration(p.deadline);
            let advice = format!(
                "the deadline is {deadline}, so there would be no look at all: shorten it or extend the deadline"
            );
            return Err(PolicyError::new(
                "initial_delay",
                human(p.initial_delay),
                advice,
            ));
        }
        Ok(self.draft)
    }
}

fn within(setting: &'static str, value: Duration, min: Duration) -> Result<(), PolicyError> {
    let advice = if value < min && min == MIN_INTERVAL {
        format!(
            "it must be at least {}: less would be a busy loop",
            format_duration(min)
        )
    } else if value < min {
        "it must be longer than zero".to_owned()
    } else if value > MAX_DURATION {
        "it must be at most 24h".to_owned()
    } else {
        return Ok(());
    };
    Err(PolicyError::new(setting, human(value), advice))
}

fn human(value: Duration) -> String {
    format_duration(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn limits_can_be_taken_back() {
        let policy = RetryPolicy::classic()
            .to_builder()
            .unlimited_attempts()
            .max_interval(MS(900))
            .no_max_interval()
            .build()
            .unwrap();
        assert_eq!((policy.attempts(), policy.max_interval()), (None, None));
    }
}
