//! When to look, how often, and when to give up: [`RetryPolicy`].
//!
//! A policy is a plan and nothing else: [`RetryPolicy::delays`] is an iterator of durations, without
//! a clock and without sleeping. Whoever runs the plan sleeps and minds the deadline. So the plan
//! can be tested, compared and plotted without waiting for it, and a test under paused time sees
//! exactly what production sees.
//!
//! | policy | first look | looks | between them | watches | gives up |
//! |---|---|---|---|---|---|
//! | [`eager`](RetryPolicy::eager), the default | at once | any number | 400 ms | the page reports | after 10 s |
//! | [`classic`](RetryPolicy::classic) | at 2.5 s | 15 | 500 ms | asks again and again | after 11 s |
//!
//! A policy comes from code ([`RetryPolicy::builder`]), from a configuration file (serde, durations
//! as `"500ms"`) or from the environment ([`RetryPolicy::from_env`]). All three end in the same
//! validation, so a policy that exists is one that ends: it cannot spin, overflow or wait for days.

mod builder;
mod delays;
mod env;
mod error;
mod form;
#[cfg(feature = "backoff")]
mod interop;

use std::fmt;
use std::time::Duration;

pub(crate) use builder::MIN_INTERVAL;
pub use builder::RetryPolicyBuilder;
pub use delays::Delays;
pub use error::PolicyError;
#[cfg(feature = "backoff")]
pub use interop::from_backoff;
use serde::Serialize;

/// How a source is watched between the start of one slot and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Watch {
    /// One look at the start of each slot, then silence until the next: what the usual recipe does.
    /// The number is seen up to one interval late.
    Poll,
    /// The source watches through the whole slot and answers the moment the number is there.
    #[default]
    Wait,
}

impl Watch {
    /// The stable name, as in configuration files and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Wait => "wait",
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When to look, how often, and when to give up.
///
/// Valid by construction. Two limits hold at once: the schedule (delays and attempts) and the
/// deadline. Whichever is reached first ends the extraction; a deadline shorter than the schedule is
/// allowed and simply cuts it.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::retry::{RetryPolicy, Watch};
///
/// let policy = RetryPolicy::builder()
///     .attempts(4)
///     .interval(Duration::from_millis(100))
///     .growth(2.0)
///     .max_interval(Duration::from_millis(300))
///     .watch(Watch::Poll)
///     .build()?;
///
/// let delays: Vec<u128> = policy.delays().map(|delay| delay.as_millis()).collect();
/// assert_eq!(delays, [0, 100, 200, 300]);
/// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
/// ```
///
/// In configuration files durations carry their unit, unknown keys are refused and missing ones are
/// those of [`RetryPolicy::eager`]. Leaving out `attempts` (or null) means any number of looks.
///
/// ```
/// use whatsapp_phone::retry::RetryPolicy;
///
/// let policy: RetryPolicy = serde_json::from_str(r#"{"deadline": "30s", "interval": "1s 500ms"}"#)?;
/// assert_eq!(policy.interval().as_millis(), 1500);
///
/// let error = serde_json::from_str::<RetryPolicy>(r#"{"interval": 500}"#).unwrap_err();
/// assert!(error.to_string().contains("a duration with its unit"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "form::Form")]
pub struct RetryPolicy {
    initial_delay: Duration,
    attempts: Option<u32>,
    interval: Duration,
    growth: f64,
    max_interval: Option<Duration>,
    jitter: f64,
    look_timeout: Duration,
    deadline: Duration,
    watch: Watch,
    fallback_after_exhaustion: bool,
}

impl RetryPolicy {
    /// Looks at once and watches, up to 10 s. The default.
    ///
    /// Initial delay 0, any number of attempts, interval 400 ms, no growth, no cap, no jitter, look
    /// timeout 2 s, deadline 10 s, [`Watch::Wait`], every source asked each round.
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::default(), RetryPolicy::eager());
    /// assert_eq!(RetryPolicy::eager().attempts(), None);
    /// ```
    #[must_use]
    pub const fn eager() -> Self {
        Self {
            initial_delay: Duration::ZERO,
            attempts: None,
            interval: Duration::from_millis(400),
            growth: 1.0,
            max_interval: None,
            jitter: 0.0,
            look_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(10),
            watch: Watch::Wait,
            fallback_after_exhaustion: false,
        }
    }

