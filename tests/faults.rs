//! Faults of browsers, drivers and pages: each gives the right error in time and leaves nothing running.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use fantoccini::Client;
use support::chrome::Chrome;
use support::invalid_servers::{InvalidAnswer, invalid_server};
use support::{
    Counted, ENDLESS, LIMIT, Stage, alive, assert_early, cancel_after, extract_during,
    four_seconds, looks, ms, options, pid, policy, print_overrun, signal, until, within_limit,
};
use whatsapp_phone::fantoccini;
use whatsapp_phone::source::Assurance::Unverified;
use whatsapp_phone::source::webdriver::{AttachOptions, Page, Target, WebDriverSource};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn, Step};
use whatsapp_phone::{ErrorKind, ExtractError, Extractor, RetryPolicy};

const NUMBER: &str = "628110000041";

/// A session in which something is done while an extraction runs.
struct Scene {
    stage: Stage,
    client: Client,
    browser: u64,
    driver: u64,
}

impl Scene {
    async fn open(scenario: Scenario) -> Self {
        let stage = Stage::open(scenario).await;
        let client = stage.page.client();
        let (browser, driver) = (pid(&client), u64::from(stage.driver.id()));
        Self {
            stage,
            client,
            browser,
            driver,
        }
    }

    /// The error of an extraction in which, from its third look on, this happens.
    async fn fault(&self, policy: RetryPolicy, act: impl AsyncFnOnce(&Self)) -> ExtractError {
        let source = WebDriverSource::all(&self.stage.page);
        let outcome = extract_during(source, policy, act(self)).await;
        outcome.unwrap_err()
    }

    /// Nothing that was started is left.
    async fn assert_ends(self) {
        let Self {
            stage,
            browser,
            driver,
            ..
        } = self;
        drop(stage);
        until("driver and browser are gone", || {
            !alive(browser) && !alive(driver)
        })
        .await;
    }
}

#[tokio::test]
async fn a_tab_closed_by_its_owner() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| {
            it.client.close_window().await.map(drop).unwrap();
        })
        .await;
    // The only window: the browser goes with it.
    assert_early(&error, &[ErrorKind::PageClosed, ErrorKind::BrowserGone]);
    scene.assert_ends().await;
}

#[tokio::test]
async fn a_killed_browser() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| signal("-KILL", it.browser))
        .await;
    assert_early(&error, &[ErrorKind::BrowserGone]);
    scene.assert_ends().await;
}

#[tokio::test]
async fn a_killed_driver() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| signal("-KILL", it.driver))
        .await;
    assert_early(&error, &[ErrorKind::BrowserGone]);
    scene.assert_ends().await;
}

#[tokio::test]
async fn a_crashed_tab() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(policy(), async |it| {
            drop(it.client.goto("chrome://crash").await);
        })
        .await;
    assert_early(&error, &[ErrorKind::PageClosed]);
    scene.assert_ends().await;
}

#[tokio::test]
async fn the_crash_of_another_tab_changes_nothing() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready_after(Generation::Current, ms(2500)))
        .await
        .unwrap();
    let other = chrome.open(&stand_in.decoy_url());
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let target = Target::at(stand_in.origin()).unwrap();
    let options = AttachOptions::default().target(target).tab(tab);
    let options = options.deadline(LIMIT);
    let page = Page::attach(&driver, chrome.address.clone(), options)
        .await
        .unwrap();
    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let crash = async {
        source.looks(1).await;
        chrome.drive(&other).await.crash().await;
    };
    let (found, ()) = tokio::join!(extractor.extract(), crash);
    assert_eq!(found.unwrap().phone.reveal(), NUMBER);
}

