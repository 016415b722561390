//! The id of a session: [`Id`].

use std::borrow::Borrow;
use std::fmt;

use crate::text::{IdText, MAX_ID};

/// The id of a session. Cheap to clone.
///
/// `Debug` and `Display` mask numbers of seven or more digits, since some services name sessions by
/// phone number; [`as_str`](Self::as_str) gives the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(IdText);

impl Id {
    /// Longest id, in bytes.
    pub const MAX_LEN: usize = MAX_ID;

    /// Returns `None` for an invalid id.
    pub(super) fn new(text: &str) -> Option<Self> {
        IdText::new(text).map(Self)
    }

    /// Returns the text, unmasked: it may be a phone number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// For maps: it compares and hashes as its text does.
impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<&str> for Id {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
