//! Pages read by their own DevTools socket: contracts, faults, and the traces that stay behind.
#![cfg(all(
    feature = "cdp",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "cdp/documents.rs"]
mod documents;
#[path = "cdp/fake.rs"]
mod fake;
#[path = "cdp/sockets.rs"]
mod sockets;
mod support;

use serde_json::json;
use support::chrome::Chrome;
use support::time::random_moment;
use support::traces::{TRACES, assert_same, loaded, reloaded};
use support::{
    ENDLESS, LIMIT, Outcome, alive, assert_early, cancel_after, extract_during, four_seconds,
    looks, ms, policy, ready_on_signal, signal, until_async, within_limit,
};
use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, CdpSource, Overrides, ReaderId, Target};
use whatsapp_phone::source::webdriver::{Page, WebDriverSource};
use whatsapp_phone::source::{Assurance, InfoSource, Look};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};
use whatsapp_phone::{ErrorKind, ExtractError, Extractor, RetryPolicy};

const NUMBER: &str = "628110000041";

fn options(origin: &str) -> AttachOptions {
    let options = AttachOptions::default().target(Target::at(origin).unwrap());
    options.deadline(LIMIT)
}

async fn extract(page: &CdpPage, policy: RetryPolicy) -> Outcome {
    let extractor = Extractor::builder()
        .source(CdpSource::all(page))
        .policy(policy);
    extractor.build().unwrap().extract().await
}

/// Looks with the usual timeout, for longer than a page may be silent.
fn longer_than_silence() -> RetryPolicy {
    policy().to_builder().attempts(20).build().unwrap()
}

/// A page in a Chrome of another program, attached.
struct Scene {
    chrome: Chrome,
    stand_in: StandIn,
    tab: String,
    page: CdpPage,
}

impl Scene {
    async fn open(scenario: Scenario) -> Self {
        let chrome = Chrome::start().await;
        let stand_in = StandIn::start(scenario).await.unwrap();
        let tab = chrome.open(&stand_in.url());
        loaded(&chrome, &tab).await;
        let page = CdpPage::attach(chrome.address.clone(), options(stand_in.origin())).await;
        Self {
            page: page.unwrap(),
            chrome,
            stand_in,
            tab,
        }
    }

    async fn attach(&self) -> CdpPage {
        let options = options(self.stand_in.origin());
        let attached = CdpPage::attach(self.chrome.address.clone(), options).await;
        attached.unwrap()
    }

    /// Returns the outcome of an extraction in which, from its third look on, this happens.
    async fn during(&self, policy: RetryPolicy, act: impl AsyncFnOnce(&Self)) -> Outcome {
        extract_during(CdpSource::all(&self.page), policy, act(self)).await
    }

    async fn fault(&self, policy: RetryPolicy, act: impl AsyncFnOnce(&Self)) -> ExtractError {
        self.during(policy, act).await.unwrap_err()
    }

    async fn traces(&self) -> serde_json::Value {
        self.chrome.eval(&self.tab, TRACES).await
    }

    /// Waits until so many slices run at once: each listens to two events of the page.
    async fn slices_run(&self, before: &serde_json::Value, count: u64) {
        let listeners = before[2].as_u64().unwrap() + 2 * count;
        until_async("the slices run", async || {
            self.traces().await[2] == listeners
        })
        .await;
    }
}

#[track_caller]
fn assert_number(outcome: Outcome) {
    assert_eq!(outcome.unwrap().phone.reveal(), NUMBER);
}

#[tokio::test]
async fn a_page_is_read_and_keeps_nothing() {
    let scene = Scene::open(Scenario::ready_after(Generation::Current, ms(3000))).await;
    let decoy = scene.chrome.open(&scene.stand_in.decoy_url());
    let state = "[document.visibilityState, document.hasFocus()]";
    until_async("the other tab is in front", async || {
        scene.chrome.eval(&decoy, "document.hasFocus()").await == true
    })
    .await;
    let other = scene.chrome.eval(&decoy, state).await;
    let before = scene.traces().await;
    assert!(before.is_array(), "{before}");
    let mut owner = scene.chrome.drive(&scene.tab).await;
    owner.call("Page.enable", json!({})).await;
    owner.call("Runtime.enable", json!({})).await;
    owner.events.clear();

    let page = scene.attach().await;
    assert_number(extract(&page, policy()).await);
    assert_number(extract(&scene.page, policy()).await);
    page.close().await;
    scene.page.clone().close().await;
    assert_same(&before, &scene.traces().await);
    assert_eq!(scene.chrome.eval(&decoy, state).await, other);
    assert_eq!(scene.chrome.tabs().len(), 3);
    // Neither a navigation, nor a dialog, nor a context of ours.
    owner
        .call("Runtime.evaluate", json!({"expression": "1"}))
        .await;
    assert_eq!(owner.events, Vec::<String>::new());
    assert!(alive(scene.chrome.pid()));
}