    /// The usual whatsapp-web.js recipe: 2.5 s of patience, 15 looks 500 ms apart at the first
    /// source, then one look at the others at 10.0 s.
    ///
    /// Look timeout 2 s, deadline 11 s, [`Watch::Poll`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::classic();
    /// let last_look: Duration = policy.delays().sum();
    /// assert_eq!(last_look, Duration::from_millis(9_500));
    /// assert_eq!(last_look + policy.interval(), Duration::from_secs(10));
    /// ```
    #[must_use]
    pub const fn classic() -> Self {
        Self {
            initial_delay: Duration::from_millis(2_500),
            interval: Duration::from_millis(500),
            attempts: Some(15),
            deadline: Duration::from_secs(11),
            watch: Watch::Poll,
            fallback_after_exhaustion: true,
            ..Self::eager()
        }
    }

    /// A builder that starts from [`RetryPolicy::eager`].
    pub const fn builder() -> RetryPolicyBuilder {
        RetryPolicyBuilder::from_policy(Self::eager())
    }

    /// A builder that starts from this policy.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let patient = RetryPolicy::classic().to_builder().deadline(Duration::from_secs(20)).build()?;
    /// assert_eq!(patient.attempts(), Some(15));
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    pub fn to_builder(&self) -> RetryPolicyBuilder {
        RetryPolicyBuilder::from_policy(self.clone())
    }

    /// The delays before each look: item n is the wait before look n.
    ///
    /// The first is the initial delay; then the interval, times the growth each time, up to the cap.
    /// There are as many items as attempts, without end if those are not limited: the deadline ends
    /// the loop then, and that is the business of whoever sleeps. With jitter each delay is
    /// lengthened by a random share of itself, never shortened.
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::classic().delays().count(), 15);
    /// assert!(RetryPolicy::eager().delays().next().unwrap().is_zero());
    /// ```
    #[must_use]
    pub fn delays(&self) -> Delays {
        // Without jitter no random number is ever drawn, so none is asked of the thread's generator.
        let rng = if self.jitter > 0.0 {
            fastrand::Rng::new()
        } else {
            fastrand::Rng::with_seed(0)
        };
        Delays::new(self, rng)
    }

    /// As [`delays`](Self::delays), with the jitter that belongs to this seed: the same each time.
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let policy = RetryPolicy::classic().to_builder().jitter(0.5).build()?;
    /// assert!(policy.delays_with_seed(7).eq(policy.delays_with_seed(7)));
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    #[must_use]
    pub fn delays_with_seed(&self, seed: u64) -> Delays {
        Delays::new(self, fastrand::Rng::with_seed(seed))
    }

    /// The wait before the first look. Neither growth nor the cap touches it.
    #[must_use]
    pub const fn initial_delay(&self) -> Duration {
        self.initial_delay
    }

    /// The number of looks; `None` for as many as the deadline allows.
    #[must_use]
    pub const fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// The wait between the first look and the second.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The factor by which the interval grows from look to look; 1 for a steady one.
    #[must_use]
    pub const fn growth(&self) -> f64 {
        self.growth
    }

    /// What the growing interval never exceeds, before jitter. Without one the growth ends at 24 h.
    #[must_use]
    pub const fn max_interval(&self) -> Option<Duration> {
        self.max_interval
    }

    /// The largest share of itself by which a delay is lengthened at random, 0 to 1.
    #[must_use]
    pub const fn jitter(&self) -> f64 {
        self.jitter
    }

    /// How long one look may take before it counts as failed.
    #[must_use]
    pub const fn look_timeout(&self) -> Duration {
        self.look_timeout
    }

    /// The end of everything, measured from the start.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How a source is watched between two looks.
    #[must_use]
    pub const fn watch(&self) -> Watch {
        self.watch
    }

    /// `false`: every source is asked each round. `true`: the first source alone is asked on the
    /// schedule; after its last look and one more interval the others are asked, once. With unlimited
    /// attempts there is no last look, so the others are never asked.
    #[must_use]
    pub const fn fallback_after_exhaustion(&self) -> bool {
        self.fallback_after_exhaustion
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::eager()
    }
}
