//! [`Scenario`]: the content of the stand-in page, and its events in time.

use std::time::Duration;

use serde::Serialize;

use super::names::Name;
use super::step::Step;

/// The place in which this page keeps the own number: one row per generation of WhatsApp Web and its libraries.
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
    /// `getMaybeMePnUser()` and `getMaybeMeLidUser()` of the same module, which memoise, and
    /// `getMaybeMeDevicePn()` and `getMaybeMeDeviceLid()`, which do not; `getMeUser()` prefers the LID.
    Current,
    /// `WPP.conn.getMyUserId()`, where wa-js is injected.
    WaJs,
    /// [`Generation::Current`] with every getter of the number and the LID under an unknown name.
    Renamed,
    /// Nothing of WhatsApp's, and no storage.
    Blank,
}

impl Generation {
    /// All of them, oldest first.
    pub const ALL: &'static [Self] = &[
        Self::ConnMe,
        Self::ConnWid,
        Self::StoreUser,
        Self::Comet,
        Self::Current,
        Self::WaJs,
        Self::Renamed,
        Self::Blank,
    ];

    /// Returns whether the page has the `Socket` model, the only evidence that a number is confirmed.
    #[must_use]
    pub const fn has_socket(self) -> bool {
        matches!(self, Self::Comet | Self::Current | Self::Renamed)
    }
}

/// A former account in the storage before the first load of a scenario, and the reason to ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stale {
    /// `WANoiseInfo` is missing.
    NoNoiseInfo,
    /// `post-logout` is `1`.
    PostLogout,
    /// `WANoiseInfo`, `last-wid-md`, `WALid` and `post-logout` hold the text `null`.
    NullText,
    /// `post-logout` is `1`, and nothing else is left.
    MarkAlone,
}

impl Stale {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::NoNoiseInfo,
        Self::PostLogout,
        Self::NullText,
        Self::MarkAlone,
    ];
}

/// The result of a getter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WidForm {
    /// `{server, user, _serialized, toString()}`, as on the real page.
    Object,
    /// The bare text.
    Text,
}

impl WidForm {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Object, Self::Text];
}

/// How the page shows its QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QrForm {
    /// A canvas, and the text in `data-ref` of the element around it, as on the real page.
    Text,
    /// The canvas alone.
    Canvas,
    /// A canvas alone whose data no script can read.
    Sealed,
}

impl QrForm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Text, Self::Canvas, Self::Sealed];
}

/// A page and its timelines. Start from a preset or from [`Scenario::new`], add with [`Scenario::at`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    pub(super) generation: Generation,
    /// One timeline a load, each step with its time after the script's start; the last one repeats.
    pub(super) loads: Vec<Vec<(Duration, Step)>>,
    /// The steps of the newest load after [`StandIn::signal`](super::StandIn::signal), each step with
    /// its time after that.
    pub(super) after_signal: Vec<(Duration, Step)>,
    stale_storage: Option<Stale>,
    wid_form: WidForm,
    /// Whether the page keeps its keys in `localStorage`, or else where only the page finds them.
    storage: bool,
    pub(super) csp_strict: bool,
    replaced_builtins: bool,
    oversize: bool,
    proxy: bool,
    injected_store: bool,
    injected_wpp: bool,
    boot_after: Option<Duration>,
    launch_after: Option<Duration>,
    renamed: Vec<Name>,
    breaks_before_boot: Vec<Name>,
    qr_interval: Duration,
    qr_form: QrForm,
    keeps_post_logout: bool,
}

