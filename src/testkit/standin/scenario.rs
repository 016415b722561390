//! What the stand-in page is, and what happens on it and when.

use std::time::Duration;

use serde::Serialize;

/// The own number of every preset: a number of nobody, as storage writes it, with a device.
pub const PHONE: &str = "628110000041:12@c.us";
/// The LID that belongs to [`PHONE`].
pub const LID: &str = "123456789012345@lid";
/// The account that [`Stale`] storage still names. Whoever answers this is wrong.
pub const FORMER_PHONE: &str = "628990000099:3@c.us";
/// The LID of [`FORMER_PHONE`].
pub const FORMER_LID: &str = "987654321098765@lid";
/// `Conn.pushname`, once the number is known.
pub const PUSH_NAME: &str = "Stand-in";
/// `Conn.platform`, once the number is known.
pub const PLATFORM: &str = "android";

/// Where this page keeps the own number: one row per generation of WhatsApp Web and its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Generation {
    /// `Store.Conn.me`, one device, until November 2020.
    ConnMe,
    /// `Store.Conn.wid`, the last single-device pages.
    ConnWid,
    /// `Store.User.getMeUser()` and `getMaybeMeUser()`, 2021 to 2024.
    StoreUser,
    /// `require('WAWebUserPrefsMeUser').getMaybeMeUser()`, until August 2025.
    Comet,
    /// `getMaybeMePnUser()` and `getMaybeMeLidUser()` of the same module; `getMeUser()` prefers the LID.
    Current,
    /// `WPP.conn.getMyUserId()`, where wa-js is injected.
    WaJs,
    /// A later build: the getters have names nobody knows yet, storage and `Socket` are still there.
    Renamed,
    /// None of it, and no storage.
    Blank,
}

impl Generation {
    /// All of them, oldest first.
    pub const ALL: [Self; 8] = [
        Self::ConnMe,
        Self::ConnWid,
        Self::StoreUser,
        Self::Comet,
        Self::Current,
        Self::WaJs,
        Self::Renamed,
        Self::Blank,
    ];

    /// Whether the page has the `Socket` model, the only evidence that a number is confirmed.
    #[must_use]
    pub const fn has_socket(self) -> bool {
        matches!(self, Self::Comet | Self::Current | Self::Renamed)
    }
}

/// Something that happens on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", content = "with", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// The getters give this number from now on, without its device; storage gets it with its device.
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
    /// The `Socket` model changes and fires `change:state`, `change:hasSynced` and `change`.
    Socket {
        /// `OPENING`, `PAIRING`, `UNPAIRED`, `CONNECTED` and so on.
        state: String,
        /// `Socket.hasSynced`.
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
    /// `alert(text)`: stops the page until somebody answers.
    Dialog {
        /// What it says.
        text: String,
    },
    /// `WANoiseInfo` goes, 50 ms later the state is `UNPAIRED`, 50 ms later getters and storage are empty.
    Logout,
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
    /// `window.Store` goes.
    RemoveStore,
    /// `window.Store` comes, as a library of this generation injects it.
    InjectStore,
}

impl Step {
    /// [`Step::SetMe`].
    #[must_use]
    pub fn me(jid: &str) -> Self {
        Self::SetMe {
            jid: jid.to_owned(),
        }
    }

    /// [`Step::SetLid`].
    #[must_use]
    pub fn lid(jid: &str) -> Self {
        Self::SetLid {
            jid: jid.to_owned(),
        }
    }

    /// [`Step::Socket`] in `state`, not synced.
    #[must_use]
    pub fn socket(state: &str) -> Self {
        Self::Socket {
            state: state.to_owned(),
            has_synced: false,
        }
    }

    /// [`Step::Socket`], `CONNECTED` and synced: what confirms a number.
    #[must_use]
    pub fn connected() -> Self {
        Self::Socket {
            state: "CONNECTED".to_owned(),
            has_synced: true,
        }
    }
}

/// What storage holds of a former account before the first load of a scenario, and why it must not be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stale {
    /// `WANoiseInfo` is missing.
    NoNoiseInfo,
    /// `post-logout` is `1`.
    PostLogout,
}

/// What a getter returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WidForm {
    /// `{server, user, _serialized, toString()}`, as on the real page.
    Object,
    /// The bare text.
    Text,
}

