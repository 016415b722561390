//! The result of one look, as the script returns it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::overrides::Overrides;
use super::qr::QrAnswer;
use super::readers::Reader;
use super::scripts::Scripts;

/// One look, as `look.js` returns it. Every text in it is the page's, and is at most 256 characters long.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    /// Every field that decides, in one string: equal marks, equal looks.
    #[serde(default)]
    pub(crate) mark: String,
    #[serde(default)]
    pub(super) origin: Option<Text>,
    /// Identifies the document: its `performance.timeOrigin`.
    #[serde(default)]
    document: Option<Text>,
    /// The table by which the page was read.
    #[serde(skip, default = "built_in")]
    pub(crate) readers: Arc<[Reader]>,
    /// The overrides with which it was read.
    #[serde(skip)]
    pub(crate) overrides: Arc<Overrides>,
    /// By the row's index in the table.
    pub(super) rows: BTreeMap<usize, RowAnswer>,
    #[serde(default)]
    pub(super) socket: Option<Socket>,
    /// The answer of WhatsApp's own test whether the device is registered.
    #[serde(default)]
    pub(super) registered: Option<bool>,
    pub(super) storage: Storage,
    /// The page has `require`, or a noise key and no `window.Store.Conn`.
    #[serde(default)]
    pub(super) is_current: bool,
    #[serde(default)]
    pub(super) is_booted: bool,
    /// The document has loaded.
    #[serde(default)]
    pub(super) is_loaded: bool,
    /// The document shows the text of a QR code.
    #[serde(default)]
    pub(super) has_qr_code: bool,
    /// It is the browser's own page for a failed load.
    #[serde(default)]
    pub(crate) is_error_page: bool,
    /// The tab is in the background, where browsers delay timers.
    #[serde(default)]
    pub(crate) is_hidden: bool,
    #[serde(default)]
    pub(super) push_name: Option<Text>,
    #[serde(default)]
    pub(super) platform: Option<Text>,
    /// Only if they were asked for.
    #[serde(default)]
    pub(super) details: Option<Details>,
    /// The same. Taken out before an observation is kept.
    #[serde(default)]
    pub(crate) qr: Option<QrAnswer>,
}

/// Details that only a diagnosis needs. The modules and getters are unknown until the page has booted.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Details {
    pub(super) has_require: bool,
    pub(super) has_boot_marker: bool,
    pub(super) has_registration_module: bool,
    pub(super) has_registration_test: bool,
    /// The registration test has thrown.
    pub(super) registration_threw: bool,
    pub(super) has_socket_module: bool,
    pub(super) has_me_module: bool,
    pub(super) has_conn_module: bool,
    pub(super) has_lid_key: bool,
    pub(super) has_logout_key: bool,
    pub(super) has_store: bool,
    pub(super) has_store_conn: bool,
    pub(super) has_store_user: bool,
    pub(super) has_store_me: bool,
    pub(super) has_wpp: bool,
    /// The value of the boot marker.
    pub(super) version: Option<Text>,
    pub(super) wpp_version: Option<Text>,
    /// By its name.
    pub(super) getters: BTreeMap<String, bool>,
}

impl Details {
    /// Returns whether this getter of WhatsApp's own module exists.
    pub(super) fn has_getter(&self, name: &str) -> bool {
        self.getters.get(name).copied().unwrap_or_default()
    }

    /// Returns whether the number has a getter of its own, as on all pages since September 2025.
    pub(super) fn has_number_getter(&self) -> bool {
        self.has_getter("getMaybeMePnUser") || self.has_getter("getMaybeMeDevicePn")
    }

    /// Returns whether the page is from before September 2025, with one getter for number and LID.
    pub(super) fn has_old_getter(&self) -> bool {
        self.has_getter("getMaybeMeUser") && !self.has_number_getter()
    }
}

/// The answer of a reader row.
#[derive(Clone, Default, Deserialize)]
pub(super) struct RowAnswer {
    /// From its getter of the number; `None` if this page has none, or it threw.
    #[serde(default)]
    pub(super) number: Option<Wid>,
    /// The same for its getter of the LID.
    #[serde(default)]
    pub(super) lid: Option<Wid>,
    /// One of its getters threw.
    #[serde(default)]
    pub(super) threw: bool,
}

/// The answer of a getter: no account, a JID, a user without a server, or nothing that can be read.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Wid {
    #[serde(default)]
    pub(super) nobody: bool,
    #[serde(default)]
    pub(super) jid: Option<Text>,
    #[serde(default)]
    pub(super) user: Option<Text>,
}

/// The page's connection, by its `Socket` model.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Socket {
    #[serde(default)]
    pub(super) state: Option<Text>,
    #[serde(default)]
    pub(super) synced: Option<bool>,
}

/// The presence of keys in `localStorage`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Storage {
    /// `WANoiseInfo`.
    pub(super) noise: bool,
    /// `last-wid-md`.
    pub(super) me: bool,
    /// `post-logout` is `1`.
    #[serde(default)]
    pub(super) post_logout: bool,
}

/// A text of the page, or the length of one that is too long to keep.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Short(String),
    Long {
        #[allow(dead_code)] // tells the two apart
        length: f64,
    },
}

impl Text {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Short(text) => Some(text),
            Self::Long { .. } => None,
        }
    }
}

impl Envelope {
    pub(crate) fn origin(&self) -> Option<&str> {
        self.origin.as_ref().and_then(Text::as_str)
    }

    pub(super) fn document(&self) -> &str {
        self.document.as_ref().and_then(Text::as_str).unwrap_or("")
    }

    /// Returns the socket's state, if it is a text; one that is too long is none of the known states.
    pub(super) fn state(&self) -> Option<&str> {
        let state = self.socket.as_ref()?.state.as_ref()?;
        Some(state.as_str().unwrap_or("too long"))
    }
}

fn built_in() -> Arc<[Reader]> {
    Arc::clone(Scripts::built_in().readers())
}

/// A page's texts never go into logs.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope")
    }
}
