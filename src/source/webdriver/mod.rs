//! A WhatsApp Web page in a real browser, read through ChromeDriver.
//!
//! ```text
//! DriverProcess -> Page -> WebDriverSource -> PhoneExtractor
//!  ChromeDriver    a tab    some or all readers
//! ```
//!
//! Every reader is asked in one round trip; their answers are compared in Rust, without the page. Page
//! content is bounded in size.

mod attach;
mod by_socket;
mod close;
mod connection;
mod driver;
mod error;
mod evaluate;
mod http;
mod open;
mod overrides;
mod page;
#[cfg(feature = "cdp")]
mod push;
#[cfg(not(feature = "cdp"))]
#[path = "no_push.rs"]
mod push;
mod qr;
mod select;
mod server;
mod session;
mod source;
mod tab;

pub use self::driver::{DriverProcess, DriverProcessBuilder};
pub use self::open::OpenOptions;
pub use self::page::Page;
pub use self::source::WebDriverSource;
pub use super::page::address_error::AddressError;
pub use super::page::attach::AttachOptions;
pub use super::page::devtools::DebuggerAddress;
pub use super::page::diagnosis::{Diagnosis, Finding};
pub use super::page::overrides::{Guard, Overrides};
pub use super::page::readers::ReaderId;
pub use super::page::target::{Target, TargetError};
