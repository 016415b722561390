//! [`IdText`]: an id that its user has chosen.

use std::fmt;
use std::sync::Arc;

use super::clean;

/// Longest id, in bytes.
pub(crate) const MAX_ID: usize = 255;

/// A valid id: 1 to [`MAX_ID`] bytes without control characters. `Debug` and `Display` mask numbers of seven or
/// more digits, since some services name sessions by phone number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdText(Arc<str>);

impl IdText {
    /// Returns `None` for an invalid id.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_id = (1..=MAX_ID).contains(&text.len()) && !text.contains(char::is_control);
        is_id.then(|| Self(text.into()))
    }

    /// Returns the id that this integer is.
    #[cfg(feature = "events")]
    pub(crate) fn from_integer(id: impl Into<i128>) -> Self {
        Self(id.into().to_string().into())
    }

    /// Returns the text, unmasked.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&clean(&self.0, MAX_ID))
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
