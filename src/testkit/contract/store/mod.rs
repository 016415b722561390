//! The contract of [`SessionStore`], as tests that run on any store.
//!
//! Every rule gets two stores over one fresh storage, as two processes have them, and uses both.
//! Nothing is asserted about how fast a store is, only that every call ends.
//!
//! ```
//! use std::sync::Arc;
//! use whatsapp_phone::store::{SessionStore, StoreOptions, memory::MemoryStore};
//! use whatsapp_phone::testkit::contract::store::{self, StoreFixture};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl StoreFixture for Memory {
//!     async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
//!         let store = MemoryStore::new(options);
//!         [Arc::new(store.clone()), Arc::new(store)]
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! store::all(&Memory).await;
//! # }
//! ```

mod duplicates;
mod ending;
mod reading;
mod returning;
mod rules;
mod stage;
#[cfg(test)]
mod tests;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::duplicates::{
    allows_companions, connects_one_of_many, refuses_duplicates, relinks, retires_stale_duplicates,
    settles_swaps,
};
pub use self::ending::{deletes_sessions, ends_sessions, sweeps_stuck};
pub use self::reading::{keeps_errors, lists_sessions};
pub use self::returning::brings_back;
pub use self::rules::{
    applies_once, binds_to_one_number, follows_a_session, ignores_expired_codes,
    ignores_what_comes_late, refuses_unknown_sessions, registers, survives_drops,
};
pub use self::watching::{
    notifies_other_stores, notifies_watchers, notifies_watchers_of_workspaces,
};
use crate::store::{DuplicatePolicy, SessionStore, StoreOptions};

/// Makes stores.
#[async_trait]
pub trait StoreFixture: Send + Sync {
    /// Makes two stores over one fresh, empty storage, with these options: with pools of their own, where
    /// they have any.
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2];

    /// Returns how many sessions connect at once, over both stores. Default: 50.
    fn concurrent_sessions(&self) -> usize {
        50
    }

    /// Returns a time that is longer than any one call takes; a store that takes longer is treated as hung.
    /// Default: 30 s.
    fn call_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Runs every rule on the stores of this fixture, and the first ones also on boxed stores and
/// references.
///
/// # Panics
///
/// When a rule is broken; the message names it.
pub async fn all(fixture: &dyn StoreFixture) {
    registers(fixture).await;
    follows_a_session(fixture).await;
    brings_back(fixture).await;
    refuses_unknown_sessions(fixture).await;
    applies_once(fixture).await;
    ignores_what_comes_late(fixture).await;
    ignores_expired_codes(fixture).await;
    binds_to_one_number(fixture).await;
    retires_stale_duplicates(fixture).await;
    relinks(fixture).await;
    refuses_duplicates(fixture).await;
    allows_companions(fixture).await;
    sweeps_stuck(fixture).await;
    survives_drops(fixture).await;
    notifies_watchers(fixture).await;
    notifies_other_stores(fixture).await;
    notifies_watchers_of_workspaces(fixture).await;
    lists_sessions(fixture).await;
    keeps_errors(fixture).await;
    ends_sessions(fixture).await;
    deletes_sessions(fixture).await;
    for policy in [DuplicatePolicy::RetireStale, DuplicatePolicy::Refuse] {
        connects_one_of_many(fixture, policy).await;
    }
    settles_swaps(fixture).await;
    let boxed = Wrapped(fixture, |store| Arc::new(Box::new(store)));
    follows_a_session(&boxed).await;
    lists_sessions(&boxed).await;
    notifies_watchers_of_workspaces(&boxed).await;
    notifies_watchers(&Wrapped(fixture, |store| Arc::new(store))).await;
}

/// The same stores in another shape, which must pass everything through.
struct Wrapped<'a>(
    &'a dyn StoreFixture,
    fn(Arc<dyn SessionStore>) -> Arc<dyn SessionStore>,
);

#[async_trait]
impl StoreFixture for Wrapped<'_> {
    async fn stores(&self, options: StoreOptions) -> [Arc<dyn SessionStore>; 2] {
        self.0.stores(options).await.map(self.1)
    }

    fn call_timeout(&self) -> Duration {
        self.0.call_timeout()
    }
}
