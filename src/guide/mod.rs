//! Guides: how to use the crate in a service.
//!
//! | guide | answers |
//! |---|---|
//! | [`embed`] | open a page, assurance, no number and why, LID, retry settings, names that WhatsApp has changed |
//! | [`puppeteer`] | attach to a Chrome that another program drives |
//! | [`sessions`] | isolation, bringing a dead browser back, ending a session |
//! | [`stores`] | events, webhooks, two processes, a receiver in PHP, an existing Laravel table, status in a browser, why a row is in `error`, error codes |
//! | [`onboarding`] | show the QR code, wait minutes for the scan, resume after a restart |
//! | [`errors`] | retry, end the session, report or suppress; your own rules |
//! | [`custom`] | your own source, sink or store, with the contract tests |
//! | [`from_node`] | the whatsapp-web.js recipe, its events and variables, step by step |
//! | [`running`] | a browser that does not start, Docker and root, sizing, logging and privacy, limits |
//! | [`design`] | data flow, also between processes, evidence, locking, invariants |
//!
//! A guide whose examples need a feature is empty without it; `cargo doc --all-features` builds them all.

#[cfg_attr(feature = "webdriver", doc = include_str!("embed.md"))]
#[cfg_attr(not(feature = "webdriver"), doc = "Needs the feature `webdriver`.")]
pub mod embed {}
#[cfg_attr(feature = "webdriver", doc = include_str!("puppeteer.md"))]
#[cfg_attr(not(feature = "webdriver"), doc = "Needs the feature `webdriver`.")]
pub mod puppeteer {}
#[cfg_attr(all(feature = "supervisor", feature = "events", feature = "webdriver"), doc = include_str!("sessions.md"))]
#[cfg_attr(
    not(all(feature = "supervisor", feature = "events", feature = "webdriver")),
    doc = "Needs the features `supervisor`, `events` and `webdriver`."
)]
pub mod sessions {}
#[cfg_attr(all(feature = "mysql", feature = "server", feature = "testkit", feature = "webhook"), doc = include_str!("stores.md"))]
#[cfg_attr(
    not(all(
        feature = "mysql",
        feature = "server",
        feature = "testkit",
        feature = "webhook"
    )),
    doc = "Needs the features `mysql`, `server`, `testkit` and `webhook`."
)]
pub mod stores {}
#[cfg_attr(all(feature = "supervisor", feature = "events", feature = "webdriver"), doc = include_str!("onboarding.md"))]
#[cfg_attr(
    not(all(feature = "supervisor", feature = "events", feature = "webdriver")),
    doc = "Needs the features `supervisor`, `events` and `webdriver`."
)]
pub mod onboarding {}
#[doc = include_str!("errors.md")]
pub mod errors {}
#[cfg_attr(all(feature = "events", feature = "testkit"), doc = include_str!("custom.md"))]
#[cfg_attr(
    not(all(feature = "events", feature = "testkit")),
    doc = "Needs the features `events` and `testkit`."
)]
pub mod custom {}
#[doc = include_str!("from_node.md")]
pub mod from_node {}
#[doc = include_str!("running.md")]
pub mod running {}
#[doc = include_str!("design.md")]
pub mod design {}
