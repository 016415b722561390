//! The contracts of `InfoSource` and `LinkSource`, on pages in a real browser.
#![cfg(all(feature = "cdp", feature = "testkit", feature = "webdriver"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::chrome::Chrome;
use support::{LIMIT, Stage, callers_client, ms, within_limit};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::link::mock::MockLink;
use whatsapp_phone::link::{Bar, LinkSource, LinkState};
use whatsapp_phone::onboard::CurrentPage;
use whatsapp_phone::source::cdp::{CdpPage, CdpSource};
use whatsapp_phone::source::webdriver::{AttachOptions, Page, ReaderId, Target, WebDriverSource};
use whatsapp_phone::source::{Assurance, InfoSource};
use whatsapp_phone::testkit::contract::link::{self, LinkFixture, LinkScenario};
use whatsapp_phone::testkit::contract::{self, Fixture, SourceScenario};
use whatsapp_phone::testkit::standin::{
    FORMER_PHONE, Generation, LID, PHONE, Scenario, StandIn, Step,
};

/// Longer than it takes to make a scenario, on a busy machine too.
const PACE: Duration = ms(1000);

/// A page, and how it is asked.
struct Browser<'a> {
    stand_in: &'a StandIn,
    page: Driven<'a>,
    only: Option<ReaderId>,
}

/// A page by its driver.
enum Driven<'a> {
    WebDriver(Page),
    Cdp {
        page: CdpPage,
        chrome: &'a Chrome,
        tab: String,
    },
}

impl Driven<'_> {
    /// Loads this URL, on empty storage of the stand-in's origin.
    async fn goto(&self, url: &str, origin: &str) {
        match self {
            Self::WebDriver(page) => page.client().goto(url).await.unwrap(),
            Self::Cdp { chrome, tab, .. } => {
                // The document that is left continues for a moment.
                chrome.eval(tab, "window.isLeaving = true").await;
                // A wait that was dropped may look at the new document before its script empties the storage. The
                // account of the former scenario would then seem to be logged out in it.
                let storage =
                    serde_json::json!({ "origin": origin, "storageTypes": "local_storage" });
                chrome.cdp(tab, "Storage.clearDataForOrigin", storage).await;
                let params = serde_json::json!({ "url": url });
                chrome.cdp(tab, "Page.navigate", params).await;
                let is_loaded =
                    "!window.isLeaving && document.readyState == 'complete' && location.href";
                within_limit("the page is loaded", async {
                    loop {
                        let href = chrome.eval(tab, is_loaded).await;
                        if href.as_str().is_some_and(|href| href.starts_with(url)) {
                            return;
                        }
                    }
                })
                .await;
            }
        }
    }

    /// Runs a script of one turn.
    async fn execute(&self, script: &str) {
        match self {
            Self::WebDriver(page) => drop(page.client().execute(script, vec![]).await.unwrap()),
            Self::Cdp { chrome, tab, .. } => drop(chrome.eval(tab, script).await),
        }
    }

    async fn close_tab(&self) {
        match self {
            Self::WebDriver(page) => page.client().close_window().await.unwrap(),
            Self::Cdp { chrome, tab, .. } => chrome.close(tab),
        }
    }

    fn link_source(&self) -> Arc<dyn LinkSource> {
        match self {
            Self::WebDriver(page) => Arc::new(WebDriverSource::all(page)),
            Self::Cdp { page, .. } => Arc::new(CdpSource::all(page)),
        }
    }

    fn info_source(&self, only: Option<&ReaderId>) -> Arc<dyn InfoSource> {
        match (self, only.cloned()) {
            (Self::WebDriver(page), None) => Arc::new(WebDriverSource::all(page)),
            (Self::WebDriver(page), Some(reader)) => Arc::new(WebDriverSource::only(page, reader)),
            (Self::Cdp { page, .. }, None) => Arc::new(CdpSource::all(page)),
            (Self::Cdp { page, .. }, Some(reader)) => Arc::new(CdpSource::only(page, reader)),
        }
    }
}

