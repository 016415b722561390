//! When to try, how often, and when to give up: [`Backoff`], and [`RetryPolicy`] for extractions.
//!
//! A backoff is a schedule and nothing else: [`Backoff::delays`] is an iterator of durations, without
//! a clock and without sleeping; the caller sleeps. So a schedule can be tested, compared and plotted
//! without waiting for it.
//!
//! A [`RetryPolicy`] is a backoff plus how an extraction looks:
//!
//! | setting | [`eager`](RetryPolicy::eager), the default | [`classic`](RetryPolicy::classic) |
//! |---|---|---|
//! | `initial_delay` | 0s | 2s 500ms |
//! | `attempts` | unlimited | 15 |
//! | `interval` | 400ms | 500ms |
//! | `growth` | 1 | 1 |
//! | `jitter` | 0 | 0 |
//! | `look_timeout` | 2s | 2s |
//! | `deadline` | 10s | 11s |
//! | `look_mode` | wait | poll |
//! | `fallback_after_exhaustion` | false | true |
//!
//! A policy comes from code ([`RetryPolicy::builder`]), from a configuration file (serde, durations
//! as `"500ms"`, `look_mode` as `watch`) or from the environment ([`RetryPolicy::from_env`]). All three use the same
//! validation, so no policy can spin, overflow or wait for days.

mod backoff;
mod builder;
mod delays;
mod env;
mod error;
#[cfg(feature = "backoff")]
mod interop;
mod serde_form;

use std::time::Duration;

pub(crate) use self::backoff::MIN_INTERVAL;
pub use self::backoff::{Backoff, BackoffBuilder};
pub use builder::RetryPolicyBuilder;
pub use delays::Delays;
pub use error::PolicyError;
#[cfg(feature = "backoff")]
pub use interop::from_backoff;
use serde::Serialize;

use crate::text::stable_names;

/// How a source is watched between the start of one slot and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum LookMode {
    /// One look at the start of each slot, then silence until the next: what the usual recipe does.
    /// The number is seen up to one interval late.
    Poll,
    /// The source watches through the whole slot and answers the moment the number is there.
    #[default]
    Wait,
}

stable_names!(LookMode, "a look mode", as_str {
    Poll = "poll",
    Wait = "wait",
});

/// How an extraction looks: a [`Backoff`] with a deadline, the look timeout, how a source is watched, and
/// when the fallback is asked.
///
/// Always valid. The first limit that is reached ends the extraction: the last attempt or the deadline.
/// A deadline that is shorter than the schedule cuts it.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::retry::{RetryPolicy, LookMode};
///
/// let policy = RetryPolicy::builder()
///     .attempts(4)
///     .interval(Duration::from_millis(100))
///     .growth(2.0)
///     .max_interval(Duration::from_millis(300))
///     .look_mode(LookMode::Poll)
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
#[serde(into = "serde_form::Form")]
pub struct RetryPolicy {
    backoff: Backoff,
    look_timeout: Duration,
    look_mode: LookMode,
    fallback_after_exhaustion: bool,
}

impl RetryPolicy {
    /// Looks at once and watches, up to 10 s. The default.
    ///
    /// Initial delay 0, any number of attempts, interval 400 ms, no growth, no cap, no jitter, look
    /// timeout 2 s, deadline 10 s, [`LookMode::Wait`], every source asked each round.
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
            backoff: Backoff {
                interval: Duration::from_millis(400),
                growth: 1.0,
                max_interval: None,
                deadline: Some(Duration::from_secs(10)),
                ..Backoff::DEFAULT
            },
            look_timeout: Duration::from_secs(2),
            look_mode: LookMode::Wait,
            fallback_after_exhaustion: false,
        }
    }

    /// Returns the usual whatsapp-web.js recipe: 2.5 s of delay, 15 looks 500 ms apart at the first
    /// source, then one look at the others at 10.0 s.
    ///
    /// Look timeout 2 s, deadline 11 s, [`LookMode::Poll`].
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
            backoff: Backoff {
                initial_delay: Duration::from_millis(2_500),
                interval: Duration::from_millis(500),
                attempts: Some(15),
                deadline: Some(Duration::from_secs(11)),
                ..Self::eager().backoff
            },
            look_mode: LookMode::Poll,
            fallback_after_exhaustion: true,
            ..Self::eager()
        }
    }

    /// Returns a builder that starts from [`RetryPolicy::eager`].
    pub const fn builder() -> RetryPolicyBuilder {
        RetryPolicyBuilder::from_policy(Self::eager())
    }

    /// Returns a builder that starts from this policy.
    ///
    /// ```
    /// use std::time::Duration;
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// let longer = RetryPolicy::classic().to_builder().deadline(Duration::from_secs(20)).build()?;
    /// assert_eq!(longer.attempts(), Some(15));
    /// # Ok::<(), whatsapp_phone::retry::PolicyError>(())
    /// ```
    pub fn to_builder(&self) -> RetryPolicyBuilder {
        RetryPolicyBuilder::from_policy(self.clone())
    }

    /// Returns the schedule of the looks. Its deadline is always set.
    #[must_use]
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Returns the delays before each look: [`Backoff::delays`], where an attempt is a look.
    ///
    /// ```
    /// use whatsapp_phone::retry::RetryPolicy;
    ///
    /// assert_eq!(RetryPolicy::classic().delays().count(), 15);
    /// assert!(RetryPolicy::eager().delays().next().unwrap().is_zero());
    /// ```
    #[must_use]
    pub fn delays(&self) -> Delays {
        self.backoff.delays()
    }

    /// Returns the number of looks; `None` for as many as the deadline allows.
    #[must_use]
    pub const fn attempts(&self) -> Option<u32> {
        self.backoff.attempts
    }

    /// Returns the delay between the first look and the second.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.backoff.interval
    }

    /// Returns the time after which a look counts as failed.
    #[must_use]
    pub const fn look_timeout(&self) -> Duration {
        self.look_timeout
    }

    /// Returns the time at which the extraction ends, measured from its start.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        match self.backoff.deadline {
            Some(deadline) => deadline,
            // No constructor leaves it out.
            None => backoff::MAX_DURATION,
        }
    }

    /// Returns how a source is watched between two looks.
    #[must_use]
    pub const fn look_mode(&self) -> LookMode {
        self.look_mode
    }

    /// Returns when sources after the first are asked. `false`: every source is asked each round. `true`: the first source alone is asked on the
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
