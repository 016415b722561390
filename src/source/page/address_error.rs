//! [`AddressError`]: why there is no debugging address.

use std::error::Error;
use std::fmt;

use super::devtools::ADVICE;
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site, disclose};

/// Why a text or a profile gives no [`DebuggerAddress`](crate::source::webdriver::DebuggerAddress).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is not `HOST:PORT`.
    NotAnAddress,
    /// The profile's `DevToolsActivePort` cannot be read.
    Unreadable {
        /// Its path, masked.
        file: String,
        /// The error of the file system.
        source: ProtocolFailure,
    },
    /// The profile's `DevToolsActivePort` does not name a port.
    NoPort {
        /// Its path, masked.
        file: String,
    },
    /// The profile's `DevToolsActivePort` does not name its browser.
    NoBrowser {
        /// Its path, masked.
        file: String,
    },
}

impl From<AddressError> for ProtocolFailure {
    /// A failure with the code `misconfigured`.
    fn from(error: AddressError) -> Self {
        let failure = Self::new(Site::Cdp, error.to_string()).with_code(MISCONFIGURED);
        match error {
            AddressError::Unreadable { source, .. } => failure.caused_by(source),
            _ => failure,
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        disclose(|| ProtocolFailure::new(Site::Cdp, "").with_code(MISCONFIGURED));
        let (file, what) = match self {
            Self::NotAnAddress => {
                return f
                    .write_str("a debugging address is HOST:PORT, for instance 127.0.0.1:9222");
            }
            Self::Unreadable { file, .. } => (file, "cannot be read"),
            Self::NoPort { file } => (file, "does not name a port"),
            Self::NoBrowser { file } => (file, "does not name its browser"),
        };
        write!(
            f,
            "`{file}` {what}; no Chrome with remote debugging uses this profile: {ADVICE}"
        )
    }
}

impl Error for AddressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
