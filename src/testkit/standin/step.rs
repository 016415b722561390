//! [`Step`]: something that happens on the page.

use serde::Serialize;

use super::constants::{LID, PHONE};
use super::logout::Logout;

/// Something that happens on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", content = "with", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Pair-success: the page's own `setMe` runs. The getters give this number from now on, storage gets
    /// it with its device, after the noise key. The socket's state stays as it is.
    SetMe {
        /// For instance [`PHONE`].
        jid: String,
    },
    /// `Store` alone gives this number from now on; `require` and storage keep the other.
    SetStoreMe {
        /// The number that contradicts.
        jid: String,
    },
    /// The LID getters give this, storage gets it under `WALid`.
    SetLid {
        /// For instance [`LID`].
        jid: String,
    },
    /// Storage gets the noise key, the number and the LID of a linked profile, but the page's own
    /// `setMe` does not run: what a getter has memoised stays.
    Restore {
        /// For instance [`PHONE`].
        me: String,
        /// For instance [`LID`].
        lid: String,
    },
    /// The page of a guest call writes `GuestExperienceType` and `last-wid-md`, and no noise key.
    Guest {
        /// For instance [`PHONE`].
        jid: String,
    },
    /// The page itself calls the getters that memoise.
    ReadMe,
    /// The `Socket` model changes and fires `change:state`, `change:hasSynced` and `change`. Until the
    /// page has launched, `Socket` hides the change.
    Socket {
        /// `OPENING`, `PAIRING`, `UNPAIRED`, `CONNECTED` and so on.
        state: String,
        /// Whether `Socket.hasSynced` is `true`; otherwise it is `undefined`.
        has_synced: bool,
    },
    /// Every getter throws, and storage stays unwritten, until `Throwing(false)`.
    Throwing(bool),
    /// `location.reload()`.
    Reload,
    /// `location.assign(url)`.
    Navigate {
        /// Absolute, or relative to the page.
        url: String,
    },
    /// `alert(text)`: stops the page until it is answered.
    Dialog {
        /// Its text.
        text: String,
    },
    /// [`Step::LogoutAs`] with [`Logout::default`].
    Logout,
    /// A logout, step by step; the socket's state stays as it is.
    LogoutAs(Logout),
    /// Getters give nothing and storage loses number and LID, with no trace of a logout.
    ClearMe,
    /// `window.open(url)`. Opening the stand-in's own page counts as a load.
    OpenTab {
        /// Absolute, or relative to the page: any path but `/` is a plain page of the same origin.
        url: String,
    },
    /// One busy wait.
    BlockMainThread {
        /// Its length in milliseconds.
        ms: u64,
    },
    /// `for (;;);`. Nothing after it runs, the report of a number that the same moment set included.
    Hang,
    /// Busy for this share of every 50 ms, until the page goes.
    BusyLoop {
        /// 0 to 100.
        percent: u8,
    },
    /// The page boots at this time, regardless of [`Scenario::with_boot_after`](super::Scenario::with_boot_after).
    Boot,
    /// The socket leaves `UNLAUNCHED` at this time, regardless of
    /// [`Scenario::with_launch_after`](super::Scenario::with_launch_after).
    Launch,
    /// `window.Store` goes.
    RemoveStore,
    /// `window.Store` comes, as a library of this generation injects it.
    InjectStore,
}

impl Step {
    /// Makes [`Step::SetMe`].
    #[must_use]
    pub fn me(jid: &str) -> Self {
        Self::SetMe {
            jid: jid.to_owned(),
        }
    }

    /// Makes [`Step::Restore`] of [`PHONE`] and [`LID`].
    #[must_use]
    pub fn restore() -> Self {
        Self::Restore {
            me: PHONE.to_owned(),
            lid: LID.to_owned(),
        }
    }

    /// Makes [`Step::SetLid`].
    #[must_use]
    pub fn lid(jid: &str) -> Self {
        Self::SetLid {
            jid: jid.to_owned(),
        }
    }

    /// Makes [`Step::Socket`] in `state`, not synced.
    #[must_use]
    pub fn socket(state: &str) -> Self {
        Self::Socket {
            state: state.to_owned(),
            has_synced: false,
        }
    }

    /// Makes [`Step::Socket`], `CONNECTED` and synced: what confirms a number.
    #[must_use]
    pub fn connected() -> Self {
        Self::Socket {
            state: "CONNECTED".to_owned(),
            has_synced: true,
        }
    }
}
