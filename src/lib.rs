//! Which phone number does this WhatsApp Web session belong to?
//!
//! The right number as soon as a source knows it, or a precise reason why there is none. Never a
//! wrong number, never a hang.
//!
//! ```
//! use std::time::Duration;
//! use whatsapp_phone::source::mock::MockSource;
//! use whatsapp_phone::{ErrorKind, Extractor, PhoneExtractor};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), whatsapp_phone::ExtractError> {
//! let page = MockSource::new("page").number_at(Duration::from_secs(3), "628110000041:12@c.us");
//! let found = Extractor::builder().source(page).build()?.extract().await?;
//! assert_eq!(found.phone.reveal(), "628110000041");
//! assert_eq!(found.elapsed, Duration::from_secs(3));
//!
//! let nobody = MockSource::new("page of nobody");
//! let error = Extractor::builder().source(nobody).build()?.extract().await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NotReady);
//! assert_eq!(error.elapsed(), Duration::from_secs(10));
//! # Ok(())
//! # }
//! ```
//!
//! For a page in a real browser see `source::webdriver::WebDriverSource` (feature `webdriver`). Its
//! `Page` is in a browser of ours (`open`), in one that somebody else runs (`attach`), or behind a
//! client of the caller's (`from_client`).
//!
//! # One way through the house
//!
//! ```text
//! page -> InfoSource -> PhoneExtractor -> SessionEvent -> EventSink -> SessionStore -> StatusChange
//!         (drivers)     RetryPolicy,      (ready, error)  (drivers)    (drivers)       (watchers)
//!                       ProtocolErrorClassifier,
//!                       deadline
//! ```
//!
//! Drivers report, the classifier judges failures, the policy schedules, the extractor runs; it
//! answers with an [`Extraction`], or an [`ExtractError`] with a code. The sink carries, the store
//! decides; if many sessions share a process, a `Supervisor` isolates them from each other. Each module uses
//! those above it in this table, never those below; the first three are one row.
//!
//! | module | holds |
//! |---|---|
//! | [`phone`] | [`PhoneNumber`]: digits, masked when printed |
//! | [`jid`] | [`Jid`] and [`Server`](jid::Server): whether a user is a number, only the server tells |
//! | [`failure`] | [`ProtocolFailure`]: what a driver reports, its foreign text cleaned and cut |
//! | [`retry`] | [`Backoff`]: when to try again; [`RetryPolicy`]: when to look, how often, when to give up |
//! | [`classify`] | [`ProtocolErrorClassifier`]: what a failure means and what to do about it |
//! | [`link`] | [`LinkSource`](link::LinkSource): whether a session is linked at all, and its QR code |
//! | [`source`] | [`InfoSource`] and its drivers |
//! | [`extract`] | [`Extractor`], [`extract_phone_safely`], [`ExtractError`] |
//! | `supervisor` | `Supervisor`: sessions in one process, isolated from each other (feature `supervisor`) |
//! | `event` | `SessionEvent`: what is told of a session; `EventSink` and its drivers (feature `events`) |
//! | `store` | `SessionStore` and its drivers, `StoreSink`: from an event to the row and its watchers (feature `events`) |
//! | `onboard` | `Onboarding`: runs an extractor for a session and sends the outcome to a sink; `Watch`: the same from the page alone, until it unlinks; `SessionService`: many of them, from the profile to the row (feature `events`) |
//! | `testkit` | a stand-in WhatsApp Web and the contract suites of sources, sinks and stores, for tests of this crate and of yours (feature `testkit`) |
//!
//! The types that most programs name are re-exported at the root.
//!
//! # What it does not do
//!
//! - It does not speak WhatsApp's protocol, link a session, send anything or scan contacts. It reads
//!   what a page that you run shows.
//! - It does not judge whether a number can be dialled: the digits are WhatsApp's, verbatim.
//! - It does not free a page that is stuck in an endless loop. It leaves it in time.
//! - It leaves nothing in the page of a browser that it attached to, answers no dialog there and closes
//!   no window. What ChromeDriver does to other tabs stands at `Page::attach`.
//! - It posts no webhooks. They are planned.
//! - It does not support browsers other than Chromium, nor, with `webdriver`, systems other than Unix.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `webdriver` | yes | pages in a real browser, through ChromeDriver over plain HTTP |
//! | `supervisor` | yes | the module `supervisor` |
//! | `webdriver-rustls` | | the same for WebDriver servers at https URLs |
//! | `backoff` | | schedules of `backoff` 0.4, in both directions |
//! | `events` | | the modules `event`, `store` and `onboard`, with the store in memory |
//! | `sqlite` | | `events`, and sessions in SQLite |
//! | `postgres` | | `events`, and sessions in PostgreSQL |
//! | `mysql` | | `events`, and sessions in MySQL or MariaDB |
//! | `sql-rustls` | | TLS for `postgres` and `mysql` |
//! | `testkit` | | the module `testkit` |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod classify;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod event;
pub mod extract;
pub mod failure;
pub mod jid;
pub mod link;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod onboard;
pub mod phone;
pub mod retry;
pub mod source;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod store;
#[cfg(feature = "supervisor")]
#[cfg_attr(docsrs, doc(cfg(feature = "supervisor")))]
pub mod supervisor;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;

pub use classify::ProtocolErrorClassifier;
pub use extract::{
    ErrorKind, ExtractError, Extraction, Extractor, PhoneExtractor, extract_phone_safely,
};
pub use failure::ProtocolFailure;
pub use jid::Jid;
pub use phone::PhoneNumber;
pub use retry::{Backoff, RetryPolicy};
pub use source::{Assurance, Identity, InfoSource, Look};
#[cfg(feature = "supervisor")]
#[cfg_attr(docsrs, doc(cfg(feature = "supervisor")))]
pub use supervisor::{Session, Supervisor};

/// The WebDriver client behind `source::webdriver`: `Page::client` gives one of its clients and
/// `Page::from_client` takes one. Use this one, so that the versions agree.
#[cfg(feature = "webdriver")]
#[cfg_attr(docsrs, doc(cfg(feature = "webdriver")))]
pub use fantoccini;

/// The database drivers behind `store`: its stores take pools of them. Use this one, so that the
/// versions agree.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql")))
)]
pub use sqlx;

/// The README, whose code runs as doctests.
#[cfg(all(
    doctest,
    feature = "webdriver",
    feature = "events",
    feature = "supervisor"
))]
#[doc = include_str!("../README.md")]
pub struct Readme;
