//! Foreign text, made safe to keep and to show: cleaned, masked and bounded. Ids, stable names and the messages of
//! panics. Every other module may use it.

mod clean;
mod decoded;
#[cfg(any(feature = "events", feature = "supervisor"))]
mod id;
mod names;
mod panics;
mod read;
mod secrets;

#[cfg(test)]
pub(crate) use clean::JID_SERVERS;
#[cfg(feature = "supervisor")]
pub(crate) use clean::cut;
pub(crate) use clean::{clean, mask_number};
#[cfg(any(feature = "events", feature = "supervisor"))]
pub(crate) use id::{IdText, MAX_ID};
pub use names::UnknownName;
pub(crate) use names::stable_names;
pub(crate) use panics::catch_panic;
#[cfg(feature = "events")]
pub(crate) use panics::panic_message;
pub(crate) use read::{clean_error, read_text};

/// Longest text kept of a foreign message, in bytes. A cut is marked by `…`.
pub const MAX_TEXT: usize = 1024;

#[cfg(test)]
mod tests;
