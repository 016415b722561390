//! The parts that all browser drivers share.
//!
//! ```text
//! scripts -> envelope -> history, evidence -> decision -> Look, LinkState
//! ```
//!
//! The scripts evaluate every row of `readers` in one round trip; `overrides` adds rows and renames guards. The account, and its
//! assurance, are decided in Rust. `target` and `devtools` find the tab.

pub(crate) mod address_error;
pub(crate) mod connector;
pub(crate) mod decision;
pub(crate) mod devtools;
pub(crate) mod diagnosis;
pub(crate) mod envelope;
mod evidence;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod lock;
mod losses;
pub(crate) mod overrides;
pub(crate) mod qr;
pub(crate) mod readers;
pub(crate) mod scripts;
pub(crate) mod target;
pub(crate) mod version;
