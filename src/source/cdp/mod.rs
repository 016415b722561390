//! A WhatsApp Web page in a running Chrome, read by the page's own DevTools socket.
//!
//! ```text
//! ChromeProcess -> CdpPage -> CdpSource -> PhoneExtractor
//!  or another      a tab     some or all readers
//!  program's
//! ```
//!
//! No ChromeDriver runs in between: waiting costs no WebDriver commands. The readers, and the interpretation of their
//! answers, are those of `source::webdriver`.
//!
//! The page's owner gets no DevTools event but `targetInfoChanged`: no domain is enabled, no other tab is attached to,
//! no tab is raised and no dialog is answered. While a wait runs, the page's `setItem` is wrapped, and its `Socket`
//! model has two more listeners. If a wait is dropped, this remains until its slice ends.

mod attach;
#[cfg(unix)]
mod chrome;
pub(super) mod error;
#[cfg(unix)]
mod open;
mod page;
pub(super) mod socket;
mod source;
mod tab;

#[cfg(unix)]
pub use self::chrome::{ChromeProcess, ChromeProcessBuilder};
#[cfg(unix)]
pub use self::open::OpenOptions;
pub use self::page::CdpPage;
pub use self::source::CdpSource;
pub use super::page::address_error::AddressError;
pub use super::page::attach::AttachOptions;
pub use super::page::devtools::DebuggerAddress;
pub use super::page::diagnosis::{Diagnosis, Finding};
pub use super::page::overrides::{Guard, Overrides};
pub use super::page::readers::ReaderId;
pub use super::page::target::{Target, TargetError};