#[async_trait::async_trait]
impl Fixture for Browser<'_> {
    async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>> {
        let mut url = self.stand_in.url();
        let scenario = match scenario {
            SourceScenario::Unlinked => Scenario::never(),
            SourceScenario::Number {
                assurance: Assurance::Provisional,
                after,
            } => {
                let pairing = Scenario::new(Generation::Current);
                pairing
                    .at(ms(0), Step::socket("PAIRING"))
                    .at(after, Step::me(PHONE))
            }
            // The one reader under test is of a page that shows its evidence, and cannot disagree
            // with itself.
            SourceScenario::Number {
                assurance: Assurance::Unverified,
                ..
            }
            | SourceScenario::Conflict
                if self.only.is_some() =>
            {
                return None;
            }
            SourceScenario::Number {
                assurance: Assurance::Unverified,
                after,
            } => Scenario::ready_after(Generation::ConnWid, after),
            SourceScenario::Number { after, .. } => {
                Scenario::ready_after(Generation::Current, after)
            }
            SourceScenario::LidOnly => Scenario::lid_only(),
            SourceScenario::Conflict => Scenario::disagree(FORMER_PHONE),
            SourceScenario::Broken => {
                url = self.stand_in.decoy_url();
                Scenario::never()
            }
            _ => return None,
        };
        self.stand_in.set_scenario(scenario.launched_at_once());
        self.page.goto(&url, self.stand_in.origin()).await;
        Some(self.page.info_source(self.only.as_ref()))
    }

    fn pace(&self) -> Duration {
        PACE
    }
}

/// The steps on a page by which a session gets into this state.
fn steps(state: LinkState) -> Vec<Step> {
    let (number, lid) = (Step::me(PHONE), Step::lid(LID));
    match state {
        // The server has not accepted the login yet.
        LinkState::Unknown => vec![Step::restore(), Step::socket("CONNECTED")],
        LinkState::Unlinked => vec![Step::Logout],
        LinkState::QrExpired => vec![Step::socket("UNPAIRED_IDLE")],
        LinkState::Linking => vec![Step::socket("PAIRING"), number],
        LinkState::Linked => vec![number, lid, Step::connected()],
        LinkState::Barred(bar) => vec![
            number,
            Step::socket(match bar {
                Bar::Conflict => "CONFLICT",
                Bar::ProxyBlock => "PROXYBLOCK",
                _ => "TOS_BLOCK",
            }),
        ],
        _ => panic!("give {state} its steps"),
    }
}

#[async_trait::async_trait]
impl LinkFixture for Browser<'_> {
    async fn source(&self, asked: LinkScenario) -> Option<Arc<dyn LinkSource>> {
        let scenario = Scenario::new(Generation::Current);
        let at = |scenario, after, state| {
            let steps = steps(state).into_iter();
            steps.fold(scenario, |made: Scenario, step| made.at(after, step))
        };
        let mut url = self.stand_in.url();
        let scenario = match asked {
            LinkScenario::Stays(LinkState::Unlinked) => Scenario::never(),
            LinkScenario::Stays(state) => at(scenario, ms(0), state),
            LinkScenario::Turns { from, to, after } => match (from, to) {
                (LinkState::Unlinked, _) => at(Scenario::never(), after, to),
                // A new QR code: there is no account to log out.
                (LinkState::QrExpired, LinkState::Unlinked) => {
                    at(scenario, ms(0), from).at(after, Step::socket("UNPAIRED"))
                }
                _ => at(at(scenario, ms(0), from), after, to),
            },
            LinkScenario::Reloads { .. } => Scenario::ready(Generation::Current),
            LinkScenario::Broken => {
                url = self.stand_in.decoy_url();
                scenario
            }
            LinkScenario::Gone => scenario,
            _ => return None,
        };
        self.stand_in.set_scenario(scenario.launched_at_once());
        self.page.goto(&url, self.stand_in.origin()).await;
        match asked {
            LinkScenario::Gone => self.page.close_tab().await,
            LinkScenario::Reloads { after } => {
                let reload = format!("setTimeout(() => location.reload(), {})", after.as_millis());
                self.page.execute(&reload).await;
            }
            _ => {}
        }
        Some(self.page.link_source())
    }

    fn pace(&self) -> Duration {
        PACE
    }

    fn reads_qr(&self) -> bool {
        true
    }

    fn names_documents(&self) -> bool {
        true
    }
}

/// Follows a scenario by its script, also as the page of a [`CurrentPage`].
struct Scripted(bool);