/// A page and its timelines. Start from a preset or from [`Scenario::new`], add with [`Scenario::at`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scenario {
    /// Which page it is.
    pub generation: Generation,
    /// One timeline a load, each step with its time after the script's start; the last one repeats.
    pub loads: Vec<Vec<(Duration, Step)>>,
    /// Storage that a former account left behind.
    pub stale_storage: Option<Stale>,
    /// Objects or text.
    pub wid_form: WidForm,
    /// Whether the number is written to `localStorage` at all. True unless told otherwise.
    pub storage: bool,
    /// A Content-Security-Policy without `unsafe-eval` and inline scripts.
    pub csp_strict: bool,
    /// `Promise`, `setTimeout`, `JSON` and the like are replaced by versions that never answer or throw.
    pub replaced_builtins: bool,
    /// Getters return 10 MiB, storage holds twice 2 MiB; no number is readable.
    pub oversize: bool,
    /// Getters return proxies whose every trap throws; storage is as usual, see [`Scenario::storage`].
    pub proxy: bool,
    /// `window.Store` is there from the start, beside `require`.
    pub injected_store: bool,
}

impl Scenario {
    /// A page on which nothing happens.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            loads: vec![Vec::new()],
            stale_storage: None,
            wid_form: WidForm::Object,
            storage: true,
            csp_strict: false,
            replaced_builtins: false,
            oversize: false,
            proxy: false,
            injected_store: false,
        }
    }

    /// Adds a step to the newest timeline. Zero is during the load; steps of one time share one turn.
    #[must_use]
    pub fn at(mut self, after: Duration, step: Step) -> Self {
        match self.loads.last_mut() {
            Some(timeline) => timeline.push((after, step)),
            None => self.loads.push(vec![(after, step)]),
        }
        self
    }

    /// Begins the timeline of the next load.
    #[must_use]
    pub fn next_load(mut self) -> Self {
        self.loads.push(Vec::new());
        self
    }

    /// Storage still names [`FORMER_PHONE`] when the first load begins.
    #[must_use]
    pub fn with_stale_storage(mut self, stale: Stale) -> Self {
        self.stale_storage = Some(stale);
        self
    }

    /// Getters return this form.
    #[must_use]
    pub fn with_wid_form(mut self, form: WidForm) -> Self {
        self.wid_form = form;
        self
    }

    /// The number is in getters only.
    #[must_use]
    pub fn without_storage(mut self) -> Self {
        self.storage = false;
        self
    }

    /// Sets [`Scenario::csp_strict`].
    #[must_use]
    pub fn with_strict_csp(mut self) -> Self {
        self.csp_strict = true;
        self
    }

    /// Sets [`Scenario::replaced_builtins`].
    #[must_use]
    pub fn with_replaced_builtins(mut self) -> Self {
        self.replaced_builtins = true;
        self
    }

    /// Sets [`Scenario::oversize`].
    #[must_use]
    pub fn with_oversize(mut self) -> Self {
        self.oversize = true;
        self
    }

    /// Sets [`Scenario::proxy`].
    #[must_use]
    pub fn with_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Sets [`Scenario::injected_store`].
    #[must_use]
    pub fn with_injected_store(mut self) -> Self {
        self.injected_store = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scenario_serialises_as_the_page_reads_it() {
        let scenario = Scenario::new(Generation::WaJs)
            .with_stale_storage(Stale::PostLogout)
            .at(Duration::from_millis(1500), Step::me(PHONE))
            .at(Duration::ZERO, Step::Throwing(true))
            .next_load()
            .at(Duration::ZERO, Step::Reload);
        assert_eq!(
            serde_json::to_value(scenario).unwrap(),
            json!({
                "generation": "wa_js",
                "loads": [
                    [
                        [{"secs": 1, "nanos": 500_000_000}, {"step": "set_me", "with": {"jid": PHONE}}],
                        [{"secs": 0, "nanos": 0}, {"step": "throwing", "with": true}],
                    ],
                    [[{"secs": 0, "nanos": 0}, {"step": "reload"}]],
                ],
                "stale_storage": "post_logout", "wid_form": "object", "storage": true,
                "csp_strict": false, "replaced_builtins": false, "oversize": false,
                "proxy": false, "injected_store": false,
            })
        );
    }
}
