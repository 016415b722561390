//! The contract of [`LinkSource`], as tests that run on any source.
//!
//! As with [`InfoSource`](crate::source::InfoSource) an answer is right only by what there was to
//! see: a [`LinkFixture`] makes a source that looks at a certain [`LinkWorld`]. [`all`] runs every
//! rule; each is a function of its own too.
//!
//! A broken rule panics and names the rule. Time is tokio's clock. Nothing is asserted about how fast
//! a source is, only that every look ends; and nothing about whether a look that failed was tried
//! again, which only what it looks at could tell.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tokio::time::Instant;
//! use whatsapp_phone::failure::{ProtocolFailure, Site};
//! use whatsapp_phone::link::{LinkSource, LinkState};
//! use whatsapp_phone::testkit::contract::link::{self, LinkFixture, LinkWorld};
//!
//! /// Is as its world says.
//! struct Scripted(LinkWorld, Instant);
//!
//! #[async_trait::async_trait]
//! impl LinkSource for Scripted {
//!     async fn link(&self) -> Result<LinkState, ProtocolFailure> {
//!         let failure = |text| ProtocolFailure::new(Site::WebDriverCommand, text);
//!         match self.0 {
//!             LinkWorld::Stays(state) => Ok(state),
//!             LinkWorld::Turns { from, after, .. } if self.1.elapsed() < after => Ok(from),
//!             LinkWorld::Turns { to, .. } => Ok(to),
//!             LinkWorld::Gone => Err(failure("it was closed").with_code("no such window")),
//!             _ => Err(failure("no look works")),
//!         }
//!     }
//! }
//!
//! struct Script;
//!
//! #[async_trait::async_trait]
//! impl LinkFixture for Script {
//!     async fn source(&self, world: LinkWorld) -> Option<Arc<dyn LinkSource>> {
//!         Some(Arc::new(Scripted(world, Instant::now())))
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
    follows_a_turn, leaves_the_thread, reports_failures, reports_the_end, serves_several,
    survives_drops, tells_the_state,
};
use crate::link::{Bar, LinkSource, LinkState};

/// What there is to see for a source under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkWorld {
    /// A session that is so, from before the fixture hands out the source.
    /// [`LinkState::Unknown`]: the looks work, and there is nothing that tells.
    Stays(LinkState),
    /// A session whose state changes once.
    Turns {
        /// What it is at first.
        from: LinkState,
        /// What it is from then on.
        to: LinkState,
        /// When, counted from the making of the world.
        after: Duration,
    },
    /// No look works, and that may pass: the page is elsewhere, a dialog is open.
    Broken,
    /// The page was closed, or its browser has ended. The suite asks for it last, so it may be the
    /// end of all that the fixture has.
    Gone,
}

/// Makes worlds, and sources that look at them.
#[async_trait]
pub trait LinkFixture: Send + Sync {
    /// A source that looks at a fresh world of this kind. `None`: this source cannot be shown that,
    /// for instance since what it reads knows of no bars.
    ///
    /// [`LinkState::Linked`] that stays is needed, and one turn. The suite holds no source of an
    /// earlier world when it asks.
    async fn source(&self, world: LinkWorld) -> Option<Arc<dyn LinkSource>>;

    /// Longer than a look of this source takes when all is well, and than it takes to make a world.
    /// States turn after twice this; a source that says nothing for twenty times this, and for at
    /// least 30 s, is taken for hung. Default: 500 ms.
    fn pace(&self) -> Duration {
        Duration::from_millis(500)
    }
}

/// Every state there is, and what a session goes through.
const STATES: [LinkState; 8] = [
    LinkState::Unknown,
    LinkState::Unlinked,
    LinkState::Linking,
    LinkState::Linked,
    LinkState::Barred(Bar::Conflict),
    LinkState::QrExpired,
    LinkState::Barred(Bar::ProxyBlock),
    LinkState::Barred(Bar::TosBlock),
];
const TURNS: [(LinkState, LinkState); 6] = [
    (LinkState::Unknown, LinkState::Unlinked),
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
/// When a rule is broken; the message names it. Also when the fixture lacks a world that is needed.
pub async fn all(fixture: &dyn LinkFixture) {
    let pace = fixture.pace();
    for state in STATES {
        if let Some(source) = fixture.source(LinkWorld::Stays(state)).await {
            tells_the_state(&*source, pace, state).await;
        }
    }
    let linked = LinkState::Linked;
    let Some(source) = fixture.source(LinkWorld::Stays(linked)).await else {
        panic!("the fixture must be able to show a session that stays linked");
    };
    tells_the_state(&&*source, pace, linked).await;
    tells_the_state(&source, pace, linked).await;
    tells_the_state(&Box::new(Arc::clone(&source)), pace, linked).await;
    leaves_the_thread(&*source, pace).await;
    survives_drops(&*source, pace, linked).await;
    serves_several(&*source, pace, linked).await;
    drop(source);

    let mut has_turned = false;
    for (from, to) in TURNS {
        let after = 2 * pace;
        let turns = LinkWorld::Turns { from, to, after };
        if let Some(source) = fixture.source(turns).await {
            follows_a_turn(&*source, pace, from, to).await;
            has_turned = true;
        }
    }
    assert!(has_turned, "the fixture must be able to show a turn");
    if let Some(source) = fixture.source(LinkWorld::Broken).await {
        reports_failures(&*source, pace).await;
    }
    if let Some(source) = fixture.source(LinkWorld::Gone).await {
        reports_the_end(&*source, pace).await;
    }
}