#[async_trait::async_trait]
impl LinkFixture for Scripted {
    async fn source(&self, scenario: LinkScenario) -> Option<Arc<dyn LinkSource>> {
        let shows = |page: MockLink, at, state| match state {
            LinkState::Unlinked => page.qr_at(at, "2@contract"),
            state => page.at(at, state),
        };
        let fails = |code| {
            let failure = ProtocolFailure::new(Site::WebDriverCommand, "as scripted");
            MockLink::new().failing_at(ms(0), failure.with_code(code))
        };
        let page = match scenario {
            LinkScenario::Stays(state) => shows(MockLink::new(), ms(0), state),
            LinkScenario::Turns { from, to, after } => {
                shows(shows(MockLink::new(), ms(0), from), after, to)
            }
            LinkScenario::Reloads { after } => {
                shows(MockLink::new(), ms(0), LinkState::Linked).reloads_at(after)
            }
            LinkScenario::Broken => fails("unexpected alert open"),
            LinkScenario::Gone => fails("no such window"),
            _ => return None,
        };
        let page = Arc::new(page);
        let current = CurrentPage::new("page");
        current.replace(Some(Arc::clone(&page)));
        Some(if self.0 { Arc::new(current) } else { page })
    }

    fn reads_qr(&self) -> bool {
        true
    }

    fn names_documents(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_scripted_page() {
    link::all(&Scripted(false)).await; // MockLink
    link::all(&Scripted(true)).await; // CurrentPage
    let hangs = MockLink::new().hanging_at(ms(0));
    assert!(tokio::time::timeout(PACE, hangs.qr()).await.is_err());
    assert!(hangs.calls()[0].is_qr);
}

async fn hold_link(stand_in: &StandIn, page: Driven<'_>) {
    let only = None;
    let browser = Browser {
        stand_in,
        page,
        only,
    };
    link::all(&browser).await; // WebDriverSource, CdpSource
}

async fn hold(stand_in: &StandIn, page: Driven<'_>, only: Option<ReaderId>) {
    contract::all(&Browser {
        stand_in,
        page,
        only,
    })
    .await;
}

#[tokio::test]
async fn all_readers_of_a_page_of_ours() {
    let stage = Stage::open(Scenario::never()).await;
    hold(&stage.stand_in, Driven::WebDriver(stage.page.clone()), None).await;
    // It closes the page.
    hold_link(&stage.stand_in, Driven::WebDriver(stage.page.clone())).await;
}

#[tokio::test]
async fn one_reader_of_a_page_of_ours() {
    let stage = Stage::open(Scenario::never()).await;
    let one = Some(ReaderId::MeUser);
    hold(&stage.stand_in, Driven::WebDriver(stage.page.clone()), one).await;
}

#[tokio::test]
async fn a_page_of_a_callers_client() {
    let stage = Stage::open(Scenario::never()).await;
    let client = callers_client(stage.driver.url()).await;
    let target = Target::at(stage.stand_in.origin()).unwrap();
    let page = Page::from_client(client.clone(), target);
    hold(&stage.stand_in, Driven::WebDriver(page.clone()), None).await;
    hold_link(&stage.stand_in, Driven::WebDriver(page)).await;
    // Its only window is closed: the session may have ended with it.
    let _ = client.close().await;
}

#[tokio::test]
async fn an_attached_page() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let target = Target::at(stand_in.origin()).unwrap();
    let options = AttachOptions::default().target(target).tab(tab);
    let options = options.deadline(LIMIT);
    let page = Page::attach(&driver, chrome.address.clone(), options)
        .await
        .unwrap();
    hold(&stand_in, Driven::WebDriver(page.clone()), None).await;
    hold_link(&stand_in, Driven::WebDriver(page)).await;
}

#[tokio::test]
async fn a_page_by_its_own_socket() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let options = AttachOptions::default().target(Target::at(stand_in.origin()).unwrap());
    let options = options.tab(&tab).deadline(LIMIT);
    let page = CdpPage::attach(chrome.address.clone(), options).await;
    let page = page.unwrap();
    let driven = || Driven::Cdp {
        page: page.clone(),
        chrome: &chrome,
        tab: tab.clone(),
    };
    hold(&stand_in, driven(), None).await;
    hold(&stand_in, driven(), Some(ReaderId::MeUser)).await;
    // It closes the page.
    hold_link(&stand_in, driven()).await;
}
