//! Why a policy is invalid: [`PolicyError`].

use crate::text::clean;

/// Longest part of an invalid value that is repeated, in bytes. It may come from an environment
/// variable that was meant for something else.
const MAX_VALUE: usize = 64;

/// An invalid [`Backoff`](super::Backoff) or [`RetryPolicy`](super::RetryPolicy). The message names the
/// setting, its value and the fix.
///
/// ```
/// use whatsapp_phone::retry::RetryPolicy;
///
/// let error = RetryPolicy::builder().attempts(0).build().unwrap_err();
/// assert_eq!(error.setting(), "attempts");
/// assert_eq!(
///     error.to_string(),
///     "attempts is 0, but at least one attempt is needed: write 1 or more, or leave it unlimited",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, but {advice}")]
pub struct PolicyError {
    setting: &'static str,
    value: String,
    advice: String,
}

impl PolicyError {
    pub(super) fn new(
        setting: &'static str,
        value: impl AsRef<str>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            setting,
            value: clean(value.as_ref(), MAX_VALUE),
            advice: advice.into(),
        }
    }

    /// Replaces the name of the setting by the one that the user wrote.
    pub(super) fn renamed(mut self, setting: &'static str) -> Self {
        self.setting = setting;
        self
    }

    /// Returns the invalid setting: a name as in the builder (`interval`), or the environment
    /// variable if the value came from one.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns the invalid value, with long runs of digits masked and cut at 64 bytes.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}
