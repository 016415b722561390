//! The contract of [`InfoSource`], as tests that run on any source.
//!
//! A source cannot be tested by its answers alone: whether `NotYet` is right depends on what there
//! was to see. So the suite asks a [`Fixture`] for a source that looks at a certain [`SourceScenario`], and
//! knows what must come back. [`all`] runs every rule; each is a function of its own too, for a
//! source whose scenario cannot be set up from a test.
//!
//! A broken rule panics and names the rule. Time is tokio's clock: under `start_paused` a mock takes
//! no time at all, a real browser takes some twenty times [`Fixture::pace`]. Nothing is asserted
//! about how fast a source is, only about what ends early, what must not, and that all of it ends.
//!
//! A source that is scripted, in a test of its own:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use whatsapp_phone::source::mock::{Act, MockSource};
//! use whatsapp_phone::source::{Assurance, InfoSource, Look};
//! use whatsapp_phone::testkit::contract::{self, Fixture, PHONE, SourceScenario};
//!
//! struct Mock;
//!
//! #[async_trait::async_trait]
//! impl Fixture for Mock {
//!     async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>> {
//!         let mock = MockSource::new("mock");
//!         let source = match scenario {
//!             SourceScenario::Unlinked => mock,
//!             SourceScenario::Number { assurance, after } => {
//!                 let number = mock.look(PHONE.parse().ok()?, assurance);
//!                 mock.at(after, number)
//!             }
//!             SourceScenario::Conflict => mock.at(Duration::ZERO, Look::Conflict),
//!             _ => return None, // what this source cannot be shown
//!         };
//!         Some(Arc::new(source))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! contract::all(&Mock).await;
//! # }
//! ```
//!
//! A source over a real browser: the suite lets go of one source before it asks for the next, so one
//! page serves for all.
#![cfg_attr(feature = "webdriver", doc = "```no_run")]
#![cfg_attr(not(feature = "webdriver"), doc = "```ignore")]
//! use std::sync::Arc;
//! use std::time::Duration;
//! use whatsapp_phone::source::webdriver::{DriverProcess, OpenOptions, Page, Target, WebDriverSource};
//! use whatsapp_phone::source::{Assurance, InfoSource};
//! use whatsapp_phone::testkit::contract::{self, Fixture, SourceScenario};
//! use whatsapp_phone::testkit::standin::{FORMER_PHONE, Generation, PHONE, Scenario, StandIn, Step};
//!
//! struct Browser {
//!     standin: StandIn,
//!     page: Page,
//! }
//!
//! #[async_trait::async_trait]
//! impl Fixture for Browser {
//!     async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>> {
//!         let mut url = self.standin.url();
//!         let scenario = match scenario {
//!             SourceScenario::Unlinked => Scenario::never(),
//!             SourceScenario::Number { assurance: Assurance::Provisional, after } => {
//!                 let pairing = Scenario::new(Generation::Current)
//!                     .at(Duration::ZERO, Step::socket("PAIRING"));
//!                 pairing.at(after, Step::me(PHONE))
//!             }
//!             SourceScenario::Number { assurance: Assurance::Unverified, after } => {
//!                 Scenario::ready_after(Generation::ConnWid, after)
//!             }
//!             SourceScenario::Number { after, .. } => Scenario::ready_after(Generation::Current, after),
//!             SourceScenario::LidOnly => Scenario::lid_only(),
//!             SourceScenario::Conflict => Scenario::disagree(FORMER_PHONE),
//!             SourceScenario::Broken => {
//!                 url = self.standin.decoy_url(); // another origin
//!                 Scenario::never()
//!             }
//!             _ => return None,
//!         };
//!         self.standin.set_scenario(scenario.launched_at_once());
//!         self.page.client().goto(&url).await.expect("the page loads");
//!         Some(Arc::new(WebDriverSource::all(&self.page)))
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let standin = StandIn::start(Scenario::never()).await?;
//! let driver = DriverProcess::start().await?;
//! let options = OpenOptions::default().url(standin.url()).target(Target::at(standin.origin())?);
//! let page = Page::open(&driver, options.headless(true)).await?;
//! contract::all(&Browser { standin, page }).await;
//! driver.stop().await?;
//! # Ok(())
//! # }
//! ```

pub mod link;
mod rules;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod sink;
#[cfg(feature = "events")]
#[cfg_attr(docsrs, doc(cfg(feature = "events")))]
pub mod store;
mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::rules::{
    finds_a_conflict, finds_no_account, finds_the_lid, finds_the_number, keeps_its_name,
    notices_the_number, reports_failures, serves_several, survives_drops,
};
pub use super::standin::{LID, PHONE};
use crate::source::{Assurance, InfoSource};

