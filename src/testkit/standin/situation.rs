//! [`Situation`]: the cases that a reader must distinguish on the current page.

use std::fmt;
use std::time::Duration;

use super::constants::{LID, PHONE};
use super::logout::{Logout, LogoutStep};
use super::names::Name;
use super::presets::START;
use super::scenario::{Scenario, Stale};
use super::step::Step;

/// A situation of the real page. Its scenario settles in it and stays; where a reader should have seen
/// what was before, [`StandIn::signal`](super::StandIn::signal) leads into it. [`Display`](fmt::Display)
/// says in one sentence what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Situation {
    /// A page without an account shows its QR code.
    FreshPage,
    /// The QR code has expired; the signal lets it.
    QrExpired,
    /// A linked page that does not boot.
    NotBooted,
    /// A linked page whose socket stays `UNLAUNCHED`.
    NotLaunched,
    /// A linked page whose socket is in this state, and not synced.
    Socket(&'static str),
    /// A linked page is connected and synced.
    Linked,
    /// A linked page is connected and synced, and a `post-logout` mark of a former account is left.
    LinkedWithMark,
    /// The phone has accepted the QR code; the socket is still `UNPAIRED`. The signal is pair-success.
    Provisional,
    /// The signal leads through a whole pairing, to connected and synced.
    Paired,
    /// The server refuses the login of a connected page that has not synced; the signal begins it, and
    /// the logout stops after this step.
    Refused(LogoutStep),
    /// The user logs out of a connected and synced page; the signal begins it, and the logout stops after
    /// this step.
    LoggingOut {
        /// The databases cannot be destroyed.
        with_error: bool,
        /// The last step.
        after: LogoutStep,
    },
    /// The page that loads after a logout; the signal begins that logout.
    LoggedOut {
        /// The databases could not be destroyed, and the `post-logout` mark is left.
        with_error: bool,
    },
    /// An unpaired page whose keys hold the text `null`.
    NullText,
    /// The page of a guest call.
    Guest,
    /// A connected and synced page whose memoising getters say `nobody`; the signal stores the number.
    MemoFrozen,
    /// A linked page, connected and synced, on which this name is another.
    Renamed(Name),
}

impl Situation {
    /// Lists all of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::FreshPage,
            Self::QrExpired,
            Self::NotBooted,
            Self::NotLaunched,
        ];
        let states = [
            "OPENING",
            "PAIRING",
            "CONNECTED",
            "CONFLICT",
            "PROXYBLOCK",
            "TOS_BLOCK",
            "SMB_TOS_BLOCK",
            "SCREEN_LOCKED",
        ];
        all.extend(states.map(Self::Socket));
        all.extend([
            Self::Linked,
            Self::LinkedWithMark,
            Self::Provisional,
            Self::Paired,
        ]);
        all.extend(LogoutStep::ALL.iter().copied().map(Self::Refused));
        for with_error in [false, true] {
            let users_own = LogoutStep::ALL.iter().copied().skip(1);
            all.extend(users_own.map(|after| Self::LoggingOut { with_error, after }));
            all.push(Self::LoggedOut { with_error });
        }
        all.extend([Self::NullText, Self::Guest, Self::MemoFrozen]);
        all.extend(Name::ALL.iter().copied().map(Self::Renamed));
        all
    }

    /// Returns the scenario that leads into it.
    #[must_use]
    pub fn scenario(self) -> Scenario {
        let users_own = |with_error| match with_error {
            true => Logout::default().with_error(),
            false => Logout::default(),
        };
        match self {
            Self::FreshPage => Scenario::never(),
            Self::QrExpired => Scenario::never().on_signal(START, Step::socket("UNPAIRED_IDLE")),
            Self::NotBooted => Scenario::linked().with_boot_after(None),
            Self::NotLaunched => Scenario::linked().with_launch_after(None),
            Self::Socket(state) => Scenario::linked().at(START, Step::socket(state)),
            Self::Linked => Scenario::reload_of_linked(),
            Self::LinkedWithMark => Scenario::reload_of_linked()
                .with_stale_storage(Stale::MarkAlone)
                .with_kept_post_logout(),
            Self::Provisional => paired(),
            Self::Paired => paired()
                .on_signal(millis(200), Step::socket("OPENING"))
                .on_signal(millis(300), Step::socket("CONNECTED"))
                .on_signal(millis(700), Step::connected()),
            Self::Refused(after) => Scenario::connected_before_verdict()
                .on_signal(START, Step::LogoutAs(Logout::refused().stops_after(after))),
            Self::LoggingOut { with_error, after } => Scenario::reload_of_linked().on_signal(
                START,
                Step::LogoutAs(users_own(with_error).stops_after(after)),
            ),
            Self::LoggedOut { with_error } => Scenario::reload_of_linked()
                .on_signal(
                    START,
                    Step::LogoutAs(users_own(with_error).with_navigation(millis(300))),
                )
                .next_load()
                .at(START, Step::socket("UNPAIRED")),
            Self::NullText => Scenario::never().with_stale_storage(Stale::NullText),
            Self::Guest => Scenario::guest(),
            Self::MemoFrozen => Scenario::new(super::Generation::Current)
                .at(START, Step::ReadMe)
                .at(START, Step::socket("OPENING"))
                .on_signal(START, Step::restore())
                .on_signal(START, Step::connected()),
            Self::Renamed(name) => Scenario::reload_of_linked().renamed(name),
        }
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn paired() -> Scenario {
    Scenario::never()
        .on_signal(START, Step::me(PHONE))
        .on_signal(START, Step::lid(LID))
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = |with_error| if with_error { "a failed" } else { "a" };
        match *self {
            Self::FreshPage => f.write_str("QR code shown"),
            Self::QrExpired => f.write_str("QR code expired"),
            Self::NotBooted => f.write_str("linked, not booted"),
            Self::NotLaunched => f.write_str("linked, UNLAUNCHED"),
            Self::Socket(state) => write!(f, "linked, {state}, not synced"),
            Self::Linked => f.write_str("linked, CONNECTED, synced"),
            Self::LinkedWithMark => {
                f.write_str("linked, CONNECTED, synced, former post-logout mark")
            }
            Self::Provisional => f.write_str("pair-success, UNPAIRED"),
            Self::Paired => f.write_str("paired, CONNECTED, synced"),
            Self::Refused(after) => write!(f, "refused by the server, after {after:?}"),
            Self::LoggingOut { with_error, after } => {
                write!(f, "{} logout, after {after:?}", error(with_error))
            }
            Self::LoggedOut { with_error } => {
                write!(f, "the page after {} logout", error(with_error))
            }
            Self::NullText => f.write_str("unpaired, keys hold the text null"),
            Self::Guest => f.write_str("guest call"),
            Self::MemoFrozen => f.write_str("linked, memoising getters say nobody"),
            Self::Renamed(name) => write!(f, "linked, {} renamed", name.as_str()),
        }
    }
}
