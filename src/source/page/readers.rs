//! The table of readers: every expression that has yielded the own number on some WhatsApp Web.
//!
//! Newest first. A new one is one row here, and one name in [`ReaderId`].

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a reader: one row of the table, or one of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReaderId {
    /// `WAWebUserPrefsMeUser`: WhatsApp's own module, 2.3000 and later.
    MeUser,
    /// `WPP.conn`: where wa-js (wppconnect) is injected.
    WppConn,
    /// `Store.User`: multi-device with webpack, or injected by whatsapp-web.js up to 1.34.6.
    StoreUser,
    /// `Store.Conn.wid`: 2.2045 to the end of single device.
    ConnWid,
    /// `Store.Conn.me`: before 2.2045.
    ConnMe,
    /// `localStorage['last-wid-md']`: the getters' backing store, which survives their renaming.
    LastWidMd,
    /// The reader of this name among the page's
    /// [`Overrides`](crate::source::webdriver::Overrides).
    Custom(Arc<str>),
}

impl ReaderId {
    /// Returns the id of a reader of the caller's.
    #[must_use]
    pub fn custom(name: &str) -> Self {
        Self::Custom(name.into())
    }

    /// Returns its name in results and logs: `Store.User`, `Store.Conn.me`, ...
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Custom(name) => name,
            _ => &self.row().name,
        }
    }

    /// Returns which WhatsApp Web has it.
    #[must_use]
    pub fn generation(&self) -> &'static str {
        self.row().generation
    }

    /// Returns which library reads it like this.
    #[must_use]
    pub fn origin(&self) -> &'static str {
        self.row().origin
    }

    /// Returns the built-in ones, newest first.
    pub fn all() -> impl Iterator<Item = Self> {
        READERS.iter().map(|row| row.id.clone())
    }

    fn row(&self) -> &'static Reader {
        // A test checks that the table has a row for each built-in name.
        READERS
            .iter()
            .find(|row| row.id == *self)
            .unwrap_or(&CUSTOM)
    }
}

impl fmt::Display for ReaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&str> for ReaderId {
    /// Returns the built-in reader of this name, and else a [custom](Self::custom) one.
    fn from(name: &str) -> Self {
        let mut known = Self::all();
        let known = known.find(|reader| reader.as_str() == name);
        known.unwrap_or_else(|| Self::custom(name))
    }
}

impl FromStr for ReaderId {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::from(name))
    }
}

impl Serialize for ReaderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ReaderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from(&*name))
    }
}

/// One row: how to ask, and when that worked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reader {
    pub(super) id: ReaderId,
    pub(super) name: Cow<'static, str>,
    /// A JavaScript expression that uses the helpers of `look.js`: a list of functions, the number's
    /// first, then the LID's. A function that gives `ABSENT` has nothing to ask on this page.
    pub(super) expression: Cow<'static, str>,
    pub(super) generation: &'static str,
    pub(super) origin: &'static str,
    /// It asks the running page, not its storage.
    pub(super) is_live: bool,
    /// A user without a server is a phone number: true only where LIDs did not exist yet.
    pub(super) is_bare_user_a_number: bool,
}

const LIVE: Reader = Reader {
    id: ReaderId::MeUser,
    name: Cow::Borrowed(""),
    expression: Cow::Borrowed(""),
    generation: "",
    origin: "",
    is_live: true,
    is_bare_user_a_number: false,
};

/// The description of a caller's reader.
const CUSTOM: Reader = Reader {
    generation: "as the caller says",
    origin: "the caller",
    ..LIVE
};

impl Reader {
    /// Makes a reader of the caller's. The line breaks end a comment in an expression.
    pub(super) fn custom(name: &str, number: &str, lid: Option<&str>) -> Self {
        let lid = lid.unwrap_or("undefined");
        Self {
            id: ReaderId::custom(name),
            name: name.to_owned().into(),
            expression: format!("custom(() => (\n{number}\n), () => (\n{lid}\n))").into(),
            ..CUSTOM
        }
    }
}

pub(crate) const READERS: &[Reader] = &[
    Reader {
        id: ReaderId::MeUser,
        name: Cow::Borrowed("WAWebUserPrefsMeUser"),
        expression: Cow::Borrowed("account(me, call)"),
        generation: "2.3000 and later; getMaybeMePnUser and getMaybeMeDevicePn since 1-2 Sep 2025",
        origin: "whatsapp-web.js 1.25 and later",
        ..LIVE
    },
    Reader {
        id: ReaderId::WppConn,
        name: Cow::Borrowed("WPP.conn"),
        expression: Cow::Borrowed(
            "[() => memo(wpp, 'getMyUserId'), () => memo(wpp, 'getMyUserLid')]",
        ),
        generation: "any that wa-js supports",
        origin: "wa-js, wppconnect",
        ..LIVE
    },
    Reader {
        id: ReaderId::StoreUser,
        name: Cow::Borrowed("Store.User"),
        expression: Cow::Borrowed("account(window.Store?.User, memo)"),
        generation: "multi-device, webpack (2021 - 2024)",
        origin: "whatsapp-web.js 1.16 - 1.24, injected up to 1.34.6",
        ..LIVE
    },
    Reader {
        id: ReaderId::ConnWid,
        name: Cow::Borrowed("Store.Conn.wid"),
        expression: Cow::Borrowed("[() => read(window.Store?.Conn, 'wid')]"),
        generation: "2.2045 to the end of single device",
        origin: "whatsapp-web.js 1.11 - 1.15",
        is_bare_user_a_number: true,
        ..LIVE
    },
    Reader {
        id: ReaderId::ConnMe,
        name: Cow::Borrowed("Store.Conn.me"),
        expression: Cow::Borrowed("[() => read(window.Store?.Conn, 'me')]"),
        generation: "before 2.2045 (Nov 2020)",
        origin: "whatsapp-web.js 1.0 - 1.10",
        is_bare_user_a_number: true,
        ..LIVE
    },
    Reader {
        id: ReaderId::LastWidMd,
        name: Cow::Borrowed("localStorage.last-wid-md"),
        expression: Cow::Borrowed(
            "[() => window.localStorage[NAMES.number_key] ?? ABSENT, () => window.localStorage[NAMES.lid_key] ?? ABSENT]",
        ),
        generation: "multi-device, whatever the getters are called",
        origin: "the getters' own backing store",
        is_live: false,
        ..LIVE
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_row_and_every_row_is_filled() {
        use ReaderId::*;
        let ids = [MeUser, WppConn, StoreUser, ConnWid, ConnMe, LastWidMd];
        assert_eq!(ReaderId::all().collect::<Vec<_>>(), ids);
        for row in READERS {
            assert_eq!(row.id.as_str(), row.name);
            assert_eq!(ReaderId::from(&*row.name), row.id);
            for text in [&*row.name, &row.expression, row.generation, row.origin] {
                assert!(!text.is_empty(), "{row:?}");
            }
        }
    }
}