/// The page that a source under test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceScenario {
    /// Everything works, and no phone is linked to the session.
    Unlinked,
    /// The account [`PHONE`]. Before `after` it is as [`SourceScenario::Unlinked`].
    Number {
        /// As what it shows. `Provisional` stays provisional.
        assurance: Assurance,
        /// How long after the making of the scenario. Zero: it is there when the fixture hands out
        /// the source.
        after: Duration,
    },
    /// The account's [`LID`], and never a number.
    LidOnly,
    /// Two live readers of this one source give different accounts.
    Conflict,
    /// No look works.
    Broken,
}

/// Makes sources, each with the scenario that it looks at.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Makes a source that looks at a fresh scenario of this kind. `None`: this source cannot be shown that,
    /// for instance since what it reads knows no LIDs.
    ///
    /// [`SourceScenario::Unlinked`] and [`SourceScenario::Number`] of at least one assurance are needed. The
    /// suite holds no source of an earlier scenario when it asks.
    async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>>;

    /// Returns a time that is longer than a look of this source takes when all is well, and than it takes to
    /// make a scenario. Numbers appear after twice this; a source that says nothing for twenty times this,
    /// and for at least 30 s, is treated as hung. Default: 500 ms.
    fn pace(&self) -> Duration {
        Duration::from_millis(500)
    }

    /// Returns whether the source's `wait` returns the moment a number is there. `false` for one with the
    /// trait's own `wait`, which sleeps and then looks. Default: `true`.
    fn notices(&self) -> bool {
        true
    }
}

/// Runs every rule on the sources of this fixture: by reference, and where sources are handed on
/// also boxed and in an `Arc`.
///
/// # Panics
///
/// When a rule is broken; the message names it. Also when the fixture lacks a scenario that is needed.
pub async fn all(fixture: &dyn Fixture) {
    let pace = fixture.pace();
    let unlinked = fixture.source(SourceScenario::Unlinked).await;
    let Some(unlinked) = unlinked else {
        panic!("the fixture must be able to show SourceScenario::Unlinked");
    };
    finds_no_account(&*unlinked, pace).await;
    drop(unlinked);

    if let Some(source) = fixture.source(SourceScenario::LidOnly).await {
        finds_the_lid(&*source, pace).await;
    }
    if let Some(source) = fixture.source(SourceScenario::Conflict).await {
        finds_a_conflict(&*source, pace).await;
    }
    if let Some(source) = fixture.source(SourceScenario::Broken).await {
        reports_failures(&*source, pace).await;
    }
    let mut best = None;
    for assurance in [
        Assurance::Provisional,
        Assurance::Unverified,
        Assurance::Confirmed,
    ] {
        if let Some(source) = number(fixture, assurance, Duration::ZERO).await {
            finds_the_number(&*source, pace, assurance).await;
            best = Some(assurance);
        }
    }
    let Some(best) = best else {
        panic!("the fixture must be able to show SourceScenario::Number of some assurance");
    };
    if let Some(source) = number(fixture, best, 2 * pace).await {
        survives_drops(&*source, pace, best).await;
    }
    if let Some(source) = number(fixture, best, Duration::ZERO).await {
        serves_several(&*source, pace, best).await;
    }
    every_shape(fixture, best).await;
}

/// Checks the calls that the trait's forwarding must pass on: the name, `probe`, and a `wait` of its own.
async fn every_shape(fixture: &dyn Fixture, assurance: Assurance) {
    let pace = fixture.pace();
    let after = if fixture.notices() {
        2 * pace
    } else {
        Duration::ZERO
    };
    let check = async |source: &dyn InfoSource| {
        keeps_its_name(source, pace).await;
        if fixture.notices() {
            notices_the_number(source, pace, assurance).await;
        } else {
            finds_the_number(source, pace, assurance).await;
        }
    };
    if let Some(source) = number(fixture, assurance, after).await {
        check(&&*source).await;
    }
    if let Some(source) = number(fixture, assurance, after).await {
        check(&source).await;
    }
    if let Some(source) = number(fixture, assurance, after).await {
        check(&Box::new(source)).await;
    }
}

/// Returns the longest silence of a source: a busy machine stops any source for some seconds.
fn hang_timeout(pace: Duration) -> Duration {
    (20 * pace).max(Duration::from_secs(30))
}

async fn number(
    fixture: &dyn Fixture,
    assurance: Assurance,
    after: Duration,
) -> Option<Arc<dyn InfoSource>> {
    fixture
        .source(SourceScenario::Number { assurance, after })
        .await
}
