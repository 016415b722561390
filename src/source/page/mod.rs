//! The parts that all browser drivers share.
//!
//! ```text
//! scripts -> envelope -> history, evidence -> decision -> Look, LinkState
//! ```
//!
//! The scripts evaluate every row of `readers` in one round trip; `overrides` adds rows and renames guards. The account, and its
//! assurance, are decided in Rust. `target` and `devtools` find the tab.

pub(crate) mod address_error;
pub(crate) mod attach;
#[cfg_attr(not(feature = "webdriver"), allow(dead_code))]
pub(crate) mod command;
#[cfg(feature = "webdriver")]
pub(crate) mod connector;
pub(crate) mod decision;
pub(crate) mod devtools;
pub(crate) mod diagnosis;
pub(crate) mod envelope;
#[cfg_attr(not(feature = "webdriver"), allow(dead_code))]
pub(crate) mod error;
mod evidence;
pub(crate) mod finder;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod lock;
mod losses;
pub(crate) mod overrides;
mod plain_http;
pub(crate) mod qr;
pub(crate) mod readers;
pub(crate) mod record;
pub(crate) mod scripts;
pub(crate) mod source;
pub(crate) mod target;
pub(crate) mod version;
pub(crate) mod wait;
