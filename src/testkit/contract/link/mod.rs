//! Tests of the contract of [`LinkSource`], for any source.
//!
//! A [`LinkFixture`] makes sources that look at a given [`LinkScenario`], so that the suite knows the right
//! answer. [`all`] runs every rule; each rule is also a function of its own.
//!
//! A broken rule panics with the rule's name. Time is tokio's clock. The suite asserts that every look
//! ends, not how fast a source is; nor whether the source retried a look, which is not visible from
//! outside.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tokio::time::Instant;
//! use whatsapp_phone::failure::{ProtocolFailure, Site};
//! use whatsapp_phone::link::{LinkSource, LinkState};
//! use whatsapp_phone::testkit::contract::link::{self, LinkFixture, LinkScenario};
//!
//! /// Follows its scenario.
//! struct Scripted(LinkScenario, Instant);
//!
//! #[async_trait::async_trait]
//! impl LinkSource for Scripted {
//!     async fn link(&self) -> Result<LinkState, ProtocolFailure> {
//!         let failure = |text| ProtocolFailure::new(Site::WebDriverCommand, text);
//!         match self.0 {
//!             LinkScenario::Stays(state) => Ok(state),
//!             LinkScenario::Turns { from, after, .. } if self.1.elapsed() < after => Ok(from),
//!             LinkScenario::Turns { to, .. } => Ok(to),
//!             LinkScenario::Gone => Err(failure("it was closed").with_code("no such window")),
//!             _ => Err(failure("every look fails")),
//!         }
//!     }
//! }
//!
//! struct Script;
//!
//! #[async_trait::async_trait]
//! impl LinkFixture for Script {
//!     async fn source(&self, scenario: LinkScenario) -> Option<Arc<dyn LinkSource>> {
//!         Some(Arc::new(Scripted(scenario, Instant::now())))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! link::all(&Script).await;
//! # }
//! ```

mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::rules::{
    follows_a_turn, keeps_its_document, leaves_the_thread, notices_a_reload, reports_failures,
    reports_the_end, reports_the_state, serves_several, shows_its_code, survives_drops,
};
use crate::link::{Bar, LinkSource, LinkState};

/// The page that a source under test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkScenario {
    /// A session that has this state before the fixture returns the source, and keeps it.
    /// [`LinkState::Unknown`]: the looks succeed, and the page gives no evidence.
    Stays(LinkState),
    /// A session whose state changes once.
    Turns {
        /// The state at first.
        from: LinkState,
        /// The state from then on.
        to: LinkState,
        /// The time of the change, counted from the making of the scenario.
        after: Duration,
    },
    /// A linked session whose page is reloaded once, and is linked again. Only a fixture that
    /// [names documents](LinkFixture::names_documents) is asked for it.
    Reloads {
        /// The time of the reload, counted from the making of the scenario.
        after: Duration,
    },
    /// Every look fails for a reason that may pass: the tab shows another page, a dialog is open.
    Broken,
    /// The page was closed, or its browser has ended. The suite asks for it last, so the fixture need
    /// not work afterwards.
    Gone,
}

/// Makes sources, each with the scenario that it looks at.
#[async_trait]
pub trait LinkFixture: Send + Sync {
    /// Makes a source that looks at a fresh scenario of this kind. `None`: the fixture cannot make such a
    /// scenario, for instance because its page has no barred states.
    ///
    /// A scenario that stays [`LinkState::Linked`] and one that turns are required. The suite has dropped
    /// all sources of earlier scenarios by then.
    async fn source(&self, scenario: LinkScenario) -> Option<Arc<dyn LinkSource>>;

    /// Returns a time that is longer than a normal look of this source, and than making a scenario takes.
    /// States turn after twice this time; a look that takes twenty times as long, and at least 30 s,
    /// counts as hung. Default: 500 ms.
    fn pace(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// Returns whether the sources read QR codes, and the scenarios that stay [`LinkState::Unlinked`] show
    /// one. Default: false.
    fn reads_qr(&self) -> bool {
        false
    }

    /// Returns whether the sources name the [document](LinkSource::document) of their page; the scenario
    /// that reloads is required then. Default: false.
    fn names_documents(&self) -> bool {
        false
    }
}

/// Every state, and the usual changes.
const STATES: [LinkState; 8] = [
    LinkState::Unknown,
    LinkState::Unlinked,
    LinkState::QrExpired,
    LinkState::Linking,
    LinkState::Linked,
    LinkState::Barred(Bar::Conflict),
    LinkState::Barred(Bar::ProxyBlock),
    LinkState::Barred(Bar::TosBlock),
];
const TURNS: [(LinkState, LinkState); 8] = [
    (LinkState::Unknown, LinkState::Unlinked),
    (LinkState::Unlinked, LinkState::QrExpired),
    (LinkState::QrExpired, LinkState::Unlinked),
    (LinkState::Unlinked, LinkState::Linking),
    (LinkState::Linking, LinkState::Linked),
    (LinkState::Linked, LinkState::Unlinked),
    (LinkState::Linked, LinkState::Barred(Bar::Conflict)),
    (LinkState::Barred(Bar::Conflict), LinkState::Linked),
];

/// Runs every rule on the sources of this fixture, and the first one also on boxed sources, on `Arc`s
/// and references.
///
/// # Panics
///
/// If a rule is broken; the message names it. Also if the fixture lacks a required scenario.
pub async fn all(fixture: &dyn LinkFixture) {
    let pace = fixture.pace();
    for state in STATES {
        if let Some(source) = fixture.source(LinkScenario::Stays(state)).await {
            reports_the_state(&*source, pace, state).await;
            shows_its_code(&*source, pace, state, fixture.reads_qr()).await;
            shows_its_code(&Box::new(source), pace, state, fixture.reads_qr()).await;
        }
    }
    let linked = LinkState::Linked;
    let Some(source) = fixture.source(LinkScenario::Stays(linked)).await else {
        panic!("the fixture must be able to make a session that stays linked");
    };
    reports_the_state(&&*source, pace, linked).await;
    reports_the_state(&source, pace, linked).await;
    reports_the_state(&Box::new(Arc::clone(&source)), pace, linked).await;
    keeps_its_document(&*source, pace, fixture.names_documents()).await;
    leaves_the_thread(&*source, pace).await;
    survives_drops(&*source, pace, linked).await;
    serves_several(&*source, pace, linked).await;
    drop(source);

    let mut has_turned = false;
    for (from, to) in TURNS {
        let after = 2 * pace;
        let turns = LinkScenario::Turns { from, to, after };
        if let Some(source) = fixture.source(turns).await {
            follows_a_turn(&*source, pace, from, to).await;
            has_turned = true;
        }
    }
    assert!(
        has_turned,
        "the fixture must be able to make a session that turns"
    );
    if fixture.names_documents() {
        let after = 2 * pace;
        let Some(source) = fixture.source(LinkScenario::Reloads { after }).await else {
            panic!("the fixture must be able to make a page that is reloaded");
        };
        // Boxed and in an `Arc`.
        notices_a_reload(&Box::new(source), pace).await;
    }
    if let Some(source) = fixture.source(LinkScenario::Broken).await {
        reports_failures(&*source, pace).await;
    }
    if let Some(source) = fixture.source(LinkScenario::Gone).await {
        reports_the_end(&*source, pace).await;
    }
}
