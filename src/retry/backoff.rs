//! The schedule of everything that is retried: [`Backoff`].

use std::time::Duration;

use humantime::format_duration;

use super::{Delays, PolicyError};

/// The shortest interval. Zero with unlimited attempts would be a busy loop.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The largest growth factor. A larger one is a typing error.
pub(super) const MAX_GROWTH: f64 = 100.0;

/// The longest of all durations here. It keeps the arithmetic far away from overflow.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// When to try, how often, and when to give up. It has no clock and does not sleep.
///
/// The crate uses it for everything that it retries: looks at a page (in a
/// [`RetryPolicy`](super::RetryPolicy)), deliveries, restarts. [`delays`](Self::delays) gives the delay
/// before each attempt.
///
/// Always valid, because [`BackoffBuilder::build`] checks it.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::retry::Backoff;
///
/// let backoff = Backoff::builder()
///     .attempts(4)
///     .interval(Duration::from_millis(100))
///     .max_interval(Duration::from_millis(300))
///     .build()?;
///
/// let delays: Vec<u128> = backoff.delays().map(|delay| delay.as_millis()).collect();
/// assert_eq!(delays, [0, 100, 200, 300]);
/// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    pub(super) initial_delay: Duration,
    pub(super) attempts: Option<u32>,
    pub(super) interval: Duration,
    pub(super) growth: f64,
    pub(super) max_interval: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) deadline: Option<Duration>,
}

impl Backoff {
    /// The default: initial delay 0, any number of attempts, interval 100 ms, growth 2, longest
    /// interval 5 s, no jitter, no deadline.
    pub(super) const DEFAULT: Self = Self {
        initial_delay: Duration::ZERO,
        attempts: None,
        interval: Duration::from_millis(100),
        growth: 2.0,
        max_interval: Some(Duration::from_secs(5)),
        jitter: 0.0,
        deadline: None,
    };

    /// Conflicts between transactions: 1 ms growing to 50 ms, each up to twice as long at random, so that
    /// two that collide do not collide again.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(crate) const CONFLICTS: Self = Self {
        interval: Duration::from_millis(1),
        max_interval: Some(Duration::from_millis(50)),
        jitter: 1.0,
        ..Self::DEFAULT
    };

    /// Deliveries of an outbox: 1 s growing to 5 minutes, for 24 h.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    pub(crate) const OUTBOX: Self = Self {
        interval: Duration::from_secs(1),
        max_interval: Some(Duration::from_secs(5 * 60)),
        jitter: 0.2,
        deadline: Some(MAX_DURATION),
        ..Self::DEFAULT
    };

    /// Attempts of a webhook: a `send` with them ends before its callers, which wait for 10 s, give up.
    #[cfg(feature = "webhook")]
    pub(crate) const WEBHOOK: Self = Self {
        interval: Duration::from_millis(500),
        jitter: 0.2,
        deadline: Some(Duration::from_secs(4)),
        ..Self::DEFAULT
    };

    /// Returns a builder that starts from the default: initial delay 0, any number of attempts,
    /// interval 100 ms, growth 2, longest interval 5 s, no jitter, no deadline.
    pub const fn builder() -> BackoffBuilder {
        BackoffBuilder {
            draft: Self::DEFAULT,
        }
    }

    /// Returns a builder that starts from this backoff.
    pub fn to_builder(&self) -> BackoffBuilder {
        BackoffBuilder {
            draft: self.clone(),
        }
    }

    /// Returns the delays before each attempt: item n is the delay before attempt n.
    ///
    /// The first is the initial delay; then the interval, times the growth each time, up to the longest
    /// interval. The iterator has as many items as attempts, and does not end if those are unlimited.
    /// It knows no deadline: the caller minds it, for instance by [`Delays::next_within`]. With jitter
    /// each delay is lengthened by a random share of itself, never shortened.
    #[must_use]
    pub fn delays(&self) -> Delays {
        // Without jitter no random number is drawn, so the thread's generator is not used.
        let rng = match self.jitter > 0.0 {
            true => fastrand::Rng::new(),
            false => fastrand::Rng::with_seed(0),
        };
        Delays::new(self, rng)
    }

    /// Returns the same as [`delays`](Self::delays), with the jitter of this seed: equal for each call.
    ///
    /// ```
    /// use whatsapp_phone::retry::Backoff;
    ///
    /// let backoff = Backoff::builder().attempts(15).jitter(0.5).build()?;
    /// assert!(backoff.delays_with_seed(7).eq(backoff.delays_with_seed(7)));
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    #[must_use]
    pub fn delays_with_seed(&self, seed: u64) -> Delays {
        Delays::new(self, fastrand::Rng::with_seed(seed))
    }

    /// Returns the delay before the first attempt. Growth and longest interval do not apply to it.
    #[must_use]
    pub const fn initial_delay(&self) -> Duration {
        self.initial_delay
    }

    /// Returns the number of attempts; `None` if it is unlimited.
    #[must_use]
    pub const fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// Returns the delay between the first attempt and the second.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Returns the factor by which the interval grows from attempt to attempt; 1 for a steady one.
    #[must_use]
    pub const fn growth(&self) -> f64 {
        self.growth
    }

    /// Returns the longest interval, before jitter. `None`: the growth ends at 24 h.
    #[must_use]
    pub const fn max_interval(&self) -> Option<Duration> {
        self.max_interval
    }

    /// Returns the largest share of itself by which a delay is lengthened at random, 0 to 1.
    #[must_use]
    pub const fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Returns the time after which no attempt starts, measured from the start; `None` if there is no
    /// such limit.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
}

