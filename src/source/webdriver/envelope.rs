//! What one look at a page returns, before anything is made of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::failure::{ProtocolFailure, Site};

/// Code of the failure for a script result that is no envelope.
pub(super) const NO_ANSWER: &str = "no answer";

/// One look, as `probe.js` returns it. Every text in it was the page's, and is at most 256
/// characters long.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope {
    /// All of it that decides, in one string: equal marks, equal looks.
    #[serde(default)]
    pub(super) mark: String,
    #[serde(default)]
    pub(super) origin: Option<Text>,
    /// By the row's place in the table.
    pub(super) rows: BTreeMap<usize, RowAnswer>,
    #[serde(default)]
    pub(super) socket: Option<Socket>,
    pub(super) storage: Storage,
    /// The document has loaded.
    #[serde(default)]
    pub(super) is_loaded: bool,
    /// The tab is in the background, where browsers let timers run seldom.
    #[serde(default)]
    pub(super) is_hidden: bool,
    #[serde(default)]
    pub(super) push_name: Option<Text>,
    #[serde(default)]
    pub(super) platform: Option<Text>,
}

/// What a reader row gave.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RowAnswer {
    /// What its number's getter gave; `None` if this page has none, or it threw.
    #[serde(default)]
    pub(super) first: Option<Wid>,
    /// The same for its LID's getter.
    #[serde(default)]
    pub(super) second: Option<Wid>,
}

/// What a getter gave: nobody, a JID, a user without a server, or nothing that can be read.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wid {
    #[serde(default)]
    pub(super) nobody: bool,
    #[serde(default)]
    pub(super) jid: Option<Text>,
    #[serde(default)]
    pub(super) user: Option<Text>,
}

/// The page's connection, as its own model tells.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Socket {
    #[serde(default)]
    pub(super) state: Option<Text>,
    #[serde(default)]
    pub(super) synced: Option<bool>,
}

/// The evidence for and against the page's storage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Storage {
    /// `WANoiseInfo` exists.
    pub(super) noise: bool,
    /// `last-wid-md` exists.
    pub(super) me: bool,
    #[serde(default)]
    pub(super) post_logout: Option<Text>,
}

/// A text of the page, or the length of one that was too long to take along.
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

/// What a page says is nobody's business in a log.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope")
    }
}

impl Envelope {
    /// Reads a script result.
    pub(super) fn read(result: serde_json::Value) -> Result<Self, ProtocolFailure> {
        if result.is_null() {
            // ChromeDriver says null once when the page closes or is replaced under the script.
            let text = "the page gave no answer; it was closed or replaced during the look";
            return Err(ProtocolFailure::new(Site::WebDriverCommand, text).with_code(NO_ANSWER));
        }
        serde_json::from_value(result).map_err(|error| {
            let text = format!("the page's answer is not of the probe's form: {error}");
            ProtocolFailure::new(Site::Script, text).with_code("javascript error")
        })
    }
}