#[tokio::test]
async fn waits_on_one_tab_do_not_end_each_other() {
    let scene = Scene::open(ready_on_signal()).await;
    let before = scene.traces().await;
    let second = scene.attach().await;
    let driver = support::driver().await;
    // By WebDriver commands, as through a driver on another machine.
    let third = Page::attach_at(
        driver.url(),
        scene.chrome.address.clone(),
        options(scene.stand_in.origin()).elsewhere(true),
    );
    let third = third.await.unwrap();
    let (first, second) = (CdpSource::all(&scene.page), CdpSource::all(&second));
    let third = WebDriverSource::all(&third);
    let wait = |source| {
        let source: &dyn InfoSource = source;
        source.wait(Assurance::Provisional, LIMIT)
    };
    let slices = async {
        scene.slices_run(&before, 3).await;
        scene.stand_in.signal();
    };
    let (first_look, second_look, third_look, ()) =
        tokio::join!(wait(&first), wait(&second), wait(&third), slices);
    for look in [first_look, second_look, third_look] {
        assert!(matches!(look, Ok(Look::Found(_))), "{look:?}");
    }
    drop((first, second, third));
    support::stop(driver).await;
    scene.page.clone().close().await;
    until_async("no hook is left", async || {
        let after = scene.traces().await;
        after[2] == before[2] && after[3] == before[3]
    })
    .await;
}

#[tokio::test]
async fn a_look_works_while_a_wait_is_pending() {
    let scene = Scene::open(Scenario::never()).await;
    let source = CdpSource::all(&scene.page);
    let wait = source.wait(Assurance::Confirmed, 10 * LIMIT);
    let looks = async {
        for _ in 0..20 {
            assert_eq!(source.probe().await, Ok(Look::NotYet));
        }
    };
    let looks_end_first = async {
        tokio::select! {
            biased;
            look = wait => panic!("{look:?}"),
            () = looks => {}
        }
    };
    within_limit("the looks end", looks_end_first).await;
}

#[tokio::test]
async fn a_reload_costs_no_answer() {
    let scene = Scene::open(Scenario::never()).await;
    let outcome = scene
        .during(policy(), async |it| {
            it.stand_in
                .set_scenario(Scenario::ready_after(Generation::Current, ms(500)));
            reloaded(&it.chrome, &it.tab).await;
        })
        .await;
    assert_number(outcome);
}

#[tokio::test]
async fn a_crashed_tab_is_reported_at_once_and_read_again_after_its_reload() {
    let scene = Scene::open(Scenario::never()).await;
    let mut owner = scene.chrome.drive(&scene.tab).await;
    let error = scene.fault(policy(), async |_| owner.crash().await).await;
    assert_early(&error, &[ErrorKind::PageClosed]);
    // Before a wait.
    let error = extract(&scene.page, policy()).await.unwrap_err();
    assert_early(&error, &[ErrorKind::PageClosed]);
    let blind = scene.attach().await;
    // Its socket was opened after the crash, and tells nothing of it.
    let error = extract(&blind, looks(3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error:?}");

    scene
        .stand_in
        .set_scenario(Scenario::ready(Generation::Current));
    owner.call("Page.reload", json!({})).await;
    until_async("the reloaded page is read", async || {
        CdpSource::all(&scene.page).probe().await.is_ok()
    })
    .await;
    assert_number(extract(&scene.page, policy()).await);
}

#[tokio::test]
async fn a_closed_tab_is_reported_and_the_one_in_its_place_is_read() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| it.chrome.close(&it.tab))
        .await;
    assert_early(&error, &[ErrorKind::PageClosed]);
    scene
        .stand_in
        .set_scenario(Scenario::ready(Generation::Current));
    scene.chrome.open(&scene.stand_in.url());
    until_async("the new tab is read", async || {
        matches!(
            CdpSource::all(&scene.page).probe().await,
            Ok(Look::Found(_))
        )
    })
    .await;
}

#[tokio::test]
async fn a_killed_browser() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| signal("-KILL", it.chrome.pid()))
        .await;
    assert_early(&error, &[ErrorKind::BrowserGone]);
}