impl Default for Backoff {
    /// Returns the backoff whose values [`Backoff::builder`] lists.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The setters that both builders have. If the draft is more than a [`Backoff`], it has one in this field.
macro_rules! backoff_setters {
    ($($backoff:ident)?) => {
        /// Sets the delay before the first attempt: shorter than the deadline.
        pub const fn initial_delay(mut self, delay: Duration) -> Self {
            self.draft$(.$backoff)?.initial_delay = delay;
            self
        }

        /// Sets the number of attempts: 1 or more.
        pub const fn attempts(mut self, attempts: u32) -> Self {
            self.draft$(.$backoff)?.attempts = Some(attempts);
            self
        }

        /// Allows any number of attempts.
        pub const fn unlimited_attempts(mut self) -> Self {
            self.draft$(.$backoff)?.attempts = None;
            self
        }

        /// Sets the delay between the first attempt and the second: 10 ms to 24 h.
        pub const fn interval(mut self, interval: Duration) -> Self {
            self.draft$(.$backoff)?.interval = interval;
            self
        }

        /// Sets the factor by which the interval grows from attempt to attempt: 1 to 100.
        pub const fn growth(mut self, factor: f64) -> Self {
            self.draft$(.$backoff)?.growth = factor;
            self
        }

        /// Sets the longest interval, before jitter: from the interval to 24 h.
        pub const fn max_interval(mut self, longest: Duration) -> Self {
            self.draft$(.$backoff)?.max_interval = Some(longest);
            self
        }

        /// Lets the interval grow up to 24 h.
        pub const fn no_max_interval(mut self) -> Self {
            self.draft$(.$backoff)?.max_interval = None;
            self
        }

        /// Sets the largest share of itself by which a delay is lengthened at random: 0 to 1. It spreads
        /// sessions that start together; no delay becomes shorter.
        pub const fn jitter(mut self, share: f64) -> Self {
            self.draft$(.$backoff)?.jitter = share;
            self
        }
    };
}
pub(super) use backoff_setters;

/// Builds a [`Backoff`]. See [`Backoff::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct BackoffBuilder {
    draft: Backoff,
}

impl BackoffBuilder {
    backoff_setters!();

