//! The id of a session: [`Id`].

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::failure::clean;

/// Longest id of a session, in bytes.
pub const MAX_ID: usize = 255;

/// The id of a session. Cheap to clone.
///
/// `Debug` and `Display` mask numbers of seven or more digits, since some services name sessions by
/// phone number; [`as_str`](Self::as_str) gives the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// Returns `None` if the text is empty, too long, or has control characters.
    pub(super) fn new(text: &str) -> Option<Self> {
        let is_id = (1..=MAX_ID).contains(&text.len()) && !text.contains(char::is_control);
        is_id.then(|| Self(text.into()))
    }

    /// Returns the text, unmasked: it may be a phone number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For maps: it compares and hashes as its text does.
impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for Id {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&clean(&self.0, MAX_ID))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}