#[tokio::test]
async fn reload_and_navigation_in_mid_look_cost_no_answer() {
    let stage = Stage::open(Scenario::never()).await;
    for at in [150, 420, 777] {
        stage.reload(Scenario::reload_at(ms(at), ms(300))).await;
        let found = stage.extract(Unverified, LIMIT).await.unwrap();
        assert_eq!(found.phone.reveal(), NUMBER);
    }
    // Its owner loads it again over and over.
    stage
        .reload(Scenario::never().at(ms(300), Step::Reload))
        .await;
    let source = Counted::new(WebDriverSource::all(&stage.page));
    // Each reload costs the look in it up to the script timeout, and more on a busy machine.
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let ready = async {
        source.looks(3).await;
        stage
            .stand_in
            .set_scenario(Scenario::ready(Generation::Current));
    };
    let (found, ()) = tokio::join!(extractor.extract(), ready);
    assert_eq!(found.unwrap().phone.reveal(), NUMBER);
}

#[tokio::test]
async fn an_open_dialog() {
    let scene = Scene::open(Scenario::never()).await;
    let ask = "setTimeout(() => alert('Stay?'), 0)";
    let error = scene
        .fault(looks(6), async |it| {
            drop(it.client.execute(ask, vec![]).await);
        })
        .await;
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error:?}");
    assert_eq!(
        scene.stage.page.client().get_alert_text().await.unwrap(),
        "Stay?"
    );
    scene.assert_ends().await;
}

#[tokio::test]
async fn a_download_changes_nothing() {
    let stage = Stage::open(Scenario::ready_after(Generation::Current, ms(900))).await;
    let download = "const link = document.createElement('a'); link.download = 'x.txt';
        link.href = 'data:text/plain,x'; document.body.append(link); link.click(); link.remove();";
    let source = Counted::new(WebDriverSource::all(&stage.page));
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let prompt = async {
        source.looks(1).await;
        stage.page.client().execute(download, vec![]).await.unwrap();
    };
    let (found, ()) = tokio::join!(extractor.extract(), prompt);
    assert_eq!(found.unwrap().phone.reveal(), NUMBER);
}

#[tokio::test]
async fn a_page_in_an_endless_loop() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(four_seconds(), async |it| {
            let client = it.client.clone();
            // The loop may begin before the answer is sent.
            tokio::spawn(async move { client.execute(ENDLESS, vec![]).await });
        })
        .await;
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    cancel_after(ms(2000), scene.stage.page.client().title()).await;
    scene.assert_ends().await;
}

#[tokio::test]
async fn a_stopped_browser_and_a_stopped_driver() {
    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(four_seconds(), async |it| signal("-STOP", it.browser))
        .await;
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    scene.assert_ends().await;

    let scene = Scene::open(Scenario::never()).await;
    let error = scene
        .fault(four_seconds(), async |it| signal("-STOP", it.driver))
        .await;
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    scene.assert_ends().await;
}

#[tokio::test]
async fn closing_a_stuck_page_delays_no_other() {
    let scene = Scene::open(Scenario::never()).await;
    signal("-STOP", scene.browser);
    let browser = scene.browser;
    within_limit("the page is closed", scene.stage.page.clone().close()).await;
    until("the browser is gone", || !alive(browser)).await;
    scene.assert_ends().await;
}

#[tokio::test]
async fn detaching_leaves_a_stuck_page_and_its_browser_unchanged() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let target = Target::at(stand_in.origin()).unwrap();
    let options = AttachOptions::default().target(target).deadline(LIMIT);
    let page = Page::attach(&driver, chrome.address.clone(), options)
        .await
        .unwrap();
    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder()
        .source(source.clone())
        .policy(four_seconds());
    let extractor = extractor.build().unwrap();
    let hang = async {
        source.looks(1).await;
        chrome.eval(&tab, ENDLESS).await;
    };
    let (outcome, ()) = tokio::join!(extractor.extract(), hang);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
    within_limit("the page is closed", page.close()).await;
    // It is stuck, and was left so.
    cancel_after(ms(2000), chrome.eval(&tab, "1")).await;
    assert!(alive(chrome.pid()));
    assert_eq!(chrome.tabs().len(), 2);
}

