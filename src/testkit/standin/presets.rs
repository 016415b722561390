//! The situations that most tests want, each a few lines over the builder.

use std::time::Duration;

use super::scenario::{Generation, LID, PHONE, Scenario, Stale, Step};

const START: Duration = Duration::ZERO;

impl Scenario {
    /// Number and LID, connected and synced, all during the load. Old pages ignore what they lack.
    #[must_use]
    pub fn ready(generation: Generation) -> Self {
        Self::ready_after(generation, START)
    }

    /// [`Scenario::ready`] this long after the load.
    #[must_use]
    pub fn ready_after(generation: Generation, after: Duration) -> Self {
        Self::new(generation)
            .at(START, Step::socket("OPENING"))
            .at(after, Step::me(PHONE))
            .at(after, Step::lid(LID))
            .at(after, Step::connected())
    }

    /// The number at `at` while pairing; connected and synced at `confirmed_at`.
    #[must_use]
    pub fn provisional_then_confirmed(at: Duration, confirmed_at: Duration) -> Self {
        Self::pairing()
            .at(at, Step::me(PHONE))
            .at(at, Step::lid(LID))
            .at(confirmed_at, Step::connected())
    }

    /// The LID at `lid_at`, the number and the confirmed link at `number_at`.
    #[must_use]
    pub fn lid_first(lid_at: Duration, number_at: Duration) -> Self {
        Self::pairing()
            .at(lid_at, Step::lid(LID))
            .at(number_at, Step::me(PHONE))
            .at(number_at, Step::connected())
    }

    /// Connected and synced with a LID, and never a number.
    #[must_use]
    pub fn lid_only() -> Self {
        Self::new(Generation::Current)
            .at(START, Step::lid(LID))
            .at(START, Step::connected())
    }

    /// The page with the QR code that nobody scans.
    #[must_use]
    pub fn never() -> Self {
        Self::unpaired()
    }

    /// Reloads at `reload_at`; the next load is ready `number_after_reload` after its own start.
    #[must_use]
    pub fn reload_at(reload_at: Duration, number_after_reload: Duration) -> Self {
        Self::pairing()
            .at(reload_at, Step::Reload)
            .next_load()
            .at(number_after_reload, Step::me(PHONE))
            .at(number_after_reload, Step::connected())
    }

    /// Connected, but every getter throws; nothing is readable.
    #[must_use]
    pub fn throwing(generation: Generation) -> Self {
        let mut scenario = Self::ready(generation);
        if let Some(timeline) = scenario.loads.first_mut() {
            timeline.insert(0, (START, Step::Throwing(true)));
        }
        scenario
    }

    /// The page with the QR code, over the storage of an account that was logged out.
    #[must_use]
    pub fn stale_storage(stale: Stale) -> Self {
        Self::unpaired().with_stale_storage(stale)
    }

    /// A page that is not WhatsApp Web.
    #[must_use]
    pub fn blank() -> Self {
        Self::new(Generation::Blank)
    }

    /// Ready during the load, logged out at `at`.
    #[must_use]
    pub fn logout_at(at: Duration) -> Self {
        Self::ready(Generation::Current).at(at, Step::Logout)
    }

    /// `first` during the load, `second` at `at`, confirmed at `confirmed_at`.
    #[must_use]
    pub fn number_changes(first: &str, at: Duration, second: &str, confirmed_at: Duration) -> Self {
        Self::pairing()
            .at(START, Step::me(first))
            .at(at, Step::me(second))
            .at(confirmed_at, Step::connected())
    }

    /// `require` and storage say [`PHONE`], the injected `Store.User` says `other`.
    #[must_use]
    pub fn disagree(other: &str) -> Self {
        Self::new(Generation::Comet)
            .with_injected_store()
            .at(
                START,
                Step::SetStoreMe {
                    jid: other.to_owned(),
                },
            )
            .at(START, Step::me(PHONE))
            .at(START, Step::connected())
    }

    fn pairing() -> Self {
        Self::new(Generation::Current).at(START, Step::socket("PAIRING"))
    }

    fn unpaired() -> Self {
        Self::new(Generation::Current).at(START, Step::socket("UNPAIRED"))
    }
}
