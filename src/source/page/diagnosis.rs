//! [`Diagnosis`]: which readers and guards work on a page, and what follows.

use std::fmt;

use serde::Serialize;

use super::decision::{Observation, Standing};
use super::envelope::Details;
use super::evidence::describe;
use super::losses::{GETTERS, losses};
use super::overrides::Guard;
use super::version::{MAX_VERSION, version};
use crate::source::{Assurance, Look, PageState};
use crate::text::clean;

/// The report of [`Page::diagnose`](crate::source::webdriver::Page::diagnose). Its `Display` is a table, its
/// JSON has the same fields. Numbers and JIDs are masked in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Whether the page gives its number with all the assurance that its generation can have.
    pub is_healthy: bool,
    /// The conclusion, in words.
    pub verdict: String,
    /// The assurance of the number, if there is one.
    pub assurance: Option<Assurance>,
    /// The reader of the number, if there is one.
    pub reader: Option<String>,
    /// The state that the page shows in place of an account that can be trusted.
    pub page_state: Option<PageState>,
    /// Every reader, in the order of precedence.
    pub readers: Vec<Finding>,
    /// Every guard.
    pub guards: Vec<Finding>,
    /// The modules and getters by which the first built-in reader asks WhatsApp's own code. Which of them a
    /// page has depends on its generation.
    pub getters: Vec<Finding>,
    /// The generation of WhatsApp Web.
    pub generation: &'static str,
    /// The version of WhatsApp Web, if the page names it.
    pub whatsapp_version: Option<String>,
    /// The library that has injected itself into the page, if there is one, with its version if it names it.
    pub library: Option<String>,
    /// The version of the WebDriver server.
    pub driver_version: Option<String>,
    /// The version of the browser.
    pub browser_version: Option<String>,
    /// Whether driver and browser are of the same major version.
    pub versions_match: Option<bool>,
}

/// One reader, guard or getter on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stable name of the reader or guard, or the name of the getter.
    pub name: String,
    /// Whether the page has it. A reader is present if it answered, even `nobody`.
    pub is_present: bool,
    /// Its answer, masked.
    pub gave: Option<String>,
}

impl Finding {
    fn new(name: impl Into<String>, is_present: bool, gave: Option<String>) -> Self {
        Self {
            name: name.into(),
            is_present,
            gave,
        }
    }
}

impl Diagnosis {
    /// Makes a diagnosis from a look that was made with details.
    pub(crate) fn new(
        observation: &Observation,
        driver_version: Option<String>,
        browser_version: Option<String>,
    ) -> Self {
        let details = observation.envelope().details.clone().unwrap_or_default();
        let look = observation.look(None);
        let (assurance, reader) = match &look {
            Look::Found(me) => (Some(me.assurance), Some(me.reader.to_string())),
            _ => (None, None),
        };
        let standing = observation.standing();
        let is_healthy =
            assurance.is_some() && matches!(standing, Standing::Confirmed | Standing::Old);
        let versions_match = driver_version
            .as_deref()
            .zip(browser_version.as_deref())
            .map(|(driver, browser)| major(driver) == major(browser));
        let mut sentences = vec![outcome(&look, standing, observation.page_state())];
        sentences.extend(losses(observation, &details));
        if versions_match == Some(false) {
            sentences
                .push("driver and browser are of different versions: install matching ones".into());
        }
        Self {
            is_healthy,
            verdict: sentences.join("; "),
            assurance,
            reader,
            page_state: observation.page_state(),
            readers: readers(observation),
            guards: guards(observation, &details),
            getters: getters(&details),
            generation: generation(observation, &details),
            whatsapp_version: version(details.version.as_ref()),
            library: library(&details),
            driver_version,
            browser_version,
            versions_match,
        }
    }
}

/// Returns the first sentence of the verdict: the number, or why there is none.
fn outcome(look: &Look, standing: Standing, state: Option<PageState>) -> String {
    let advice = state.map(PageState::advice);
    match look {
        Look::Found(me) => {
            let number = format!("the number comes from {} and is `{}`", me.reader, me.assurance);
            match standing {
                Standing::Unverified(missing) => format!("{number}: {}", missing.missing()),
                Standing::Old => format!("{number}: an old WhatsApp Web gives no evidence"),
                Standing::Counting { missing, left, .. } => format!(
                    "{number}: {}; it rises if the page stays unchanged for {} s more",
                    missing.missing(),
                    left.as_secs() + 1
                ),
                Standing::Confirmed => number,
                _ => format!("{number}: {}", advice.unwrap_or("it is not confirmed")),
            }
        }
        Look::LidOnly(me) => format!(
            "no reader gives the number; the LID comes from {}: give the page a new reader by its overrides",
            me.reader
        ),
        Look::Conflict => {
            "two live readers name different accounts, so neither is returned".to_owned()
        }
        Look::NotYet if standing == Standing::Confirmed => {
            "no reader gives the number of a page that is connected: give it a new reader by its overrides".to_owned()
        }
        Look::NotYet => format!("there is no number: {}", advice.unwrap_or("no reader gives one")),
    }
}

