//! Finds the phone number that a WhatsApp Web session is linked to.
//!
//! An extraction returns the number a few milliseconds after a source has it, or an [`ExtractError`] with a
//! stable code, and always ends by its deadline. A LID, a group or the remains of a logged-out account are
//! never returned as a number.
//!
//! ```
//! use std::time::Duration;
//! use whatsapp_phone::source::mock::MockSource;
//! use whatsapp_phone::{ErrorKind, Extractor};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), whatsapp_phone::ExtractError> {
//! let page = MockSource::new("page").number_at(Duration::from_secs(3), "628110000041:12@c.us");
//! let found = Extractor::builder().source(page).build()?.extract().await?;
//! assert_eq!(found.phone.reveal(), "628110000041");
//! assert_eq!(found.elapsed, Duration::from_secs(3));
//!
//! let empty = MockSource::new("page without an account");
//! let error = Extractor::builder().source(empty).build()?.extract().await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NotReady);
//! assert_eq!(error.elapsed(), Duration::from_secs(10));
//! # Ok(())
//! # }
//! ```
//!
//! Begin with a guide: [embed the extractor](guide::embed), [beside a running Puppeteer](guide::puppeteer),
//! [several sessions](guide::sessions), [events and stores](guide::stores), [onboarding](guide::onboarding),
//! [error classification](guide::errors), [your own source, sink or store](guide::custom),
//! [moving from the Node recipe](guide::from_node), [running it](guide::running), [design](guide::design).
//!
//! # Module overview
//!
//! An [`InfoSource`] reports each look at a page. An [`Extractor`] asks its sources, classifies their failures
//! and repeats looks by its [`RetryPolicy`]. Its outcome becomes a `SessionEvent`, which an `EventSink` delivers
//! and a `SessionStore` applies to the session's row. Each module uses only those above it; [`phone`] to
//! [`failure`] are one row.
//!
//! | module | holds |
//! |---|---|
//! | [`codes`] | the stable codes of errors |
//! | [`phone`] | [`PhoneNumber`]: digits, masked when printed |
//! | [`jid`] | [`Jid`] and [`Server`](jid::Server): only the server says whether the user is a phone number |
//! | [`failure`] | [`ProtocolFailure`]: a driver's failure, its text masked and bounded |
//! | [`retry`] | [`Backoff`]: a schedule of attempts; [`RetryPolicy`]: how an extraction looks, and when it gives up |
//! | [`classify`] | [`ProtocolErrorClassifier`]: the class of a failure, and the action to take |
//! | [`metrics`] | names of the metrics, recorded through the `metrics` facade (feature `metrics`) |
//! | [`link`] | [`LinkSource`](link::LinkSource): whether a session is linked, and its QR code |
//! | [`source`] | [`InfoSource`] and its drivers, among them [`source::webdriver`] (feature `webdriver`) and [`source::cdp`] (feature `cdp`) |
//! | [`extract`] | [`Extractor`], [`extract_phone_safely`], [`ExtractError`] |
//! | [`supervisor`] | [`Supervisor`]: sessions in one process, isolated from each other (feature `supervisor`) |
//! | [`event`] | [`SessionEvent`](event::SessionEvent); [`EventSink`](event::EventSink) and its drivers (feature `events`) |
//! | [`store`] | [`SessionStore`](store::SessionStore) and its drivers, [`StoreSink`](store::StoreSink), watchers (feature `events`; `sqlite`, `postgres`, `mysql`) |
//! | [`onboard`] | [`Onboarding`](onboard::Onboarding) and [`PageMonitor`](onboard::PageMonitor): a session from its QR code to its number; [`SessionService`](onboard::SessionService): many of them, from their profiles to their rows (feature `events`) |
//! | [`server`] | [`WebhookReceiver`](server::WebhookReceiver): events from other processes (feature `server`) |
//! | [`testkit`] | the stand-in WhatsApp Web, and contract tests for your own sources, sinks and stores (feature `testkit`) |
//! | [`guide`] | the guides |
//!
//! Most programs need only the types at the root. Further features: `webdriver-rustls` (WebDriver servers at
//! https URLs), `webhook` and `server` (events by signed webhooks, and their receiver), `sql-rustls` (TLS for databases), `backoff` (schedules
//! of the crate `backoff`). The README has all features, the error codes with their remedies, and the versions
//! that fit.
//!
//! The crate reads pages. It uses no protocol of WhatsApp's, links no session and sends nothing; see
//! [limits](guide::running#limits).
#![cfg_attr(docsrs, feature(doc_cfg))]
// The front page and the guides link to modules of every feature.
#![cfg_attr(
    not(all(
        feature = "webdriver",
        feature = "cdp",
        feature = "supervisor",
        feature = "events",
        feature = "server",
        feature = "testkit"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(all(feature = "webdriver", not(unix)))]
compile_error!(
    "the feature `webdriver` of whatsapp-phone needs Unix, since it ends browsers by process groups; on other systems set `default-features = false`"
);

pub mod classify;
pub mod codes;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod event;
pub mod extract;
pub mod failure;
pub mod guide;
pub mod jid;
pub mod link;
pub mod metrics;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod onboard;
pub mod phone;
pub mod retry;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub mod server;
pub mod source;
mod span;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod store;
#[cfg(feature = "supervisor")]
#[cfg_attr(docsrs, doc(cfg(feature = "supervisor")))]
pub mod supervisor;
#[cfg(feature = "testkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "testkit")))]
pub mod testkit;
mod text;
#[cfg(any(feature = "webdriver-rustls", feature = "webhook"))]
mod tls;

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
pub use text::UnknownName;

/// The WebDriver client behind `source::webdriver`: `Page::client` gives one of its clients and
/// `Page::from_client` takes one. Use this one, so that the versions agree.
#[cfg(all(unix, feature = "webdriver"))]
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

/// The schedules that [`retry::from_backoff`] takes. Use this one, so that the versions agree.
#[cfg(feature = "backoff")]
#[cfg_attr(docsrs, doc(cfg(feature = "backoff")))]
pub use backoff;

/// The web framework behind `server`, which returns a router of it. Use this one, so that the versions agree.
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub use axum;

/// The README, whose code runs as doctests.
#[cfg(all(
    doctest,
    feature = "webdriver",
    feature = "events",
    feature = "supervisor"
))]
#[doc = include_str!("../README.md")]
pub struct Readme;
