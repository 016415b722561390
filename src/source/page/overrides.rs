//! [`Overrides`]: names and readers in place of those that WhatsApp has renamed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::readers::{READERS, Reader};
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};
use crate::text::stable_names;

/// Longest name of a guard or a reader, in bytes.
const MAX_NAME: usize = 64;

/// Longest expression of a reader, in bytes: it goes over the connection with every look.
const MAX_EXPRESSION: usize = 4096;

/// Most readers of one page.
const MAX_READERS: usize = 16;

macro_rules! guards {
    ($($(#[$doc:meta])* $guard:ident = $key:literal, $name:literal;)*) => {
        /// A name of WhatsApp's that decides what a page is: is its device registered, is it connected, has
        /// it booted, was it logged out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Guard {
            $($(#[$doc])* $guard,)*
        }

        impl Guard {
            /// Returns WhatsApp's name for it, as far as this release knows.
            #[must_use]
            pub const fn default_name(self) -> &'static str {
                match self { $(Self::$guard => $name,)* }
            }
        }

        stable_names!(Guard, "a guard", as_str { $($guard = $key,)* });
    };
}

guards! {
    /// The module of the registration test.
    RegistrationModule = "registration_module", "WAWebUserPrefsMultiDevice";
    /// WhatsApp's own test whether the device is registered: a function of that module.
    RegistrationTest = "registration_test", "isRegistered";
    /// The module of the socket.
    SocketModule = "socket_module", "WAWebSocketModel";
    /// The model of the connection: an export of that module.
    Socket = "socket", "Socket";
    /// The state of the connection: a field of the socket.
    SocketState = "socket_state", "state";
    /// Whether the page has synced: a field of the socket.
    SocketSynced = "socket_synced", "hasSynced";
    /// A global that exists once the page has booted; a path with dots.
    BootMarker = "boot_marker", "Debug.VERSION";
    /// The storage key of the noise key.
    NoiseKey = "noise_key", "WANoiseInfo";
    /// The storage key of the own number.
    NumberKey = "number_key", "last-wid-md";
    /// The storage key of the own LID.
    LidKey = "lid_key", "WALid";
    /// The storage key of the mark of a logout.
    LogoutKey = "logout_key", "post-logout";
}

/// Names and readers in place of those that WhatsApp has renamed, until a release of this crate knows the new
/// ones. [`Page::set_overrides`](crate::source::webdriver::Page::set_overrides) gives them to a page.
///
/// - A **guard** is a plain name. It goes to the page as data and can run no code.
/// - A **reader** is a JavaScript expression that yields the own number: a JID as text, or an object with
///   `_serialized`, or with `user` and `server`. It is evaluated in every look, once the page has booted and
///   has an account. **It runs in the account's page with all its rights**, as a script of WhatsApp's own
///   would: use only expressions that you trust. This crate reads no file by itself.
///
/// ```
/// use whatsapp_phone::source::webdriver::{Guard, Overrides};
///
/// let overrides = Overrides::default()
///     .guard(Guard::RegistrationTest, "isLinked")
///     .reader("newer", "require('WAWebUserPrefsMeUser').getMyNumber()");
/// let from_file = Overrides::from_json(
///     r#"{
///         "guards": {"registration_test": "isLinked"},
///         "readers": [{"name": "newer", "number": "require('WAWebUserPrefsMeUser').getMyNumber()"}]
///     }"#,
/// )?;
/// assert_eq!(overrides, from_file);
/// # Ok::<(), whatsapp_phone::failure::ProtocolFailure>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use = "overrides do nothing until a page has them"]
pub struct Overrides {
    guards: BTreeMap<Guard, String>,
    readers: Vec<CustomReader>,
}

/// A reader of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomReader {
    name: String,
    /// A JavaScript expression that yields the number.
    number: String,
    /// One that yields the LID.
    #[serde(default)]
    lid: Option<String>,
}

impl Overrides {
    /// Sets WhatsApp's present name for this guard: letters, digits, `_`, `$` and `-`.
    pub fn guard(mut self, guard: Guard, name: impl Into<String>) -> Self {
        self.guards.insert(guard, name.into());
        self
    }

    /// Adds a reader: a name of its own for results and logs, and the expression of the number. Readers of
    /// the caller go before the built-in ones, the first one first; two live readers that disagree
    /// are a conflict.
    pub fn reader(self, name: impl Into<String>, number: impl Into<String>) -> Self {
        self.with(name.into(), number.into(), None)
    }

    /// Adds a reader as [`reader`](Self::reader) does, with an expression of the LID.
    pub fn reader_with_lid(
        self,
        name: impl Into<String>,
        number: impl Into<String>,
        lid: impl Into<String>,
    ) -> Self {
        self.with(name.into(), number.into(), Some(lid.into()))
    }

    fn with(mut self, name: String, number: String, lid: Option<String>) -> Self {
        self.readers.push(CustomReader { name, number, lid });
        self
    }

    /// Reads overrides from JSON: `guards`, an object from [`Guard::as_str`] to names, and `readers`, a list
    /// of objects with `name`, `number` and perhaps `lid`. Both are optional.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if the text has another form.
    pub fn from_json(text: &str) -> Result<Self, ProtocolFailure> {
        serde_json::from_str(text)
            .map_err(|error| misconfigured(format!("the overrides cannot be read: {error}")))
    }

    /// Checks everything but the syntax of the expressions, which only the page can check.
    pub(crate) fn check(&self) -> Result<(), ProtocolFailure> {
        for (guard, name) in &self.guards {
            let is_path = *guard == Guard::BootMarker;
            let mut parts = name.split(|c| is_path && c == '.');
            if name.len() > MAX_NAME || !parts.all(is_plain) {
                return Err(misconfigured(format!(
                    "`{name}` is no name for the guard {guard}; write letters, digits, `_`, `$` and `-`, at most {MAX_NAME}"
                )));
            }
        }
        if self.readers.len() > MAX_READERS {
            return Err(misconfigured(format!(
                "there are {} readers; a page takes at most {MAX_READERS}",
                self.readers.len()
            )));
        }
        for (i, CustomReader { name, number, lid }) in self.readers.iter().enumerate() {
            let is_named = name.split('.').all(is_plain) && name.len() <= MAX_NAME;
            if !is_named {
                return Err(misconfigured(format!(
                    "`{name}` is no name for a reader; write letters, digits, `_`, `$`, `-` and dots, at most {MAX_NAME}"
                )));
            }
            let is_taken = READERS.iter().any(|row| row.name == *name)
                || self.readers[..i].iter().any(|other| other.name == *name);
            if is_taken {
                return Err(misconfigured(format!(
                    "there are two readers named `{name}`; give each its own name"
                )));
            }
            let is_expression =
                |text: &String| !text.trim().is_empty() && text.len() <= MAX_EXPRESSION;
            if ![Some(number), lid.as_ref()]
                .into_iter()
                .flatten()
                .all(is_expression)
            {
                return Err(misconfigured(format!(
                    "the reader `{name}` has an expression that is empty or longer than {MAX_EXPRESSION} bytes"
                )));
            }
        }
        Ok(())
    }

    /// Returns the caller's readers, then the built-in ones.
    pub(super) fn readers(&self) -> impl Iterator<Item = Reader> {
        let custom = self.readers.iter();
        custom
            .map(|row| Reader::custom(&row.name, &row.number, row.lid.as_deref()))
            .chain(READERS.iter().cloned())
    }

    /// Returns the present name of a guard.
    pub(super) fn name(&self, guard: Guard) -> &str {
        let name = self.guards.get(&guard);
        name.map_or(guard.default_name(), |name| name)
    }

    /// Returns the present names of all guards, as the scripts read them.
    pub(super) fn names(&self) -> Value {
        let names = Guard::ALL.iter().map(|guard| {
            let name = self.name(*guard);
            let name = match guard {
                Guard::BootMarker => json!(name.split('.').collect::<Vec<_>>()),
                _ => json!(name),
            };
            (guard.as_str().to_owned(), name)
        });
        names.collect()
    }

    /// Returns each reader of the caller's by name, as its row of the table.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&str, String)> {
        let readers = self.readers.iter();
        readers.map(|row| {
            let reader = Reader::custom(&row.name, &row.number, row.lid.as_deref());
            (row.name.as_str(), reader.expression.into_owned())
        })
    }
}