fn readers(observation: &Observation) -> Vec<Finding> {
    let page = observation.envelope();
    let rows = page.readers.iter().enumerate().map(|(i, reader)| {
        let answer = page.rows.get(&i).map(|row| describe(reader, row));
        let (is_present, gave) = answer.unwrap_or_default();
        Finding::new(reader.name.clone(), is_present, gave)
    });
    rows.collect()
}

fn guards(observation: &Observation, details: &Details) -> Vec<Finding> {
    let page = observation.envelope();
    let socket = page.socket.as_ref();
    let shown = |value: Option<bool>| value.map(|value| value.to_string());
    let guards = Guard::ALL.iter().map(|guard| {
        let (is_present, gave) = match guard {
            Guard::RegistrationModule => (details.has_registration_module, None),
            Guard::RegistrationTest => (page.registered.is_some(), shown(page.registered)),
            Guard::SocketModule => (details.has_socket_module, None),
            Guard::Socket => (socket.is_some(), None),
            Guard::SocketState => (
                page.state().is_some(),
                page.state().map(|state| clean(state, MAX_VERSION)),
            ),
            Guard::SocketSynced => {
                let synced = socket.and_then(|socket| socket.synced);
                (synced.is_some(), shown(synced))
            }
            Guard::BootMarker => (details.has_boot_marker, version(details.version.as_ref())),
            Guard::NoiseKey => (page.storage.noise, None),
            Guard::NumberKey => (page.storage.me, None),
            Guard::LidKey => (details.has_lid_key, None),
            Guard::LogoutKey => (details.has_logout_key, None),
        };
        Finding::new(guard.as_str(), is_present, gave)
    });
    guards.collect()
}

fn getters(details: &Details) -> Vec<Finding> {
    let modules = [
        ("WAWebUserPrefsMeUser", details.has_me_module),
        ("WAWebConnModel", details.has_conn_module),
    ];
    let getters = GETTERS.map(|name| (name, details.has_getter(name)));
    let all = modules.into_iter().chain(getters);
    all.map(|(name, is_present)| Finding::new(name, is_present, None))
        .collect()
}

fn generation(observation: &Observation, details: &Details) -> &'static str {
    match observation.envelope() {
        _ if details.has_number_getter() => "2.3000 since September 2025",
        _ if details.has_old_getter() => "2.3000 until August 2025",
        _ if details.has_require => "2.3000 with unknown getters",
        page if page.is_current => "current, without `require`",
        _ if details.has_store_user => "multi-device, webpack (2021 - 2024)",
        _ if details.has_store_conn => "single device (until 2021)",
        _ => "unknown",
    }
}

fn library(details: &Details) -> Option<String> {
    if details.has_wpp {
        let version = version(details.wpp_version.as_ref()).unwrap_or_default();
        return Some(format!("wa-js {version}").trim_end().to_owned());
    }
    let name = match details {
        Details {
            has_store: false, ..
        } => return None,
        Details {
            has_store_me: true, ..
        } => "open-wa (`Store.Me`)",
        Details {
            has_store_user: true,
            ..
        } => "whatsapp-web.js until 1.34.6 (`Store.User`)",
        Details {
            has_store_conn: true,
            ..
        } => "whatsapp-web.js until 1.15 (`Store.Conn`)",
        _ => "a library with a `Store` of its own, for instance venom",
    };
    Some(name.to_owned())
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("reader", &self.readers),
            ("guard", &self.guards),
            ("getter", &self.getters),
        ];
        for (title, findings) in parts {
            writeln!(f, "{title:<26} {:<8} gave", "present")?;
            for Finding {
                name,
                is_present,
                gave,
            } in findings
            {
                let present = if *is_present { "yes" } else { "no" };
                let gave = gave.as_deref().unwrap_or("-");
                writeln!(f, "{name:<26} {present:<8} {gave}")?;
            }
            writeln!(f)?;
        }
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
        writeln!(
            f,
            "WhatsApp Web  {} ({})",
            known(&self.whatsapp_version),
            self.generation
        )?;
        writeln!(
            f,
            "library       {}",
            self.library.as_deref().unwrap_or("none")
        )?;
        let matches = match self.versions_match {
            Some(true) => "they match",
            Some(false) => "they do not match",
            None => "not compared",
        };
        let (driver, browser) = (known(&self.driver_version), known(&self.browser_version));
        writeln!(f, "driver        {driver}, browser {browser}: {matches}")?;
        if let Some(state) = self.page_state {
            writeln!(f, "page state    {state}")?;
        }
        let health = if self.is_healthy {
            "healthy"
        } else {
            "not healthy"
        };
        write!(f, "verdict       {health}: {}", self.verdict)
    }
}
