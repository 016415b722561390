//! The situations that most tests want, each a few lines over the builder.

use std::time::Duration;

use super::constants::{LID, PHONE};
use super::logout::Logout;
use super::names::Name;
use super::scenario::{Generation, Scenario, Stale};
use super::step::Step;

pub(super) const START: Duration = Duration::ZERO;
/// From `CONNECTED` to the server's verdict, where the scenario leaves time for it.
const VERDICT_DELAY: Duration = Duration::from_millis(400);
/// When the socket of a linked page connects, after the script's start.
const CONNECT_DELAY: Duration = Duration::from_millis(200);

impl Scenario {
    /// Makes a page that has number and LID and is connected and synced, all during the load. Old pages ignore what they lack.
    #[must_use]
    pub fn ready(generation: Generation) -> Self {
        Self::ready_after(generation, START)
    }

    /// Makes [`Scenario::ready`] this long after the load.
    #[must_use]
    pub fn ready_after(generation: Generation, after: Duration) -> Self {
        Self::new(generation)
            .at(START, Step::socket("OPENING"))
            .at(after, Step::me(PHONE))
            .at(after, Step::lid(LID))
            .at(after, Step::connected())
    }

    /// Makes a whole pairing: the number at `at` beside `UNPAIRED`, then the restart, `CONNECTED` up to 400 ms
    /// before the verdict, and synced at `confirmed_at`.
    #[must_use]
    pub fn provisional_then_confirmed(at: Duration, confirmed_at: Duration) -> Self {
        let left = confirmed_at.saturating_sub(at);
        let connected_at = confirmed_at.saturating_sub(VERDICT_DELAY.min(left / 2));
        let restart_at = at + connected_at.saturating_sub(at) / 2;
        Self::never()
            .at(at, Step::me(PHONE))
            .at(at, Step::lid(LID))
            .at(restart_at, Step::socket("OPENING"))
            .at(connected_at, Step::socket("CONNECTED"))
            .at(confirmed_at, Step::connected())
    }

    /// Makes a page that has the LID at `lid_at`, the number and the confirmed link at `number_at`.
    #[must_use]
    pub fn lid_first(lid_at: Duration, number_at: Duration) -> Self {
        Self::never()
            .at(lid_at, Step::lid(LID))
            .at(number_at, Step::me(PHONE))
            .at(number_at, Step::connected())
    }

    /// Makes a page that is connected and synced, but the number's getters and its storage key have unknown names: the LID
    /// alone is readable.
    #[must_use]
    pub fn lid_only() -> Self {
        Self::ready(Generation::Current)
            .renamed(Name::GetMaybeMePnUser)
            .renamed(Name::GetMaybeMeDevicePn)
            .renamed(Name::LastWidMd)
    }

    /// Makes the fresh page: `UNLAUNCHED`, then `UNPAIRED` with a QR code that is not scanned.
    #[must_use]
    pub fn never() -> Self {
        Self::new(Generation::Current).at(START, Step::socket("UNPAIRED"))
    }

    /// Makes [`Scenario::never`], whose QR code expires at `at`.
    #[must_use]
    pub fn qr_expires(at: Duration) -> Self {
        Self::never().at(at, Step::socket("UNPAIRED_IDLE"))
    }

    /// Makes a linked page that loads: its storage is complete from the start, its socket `UNLAUNCHED`, then
    /// `OPENING`, and stays so.
    #[must_use]
    pub fn linked() -> Self {
        Self::new(Generation::Current)
            .at(START, Step::restore())
            .at(START, Step::socket("OPENING"))
    }

    /// Makes [`Scenario::linked`], `CONNECTED` at 200 ms, before the server's verdict, which never comes.
    #[must_use]
    pub fn connected_before_verdict() -> Self {
        Self::linked().at(CONNECT_DELAY, Step::socket("CONNECTED"))
    }

    /// Makes the reload of a linked page: `CONNECTED` at 200 ms, accepted and synced 400 ms later.
    #[must_use]
    pub fn reload_of_linked() -> Self {
        Self::connected_before_verdict().at(CONNECT_DELAY + VERDICT_DELAY, Step::connected())
    }

    /// Makes the page of a device that was unlinked on the phone meanwhile: `CONNECTED` at 200 ms, refused
    /// 400 ms later.
    #[must_use]
    pub fn revoked() -> Self {
        let refused = Step::LogoutAs(Logout::refused());
        Self::connected_before_verdict().at(CONNECT_DELAY + VERDICT_DELAY, refused)
    }

    /// Makes the page of a guest call: it writes `last-wid-md` itself and is not registered.
    #[must_use]
    pub fn guest() -> Self {
        Self::new(Generation::Current)
            .at(
                START,
                Step::Guest {
                    jid: PHONE.to_owned(),
                },
            )
            .at(START, Step::socket("CONNECTED"))
    }

    /// Makes a page whose getters that memoise say `nobody` until the page reloads: they were read before the
    /// number was stored at `at`, when the page is connected and synced.
    #[must_use]
    pub fn memo_frozen(at: Duration) -> Self {
        Self::new(Generation::Current)
            .at(START, Step::ReadMe)
            .at(START, Step::socket("OPENING"))
            .at(at, Step::restore())
            .at(at, Step::connected())
    }

    /// Reloads at `reload_at`; the next load is ready `number_after_reload` after its own start.
    #[must_use]
    pub fn reload_at(reload_at: Duration, number_after_reload: Duration) -> Self {
        Self::never()
            .at(reload_at, Step::Reload)
            .next_load()
            .at(number_after_reload, Step::me(PHONE))
            .at(number_after_reload, Step::connected())
    }

    /// Makes a page that is connected, but every getter throws; nothing is readable.
    #[must_use]
    pub fn throwing(generation: Generation) -> Self {
        let mut scenario = Self::ready(generation);
        if let Some(timeline) = scenario.loads.first_mut() {
            timeline.insert(0, (START, Step::Throwing(true)));
        }
        scenario
    }

    /// Makes the page with the QR code, over the storage of an account that was logged out.
    #[must_use]
    pub fn stale_storage(stale: Stale) -> Self {
        Self::never().with_stale_storage(stale)
    }

    /// Makes a page that is not WhatsApp Web.
    #[must_use]
    pub fn blank() -> Self {
        Self::new(Generation::Blank)
    }

    /// Makes a page that is ready during the load, logged out at `at`.
    #[must_use]
    pub fn logout_at(at: Duration) -> Self {
        Self::ready(Generation::Current).at(at, Step::Logout)
    }

    /// Makes a page that has `first` during the load, `second` at `at`, confirmed at `confirmed_at`.
    #[must_use]
    pub fn number_changes(first: &str, at: Duration, second: &str, confirmed_at: Duration) -> Self {
        Self::never()
            .at(START, Step::me(first))
            .at(at, Step::me(second))
            .at(confirmed_at, Step::connected())
    }

    /// Makes a page whose `require` and storage say [`PHONE`], and whose injected `Store.User` says `other`.
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
}
