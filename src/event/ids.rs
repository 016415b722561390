//! The ids of an event, its session and its workspace: [`EventId`], [`SessionKey`], [`SessionId`],
//! [`WorkspaceId`].

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::EventError;
use crate::text::{IdText, MAX_ID, clean, read_text};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $field:literal,)*) => {$(
        $(#[$doc])*
        ///
        /// In JSON a string or an integer, written back as it came; `7` and `"7"` are the same id.
        /// At most [`MAX_LEN`](Self::MAX_LEN) bytes, no control characters. `Debug` and `Display` mask numbers of
        /// seven or more digits, since some services name sessions by phone number;
        /// [`as_str`](Self::as_str) gives the text.
        #[derive(Clone)]
        pub struct $name {
            text: IdText,
            is_integer: bool,
        }

        impl $name {
            /// Longest text of an id, in bytes.
            pub const MAX_LEN: usize = MAX_ID;

            /// Reads an id.
            ///
            /// # Errors
            ///
            /// If it is empty, longer than [`MAX_LEN`](Self::MAX_LEN) bytes or has control characters.
            pub fn new(text: &str) -> Result<Self, EventError> {
                let rule = "a string of 1 to 255 bytes without control characters, or an integer";
                let text = IdText::new(text).ok_or(EventError::Field { field: $field, rule })?;
                Ok(Self { text, is_integer: false })
            }

            /// Returns the text. It may be a phone number: keep it out of logs.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.text.as_str()
            }

            pub(super) fn read(value: Option<&Value>) -> Result<Self, EventError> {
                match value {
                    Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                        Ok(Self { is_integer: true, ..Self::new(&number.to_string())? })
                    }
                    Some(Value::String(text)) => Self::new(text),
                    _ => Self::new(""),
                }
            }

            pub(super) fn write(&self) -> Value {
                let number = self.is_integer.then(|| self.as_str().parse::<serde_json::Number>());
                match number {
                    Some(Ok(number)) => Value::Number(number),
                    _ => Value::from(self.as_str()),
                }
            }
        }

        ids!(@integer $name, i32, i64, u32, u64);

        impl TryFrom<&str> for $name {
            type Error = EventError;

            fn try_from(text: &str) -> Result<Self, EventError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = EventError;

            fn try_from(text: String) -> Result<Self, EventError> {
                Self::new(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl FromStr for $name {
            type Err = EventError;

            fn from_str(text: &str) -> Result<Self, EventError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.write().serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = Value::deserialize(deserializer)?;
                Self::read(Some(&value)).map_err(D::Error::custom)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl Eq for $name {}

        impl Ord for $name {
            /// Compares by the bytes of the text.
            fn cmp(&self, other: &Self) -> Ordering {
                self.text.cmp(&other.text)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.text.hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.text.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
    (@integer $name:ident, $($integer:ty),*) => {$(
        impl From<$integer> for $name {
            fn from(id: $integer) -> Self {
                Self { text: IdText::from_integer(id), is_integer: true }
            }
        }
    )*};
}

ids! {
    /// The id of a workspace: the customer or team that sessions belong to.
    WorkspaceId = "workspace_id",
    /// The id of a session: one link of one account, unique over all workspaces.
    SessionId = "session_id",
}

/// A session of a workspace.
///
/// ```
/// use whatsapp_phone::event::SessionKey;
///
/// let session = SessionKey::new(7, "session-1")?;
/// assert_eq!(session.workspace_id.as_str(), "7");
/// assert_eq!(session.to_string(), "session-1 of workspace 7");
/// # Ok::<(), whatsapp_phone::event::EventError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionKey {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The session.
    pub session_id: SessionId,
}

impl SessionKey {
    /// Makes a key from ids, texts or integers.
    ///
    /// # Errors
    ///
    /// If one of them is an invalid id; see [`SessionId::new`].
    pub fn new<W, S>(workspace_id: W, session_id: S) -> Result<Self, EventError>
    where
        W: TryInto<WorkspaceId>,
        S: TryInto<SessionId>,
        EventError: From<W::Error> + From<S::Error>,
    {
        Ok(Self {
            workspace_id: workspace_id.try_into()?,
            session_id: session_id.try_into()?,
        })
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of workspace {}", self.session_id, self.workspace_id)
    }
}

/// The id of an event, also sent as the `webhook-id`. Receivers recognise a repetition by it.
///
/// `Debug` and `Display` mask numbers of seven or more digits: a foreign id may hold anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Box<str>);

impl EventId {
    /// Longest text of an id, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Makes a new id: a UUID of version 7.
    pub(crate) fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// Reads an id.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than [`MAX_LEN`](Self::MAX_LEN) bytes, or has other characters than
    /// visible ASCII ones.
    pub fn new(text: &str) -> Result<Self, EventError> {
        let is_id = (1..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_id {
            return Err(EventError::Field {
                field: "id",
                rule: "a string of 1 to 128 visible ASCII characters",
            });
        }
        Ok(Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for EventId {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        Self::new(text)
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "an event's id is a string", Self::new)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&clean(&self.0, Self::MAX_LEN))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}