    /// Sets the time after which no attempt starts, measured from the start: above 0, at most 24 h.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.draft.deadline = Some(deadline);
        self
    }

    /// Removes the deadline.
    pub const fn no_deadline(mut self) -> Self {
        self.draft.deadline = None;
        self
    }

    /// Builds the backoff.
    ///
    /// # Errors
    ///
    /// If a value breaks a rule of its setter. The error names the setting, the value and the fix.
    pub fn build(self) -> Result<Backoff, PolicyError> {
        let b = &self.draft;
        if b.attempts == Some(0) {
            let advice = "at least one attempt is needed: write 1 or more, or leave it unlimited";
            return Err(PolicyError::new("attempts", "0", advice));
        }
        within("interval", b.interval, MIN_INTERVAL)?;
        if !(1.0..=MAX_GROWTH).contains(&b.growth) {
            let advice = format!("it must be from 1 (a steady interval) to {MAX_GROWTH}");
            return Err(PolicyError::new("growth", b.growth.to_string(), advice));
        }
        if let Some(longest) = b.max_interval {
            if longest < b.interval {
                let interval = format_duration(b.interval);
                let advice = format!("the interval is {interval}: raise it or lower the interval");
                return Err(PolicyError::new("max_interval", human(longest), advice));
            }
            within("max_interval", longest, MIN_INTERVAL)?;
        }
        if !(0.0..=1.0).contains(&b.jitter) {
            let advice = "it must be from 0 (none) to 1 (up to twice the delay)";
            return Err(PolicyError::new("jitter", b.jitter.to_string(), advice));
        }
        match b.deadline {
            Some(deadline) => {
                within("deadline", deadline, Duration::from_nanos(1))?;
                if b.initial_delay >= deadline {
                    let advice = format!(
                        "the deadline is {}, so there would be no attempt: shorten it or extend the deadline",
                        format_duration(deadline)
                    );
                    let delay = human(b.initial_delay);
                    return Err(PolicyError::new("initial_delay", delay, advice));
                }
            }
            None => within("initial_delay", b.initial_delay, Duration::ZERO)?,
        }
        Ok(self.draft)
    }
}

/// Checks that a duration is from `min` to 24 h.
pub(super) fn within(
    setting: &'static str,
    value: Duration,
    min: Duration,
) -> Result<(), PolicyError> {
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
    fn the_default_is_valid_and_is_what_the_builder_starts_from() {
        assert_eq!(Backoff::builder().build(), Ok(Backoff::default()));
    }

    #[test]
    fn limits_can_be_removed() {
        let limited = Backoff::builder().attempts(3).deadline(MS(5_000));
        let unlimited = limited.unlimited_attempts().no_deadline().build().unwrap();
        assert_eq!(unlimited, Backoff::default());
    }

    #[test]
    fn without_a_deadline_the_initial_delay_still_has_a_limit() {
        let builder = Backoff::builder().initial_delay(MAX_DURATION + MS(1));
        assert_eq!(builder.build().unwrap_err().setting(), "initial_delay");
        let longest = Backoff::builder().initial_delay(MAX_DURATION);
        assert!(longest.build().is_ok());
    }

    #[test]
    fn an_attempt_that_would_start_after_the_deadline_is_the_end() {
        let backoff = Backoff::builder()
            .interval(MS(400))
            .growth(1.0)
            .deadline(MS(1_000))
            .build()
            .unwrap();
        let mut delays = backoff.delays();
        assert_eq!(delays.next_within(MS(0)), Some(MS(0)));
        assert_eq!(delays.next_within(MS(200)), Some(MS(400)));
        assert_eq!(delays.next_within(MS(600)), Some(MS(400)));
        assert_eq!(delays.next_within(MS(601)), None);
        let mut unlimited = Backoff::default().delays();
        assert_eq!(unlimited.next_within(MAX_DURATION * 9), Some(MS(0)));
    }
}