#[tokio::test]
async fn a_stopped_browser_goes_on() {
    let scene = Scene::open(Scenario::ready_after(Generation::Current, ms(5000))).await;
    let error = scene
        .fault(four_seconds(), async |it| signal("-STOP", it.chrome.pid()))
        .await;
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    signal("-CONT", scene.chrome.pid());
    assert_number(extract(&scene.page, policy()).await);
}

#[tokio::test]
async fn an_open_dialog_is_reported_and_left_to_its_owner() {
    let scene = Scene::open(Scenario::never()).await;
    let mut owner = scene.chrome.drive(&scene.tab).await;
    owner.call("Page.enable", json!({})).await;
    let ask = json!({"expression": "setTimeout(() => confirm('Stay?'), 0)"});
    let error = scene
        .fault(longer_than_silence(), async |_| {
            owner.call("Runtime.evaluate", ask).await;
        })
        .await;
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error:?}");
    // Only an open dialog can be accepted.
    let accepted = owner.call("Page.handleJavaScriptDialog", json!({"accept": true}));
    assert!(accepted.await.is_object());
    until_async("the page is read again", async || {
        CdpSource::all(&scene.page).probe().await == Ok(Look::NotYet)
    })
    .await;
}

#[tokio::test]
async fn text_that_ends_within_an_emoji_changes_nothing() {
    let scene = Scene::open(Scenario::ready(Generation::Current)).await;
    let cut =
        "Object.defineProperty(require('WAWebConnModel').Conn, 'pushname', { value: 'a \\ud83d' })";
    scene.chrome.eval(&scene.tab, cut).await;
    assert_number(extract(&scene.page, policy()).await);
}

#[tokio::test]
async fn a_page_in_an_endless_loop() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(longer_than_silence(), async |it| {
            it.chrome.eval(&it.tab, ENDLESS).await;
        })
        .await;
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error:?}");
    within_limit("the page is left", scene.page.clone().close()).await;
}

#[tokio::test]
async fn a_reader_that_gives_fifty_megabytes_changes_nothing() {
    let scene = Scene::open(Scenario::ready(Generation::Current)).await;
    let overrides = Overrides::default().reader("long", "'1'.repeat(50 << 20) + '@c.us'");
    scene.page.set_overrides(&overrides).await.unwrap();
    assert_number(extract(&scene.page, policy()).await);
    let long = CdpSource::only(&scene.page, ReaderId::custom("long"));
    assert_eq!(long.probe().await, Ok(Look::NotYet));
    let invalid = Overrides::default().reader("invalid", "1 +");
    let failure = scene.page.set_overrides(&invalid).await.unwrap_err();
    support::assert_says(&failure, &["`invalid` is not a JavaScript expression"]);
}

#[tokio::test]
async fn a_page_with_replaced_built_ins_or_a_strict_csp_is_read() {
    let ready = || Scenario::ready_after(Generation::Current, ms(3000));
    for scenario in [ready().with_replaced_builtins(), ready().with_strict_csp()] {
        let scene = Scene::open(scenario).await;
        assert_number(extract(&scene.page, policy()).await);
    }
}

#[tokio::test]
async fn twenty_tabs_are_read_at_once() {
    let scene = Scene::open(Scenario::ready_after(Generation::Current, ms(8000))).await;
    let mut pages = Vec::new();
    for _ in 0..20 {
        let tab = scene.chrome.open(&scene.stand_in.url());
        let options = options(scene.stand_in.origin()).tab(tab);
        pages.push(
            CdpPage::attach(scene.chrome.address.clone(), options)
                .await
                .unwrap(),
        );
    }
    let waits = pages.iter().map(|page| extract(page, policy()));
    for outcome in futures_util::future::join_all(waits).await {
        assert_number(outcome);
    }
}

#[tokio::test]
async fn dropping_at_any_moment_leaves_nothing() {
    let scene = Scene::open(Scenario::never()).await;
    let before = scene.traces().await;
    for _ in 0..30 {
        let page = scene.attach().await;
        tokio::select! {
            outcome = extract(&page, policy()) => panic!("{outcome:?}"),
            () = random_moment(ms(300)) => {}
        }
    }
    for _ in 0..10 {
        cancel_after(ms(40), extract(&scene.page, policy())).await;
    }
    assert_eq!(CdpSource::all(&scene.page).probe().await, Ok(Look::NotYet));
    scene.page.clone().close().await;
    until_async("no trace is left", async || scene.traces().await == before).await;
}