impl Scenario {
    /// Makes a page on which nothing happens.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            loads: vec![Vec::new()],
            after_signal: Vec::new(),
            stale_storage: None,
            wid_form: WidForm::Object,
            storage: true,
            csp_strict: false,
            replaced_builtins: false,
            oversize: false,
            proxy: false,
            injected_store: false,
            injected_wpp: false,
            boot_after: Some(Duration::from_millis(50)),
            launch_after: Some(Duration::from_millis(150)),
            renamed: Vec::new(),
            breaks_before_boot: Vec::new(),
            qr_interval: Duration::from_secs(20),
            qr_form: QrForm::Text,
            keeps_post_logout: false,
        }
    }

    /// Sets the generation of the page.
    #[must_use]
    pub fn with_generation(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self
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

    /// Adds a step that happens this long after [`StandIn::signal`](super::StandIn::signal).
    #[must_use]
    pub fn on_signal(mut self, after: Duration, step: Step) -> Self {
        self.after_signal.push((after, step));
        self
    }

    /// Returns whether it has steps that wait for [`StandIn::signal`](super::StandIn::signal).
    #[must_use]
    pub const fn waits_for_signal(&self) -> bool {
        !self.after_signal.is_empty()
    }

    /// Begins the timeline of the next load.
    #[must_use]
    pub fn next_load(mut self) -> Self {
        self.loads.push(Vec::new());
        self
    }

    /// Lets the storage still name [`FORMER_PHONE`](super::FORMER_PHONE) when the first load begins.
    #[must_use]
    pub fn with_stale_storage(mut self, stale: Stale) -> Self {
        self.stale_storage = Some(stale);
        self
    }

    /// Sets the form in which getters return the number. Default: [`WidForm::Object`].
    #[must_use]
    pub fn with_wid_form(mut self, form: WidForm) -> Self {
        self.wid_form = form;
        self
    }

    /// Keeps the page's keys where only the page finds them, not in `localStorage`.
    #[must_use]
    pub fn without_storage(mut self) -> Self {
        self.storage = false;
        self
    }

    /// Sends a Content-Security-Policy without `unsafe-eval` and inline scripts.
    #[must_use]
    pub fn with_strict_csp(mut self) -> Self {
        self.csp_strict = true;
        self
    }

    /// Replaces `Promise`, `setTimeout`, `JSON` and the like by versions that never answer or throw.
    #[must_use]
    pub fn with_replaced_builtins(mut self) -> Self {
        self.replaced_builtins = true;
        self
    }

    /// Lets getters return 10 MiB, and storage hold twice 2 MiB; no number is readable.
    #[must_use]
    pub fn with_oversize(mut self) -> Self {
        self.oversize = true;
        self
    }

    /// Lets getters return proxies whose every trap throws; storage is as usual.
    #[must_use]
    pub fn with_proxy(mut self) -> Self {
        self.proxy = true;
        self
    }

    /// Injects `window.Store` from the start, beside `require`.
    #[must_use]
    pub fn with_injected_store(mut self) -> Self {
        self.injected_store = true;
        self
    }

    /// Injects `window.WPP` from the start, beside `require`.
    #[must_use]
    pub fn with_injected_wpp(mut self) -> Self {
        self.injected_wpp = true;
        self
    }

    /// Sets when the page boots, after the script's start: `window.Debug.VERSION` appears and every module
    /// has run. Default: 50 ms; `None` is never.
    #[must_use]
    pub fn with_boot_after(mut self, after: Option<Duration>) -> Self {
        self.boot_after = after;
        self
    }

    /// Sets when the socket leaves `UNLAUNCHED`, after the script's start, and never before the page boots.
    /// Default: 150 ms; `None` is never.
    #[must_use]
    pub fn with_launch_after(mut self, after: Option<Duration>) -> Self {
        self.launch_after = after;
        self
    }

    /// Lets the page boot and launch during the load, before its first step.
    #[must_use]
    pub fn launched_at_once(self) -> Self {
        self.with_boot_after(Some(Duration::ZERO))
            .with_launch_after(Some(Duration::ZERO))
    }

    /// Gives this another name on the page: it works as before, under `<name>Renamed`.
    #[must_use]
    pub fn renamed(mut self, name: Name) -> Self {
        self.renamed.push(name);
        self
    }

    /// Makes this module throw if it runs before the page boots. It stays broken until the next load.
    #[must_use]
    pub fn breaks_before_boot(mut self, module: Name) -> Self {
        self.breaks_before_boot.push(module);
        self
    }

    /// Sets how long one QR code is shown before the next. Default: 20 s.
    #[must_use]
    pub fn with_qr_interval(mut self, interval: Duration) -> Self {
        self.qr_interval = interval;
        self
    }

    /// Sets how the QR code is shown. Default: [`QrForm::Text`].
    #[must_use]
    pub fn with_qr_form(mut self, form: QrForm) -> Self {
        self.qr_form = form;
        self
    }

    /// Keeps a `post-logout` mark when an account is linked.
    #[must_use]
    pub fn with_kept_post_logout(mut self) -> Self {
        self.keeps_post_logout = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::constants::PHONE;
    use super::*;

    #[test]
    fn a_scenario_serialises_as_the_page_reads_it() {
        let scenario = Scenario::new(Generation::WaJs)
            .with_stale_storage(Stale::PostLogout)
            .with_boot_after(None)
            .renamed(Name::GetMaybeMePnUser)
            .renamed(Name::DebugVersion)
            .breaks_before_boot(Name::SocketModel)
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
                "after_signal": [], "stale_storage": "post_logout", "wid_form": "object", "storage": true,
                "csp_strict": false, "replaced_builtins": false, "oversize": false,
                "proxy": false, "injected_store": false, "injected_wpp": false,
                "boot_after": null, "launch_after": {"secs": 0, "nanos": 150_000_000},
                "renamed": ["getMaybeMePnUser", "Debug.VERSION"],
                "breaks_before_boot": ["WAWebSocketModel"],
                "qr_interval": {"secs": 20, "nanos": 0}, "qr_form": "text", "keeps_post_logout": false,
            })
        );
    }
}