fn is_plain(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '-');
    !name.is_empty() && name.chars().all(is_letter)
}

/// Returns the failure for a reader that does not compile.
pub(crate) fn invalid_reader(name: &str, cause: ProtocolFailure) -> ProtocolFailure {
    let text = format!("the reader `{name}` is not a JavaScript expression");
    misconfigured(text).caused_by(cause)
}

fn misconfigured(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::Unknown, text).with_code(MISCONFIGURED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_overrides_are_refused_with_the_reason() {
        let long = "x".repeat(MAX_EXPRESSION + 1);
        let many = (0..=MAX_READERS).fold(Overrides::default(), |all, i| {
            all.reader(format!("r{i}"), "1")
        });
        for (overrides, reason) in [
            (Overrides::default().guard(Guard::NoiseKey, ""), "noise_key"),
            (
                Overrides::default().guard(Guard::Socket, "a'];alert(1)//"),
                "guard socket",
            ),
            (
                Overrides::default().guard(Guard::BootMarker, "Debug..V"),
                "boot_marker",
            ),
            (
                Overrides::default().guard(Guard::SocketState, "a.b"),
                "socket_state",
            ),
            (
                Overrides::default().reader("a b", "1"),
                "no name for a reader",
            ),
            (
                Overrides::default().reader("Store.User", "1"),
                "two readers named",
            ),
            (
                Overrides::default().reader("a", "1").reader("a", "2"),
                "two readers named",
            ),
            (Overrides::default().reader("a", " "), "empty"),
            (
                Overrides::default().reader_with_lid("a", "1", long),
                "longer than",
            ),
            (many, "at most 16"),
        ] {
            let error = overrides.check().unwrap_err();
            assert!(error.message().contains(reason), "{error}");
            assert_eq!(error.code(), Some(MISCONFIGURED));
        }
        for (text, reason) in [
            ("[", "EOF"),
            (r#"{"guard": {}}"#, "unknown field `guard`"),
            (
                r#"{"guards": {"sync": "x"}}"#,
                "not a guard; write one of: registration_module",
            ),
            (r#"{"readers": [{"name": "x"}]}"#, "missing field `number`"),
        ] {
            let error = Overrides::from_json(text).unwrap_err();
            assert!(error.message().contains(reason), "{error}");
        }
        assert!(
            "sync"
                .parse::<Guard>()
                .unwrap_err()
                .to_string()
                .contains("registration_test")
        );
    }

    #[test]
    fn each_guard_has_its_own_key_and_a_valid_name() {
        for guard in Guard::ALL {
            assert_eq!(guard.as_str().parse::<Guard>(), Ok(*guard));
            assert_eq!(json!(guard), guard.as_str());
            let same = Overrides::default().guard(*guard, guard.default_name());
            assert_eq!(same.check(), Ok(()));
            assert_eq!(same.names(), Overrides::default().names());
        }
    }
}