#[tokio::test]
async fn a_driver_with_invalid_answers() {
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    for invalid_answer in [
        InvalidAnswer::Silence,
        InvalidAnswer::HalfAnAnswer,
        InvalidAnswer::EndlessBytes,
        InvalidAnswer::FiftyMegabytes,
        InvalidAnswer::NotJson,
        InvalidAnswer::NotUtf8,
        InvalidAnswer::HangsUp,
    ] {
        let before = resident();
        let url = invalid_server(invalid_answer, stand_in.url()).await;
        let page = Page::open_at(&url, options(&stand_in.url())).await.unwrap();
        let policy = match invalid_answer {
            InvalidAnswer::NotUtf8 | InvalidAnswer::HangsUp => policy(),
            _ => RetryPolicy::builder().deadline(ms(2500)).build().unwrap(),
        };
        let deadline = policy.deadline();
        let extractor = Extractor::builder()
            .source(WebDriverSource::all(&page))
            .policy(policy);
        let extractor = extractor.build().unwrap();
        let outcome = print_overrun(deadline, extractor.extract()).await;
        let error = outcome.unwrap_err();
        let kinds: &[_] = match invalid_answer {
            // The client's own task ends over it: this session is lost, the driver may live.
            InvalidAnswer::NotUtf8 => &[ErrorKind::PageClosed],
            InvalidAnswer::HangsUp => &[ErrorKind::BrowserGone],
            _ => &[ErrorKind::NotReady],
        };
        assert!(
            kinds.contains(&error.kind()),
            "{invalid_answer:?}: {error:?}"
        );
        let grown = resident().saturating_sub(before);
        assert!(grown < 256 << 20, "{invalid_answer:?} took {grown} bytes");
    }
}

#[tokio::test]
async fn twenty_tabs_on_one_driver() {
    let chrome = Arc::new(Chrome::start().await);
    let driver = Arc::new(support::driver().await);
    let sessions = (0..20_u64).map(|n| {
        let (chrome, driver) = (Arc::clone(&chrome), Arc::clone(&driver));
        tokio::spawn(async move {
            let number = format!("6281100000{n:02}@c.us");
            let scenario = Scenario::new(Generation::Current).at(ms(100 * n), Step::me(&number));
            let scenario = scenario.at(ms(100 * n), Step::connected());
            let stand_in = StandIn::start(scenario).await.unwrap();
            let tab = chrome.open(&stand_in.url());
            let target = Target::at(stand_in.origin()).unwrap();
            let options = AttachOptions::default().target(target).tab(tab);
            let options = options.deadline(LIMIT);
            let page = Page::attach(&driver, chrome.address.clone(), options)
                .await
                .unwrap();
            let extractor = Extractor::builder().source(WebDriverSource::all(&page));
            let found = extractor
                .policy(policy())
                .build()
                .unwrap()
                .extract()
                .await
                .unwrap();
            assert_eq!(found.phone.reveal(), format!("6281100000{n:02}"));
            page.close().await;
        })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.unwrap();
    }
    assert_eq!(chrome.tabs().len(), 21);
}

#[tokio::test]
async fn dropped_at_two_hundred_moments() {
    let stage = Stage::open(Scenario::never()).await;
    let mut random = 0x9e37_79b9_u64;
    for round in 0..200 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Now and then deep in a slice.
        let most = if round % 10 == 0 { 900 } else { 60 };
        let moment = ms((random >> 33) % most);
        cancel_after(moment, stage.extract(Unverified, LIMIT)).await;
    }
    // A look waits for one slice at most, and for nothing that was given up.
    let start = tokio::time::Instant::now();
    let client = stage.page.client();
    let title = within_limit("the driver is free", client.title()).await;
    title.unwrap();
    println!("driver free after {:?}", start.elapsed());
    stage.reload(Scenario::ready(Generation::Current)).await;
    let found = stage.extract(Unverified, LIMIT).await.unwrap();
    assert_eq!(found.phone.reveal(), NUMBER);
}
