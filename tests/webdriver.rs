//! Pages, guests and faults with real Chromium and ChromeDriver.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{
    LIMIT, Stage, alive, callers_client, cancel_after, looks, ms, options, pid, policy, until,
    until_async,
};
use whatsapp_phone::extract::{ErrorKind, ExtractError, Extractor};
use whatsapp_phone::extract_phone_safely;
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance::Unverified;
use whatsapp_phone::source::InfoSource;
use whatsapp_phone::source::webdriver::{Page, ReaderId, Target, WebDriverSource};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn, Step};

const LONG: Duration = LIMIT;

#[tokio::test]
async fn a_callers_client_is_only_read() {
    let stand_in = StandIn::start(Scenario::ready_after(Generation::Current, ms(300)))
        .await
        .unwrap();
    let driver = support::driver().await;
    let client = callers_client(driver.url()).await;
    client.goto(&stand_in.decoy_url()).await.unwrap();
    let right = client.new_window(true).await.unwrap().handle;
    let before = (
        client.windows().await.unwrap(),
        client.get_timeouts().await.unwrap(),
    );

    let page = Page::from_client(client.clone(), Target::at(stand_in.origin()).unwrap());
    let extractor = |policy| {
        let extractor = Extractor::builder().source(WebDriverSource::all(&page));
        extractor.policy(policy).build().unwrap()
    };
    // Its current window is the decoy: that is not switched away from, and not believed.
    assert_eq!(
        extractor(looks(3)).extract().await.unwrap_err().kind(),
        ErrorKind::NotReady
    );
    assert_ne!(client.window().await.unwrap(), right);

    client.switch_to_window(right.clone()).await.unwrap();
    client.goto(&stand_in.url()).await.unwrap();
    let found = extractor(policy()).extract().await.unwrap();
    assert_eq!(found.phone.reveal(), "628110000041");
    let after = (
        client.windows().await.unwrap(),
        client.get_timeouts().await.unwrap(),
    );
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(client.window().await.unwrap(), right);

    // Letting the page go leaves the caller's session and windows alone.
    drop(page);
    assert_eq!(client.windows().await.unwrap().len(), 2);
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_page_of_ours_ends_with_its_last_clone_and_the_driver_goes_on() {
    let stage = Stage::open(Scenario::ready(Generation::Current)).await;
    let browser = pid(&stage.page.client());
    let source = WebDriverSource::all(&stage.page);
    let Stage {
        stand_in,
        page,
        driver,
    } = stage;
    drop(page);
    assert!(alive(browser), "a source still holds the page");
    drop(source);
    until("the browser ends with its page", || !alive(browser)).await;

    let page = Page::open(&driver, options(&stand_in.url())).await.unwrap();
    let browser = pid(&page.client());
    page.close().await;
    until("the browser ends when its page is closed", || {
        !alive(browser)
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_the_host_ends_driver_and_browser() {
    let (sent, received) = tokio::sync::oneshot::channel();
    let host = tokio::spawn(async move {
        let stage = Stage::open(Scenario::never()).await;
        let ids = (u64::from(stage.driver.id()), pid(&stage.page.client()));
        sent.send(ids).unwrap();
        panic!("the host's own bug");
    });
    let (driver, browser) = received.await.unwrap();
    assert!(host.await.unwrap_err().is_panic());
    until("driver and browser end with their host", || {
        !alive(driver) && !alive(browser)
    })
    .await;
}

#[tokio::test]
async fn a_session_on_a_driver_elsewhere_is_ended_with_its_page() {
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let driver = support::driver().await;
    let page = Page::open_at(driver.url(), options(&stand_in.url()))
        .await
        .unwrap();
    let browser = pid(&page.client());
    let extractor = Extractor::builder()
        .source(WebDriverSource::all(&page))
        .policy(policy())
        .build()
        .unwrap();
    assert_eq!(
        extractor.extract().await.unwrap().phone.reveal(),
        "628110000041"
    );
    drop((page, extractor));
    until("the session ends with its page", || !alive(browser)).await;
}

#[tokio::test]
async fn an_error_of_opening_names_its_cause() {
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let url = stand_in.url();
    let code = |error: ExtractError| (error.code(), error.attempts());
    let misconfigured = ("misconfigured", 0);

    let unreachable = Page::open_at("http://127.0.0.1:9/", options(&url))
        .await
        .unwrap_err();
    assert!(
        unreachable
            .message()
            .contains("no WebDriver server answers at"),
        "{unreachable}"
    );
    assert_eq!(code(unreachable.into()), misconfigured);
    let not_a_url = Page::open_at("chromedriver", options(&url))
        .await
        .unwrap_err();
    assert!(
        not_a_url.message().contains("is not a WebDriver URL"),
        "{not_a_url}"
    );
    let not_a_driver = Page::open_at(&url, options(&url)).await.unwrap_err();
    assert_eq!(code(not_a_driver.into()), misconfigured);

    let driver = support::driver().await;
    let elsewhere = options(&url).target(Target::default());
    let refused = Page::open(&driver, elsewhere).await.unwrap_err();
    assert!(
        refused.message().contains("the URL to open is not at"),
        "{refused}"
    );
    let no_browser = options(&url).browser("/nonexistent/chromium");
    let refused = Page::open(&driver, no_browser).await.unwrap_err();
    assert_eq!(code(refused.into()), misconfigured);
    let late = Page::open(&driver, options(&url).deadline(ms(1)))
        .await
        .unwrap_err();
    assert_eq!(late.code(), Some("timeout"));

    // A redirect to another origin is no page of ours, whether it comes while the page is opened or later.
    let moved = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let away = Step::Navigate { url: moved.url() };
    stand_in.set_scenario(Scenario::never().at(ms(0), away));
    let code = match Page::open(&driver, options(&url)).await {
        Err(refused) => refused.code().map(str::to_owned),
        Ok(page) => {
            let extractor = Extractor::builder().source(WebDriverSource::all(&page));
            let extractor = extractor.policy(looks(10)).build().unwrap();
            let error = extractor.extract().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotReady, "{error:?}");
            error.failures()[0].failure.code().map(str::to_owned)
        }
    };
    let codes = ["misconfigured", "wrong origin"];
    assert!(codes.contains(&code.as_deref().unwrap()), "{code:?}");
}

#[tokio::test]
async fn an_extraction_dropped_at_any_moment_leaves_the_driver_good() {
    let stage = Stage::open(Scenario::never()).await;
    for cut in [0, 1, 3, 10, 50, 200, 399, 401, 500, 900] {
        cancel_after(ms(cut), stage.extract(Unverified, LONG)).await;
    }
    stage.reload(Scenario::ready(Generation::Current)).await;
    let found = stage.extract(Unverified, LONG).await.unwrap();
    assert_eq!(found.phone.reveal(), "628110000041");
}

#[tokio::test]
async fn extractions_that_poll_and_that_wait_share_a_page() {
    let stage = Stage::open(Scenario::never()).await;
    let quick = RetryPolicy::classic()
        .to_builder()
        .initial_delay(ms(0))
        .interval(ms(30));
    let polls = quick.unlimited_attempts().deadline(LONG).build().unwrap();
    let waits = policy();
    let extract = |policy| {
        let source = WebDriverSource::all(&stage.page);
        let extractor = Extractor::builder()
            .source(source)
            .policy(policy)
            .build()
            .unwrap();
        async move { extractor.extract().await.unwrap() }
    };
    let cut = async {
        for _ in 0..5 {
            cancel_after(ms(130), extract(policy())).await;
        }
        let ready = Scenario::ready(Generation::Current);
        stage.stand_in.set_scenario(ready);
        // A look that takes too long is given up, and the client of that time with it.
        until_async("the page is loaded anew", async || {
            let client = stage.page.client();
            client.goto(&stage.stand_in.url()).await.is_ok()
        })
        .await;
    };
    let (polled, waited, ()) = tokio::join!(extract(polls), extract(waits), cut);
    assert_eq!(polled.phone, waited.phone);
}

#[tokio::test]
async fn an_earlier_number_is_never_the_result_of_a_later_extraction() {
    let stage = Stage::open(Scenario::ready(Generation::Current)).await;
    let old = stage.extract(Unverified, LONG).await.unwrap();
    // Another account is linked on the same page: one source that has no reader here, one that has.
    let other = "628990000099@c.us";
    let scenario = Scenario::new(Generation::Current).at(ms(0), Step::me(other));
    stage.reload(scenario.at(ms(0), Step::connected())).await;
    let sources: [Arc<dyn InfoSource>; 2] = [
        Arc::new(WebDriverSource::only(&stage.page, ReaderId::ConnMe)),
        Arc::new(WebDriverSource::only(&stage.page, ReaderId::MeUser)),
    ];
    let found = extract_phone_safely(&sources, &policy()).await.unwrap();
    assert_eq!(found.phone.reveal(), "628990000099");
    assert_ne!(found.phone, old.phone);
}

#[tokio::test]
async fn a_page_that_a_clone_of_it_closes_is_a_closed_page() {
    let stage = Stage::open(Scenario::never()).await;
    let source = support::Counted::new(WebDriverSource::all(&stage.page));
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let close = async {
        source.looks(2).await;
        stage.page.clone().close().await;
    };
    let (outcome, ()) = tokio::join!(extractor.extract(), close);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PageClosed, "{error:?}");
}

#[tokio::test]
async fn a_wait_leaves_nothing_behind_in_the_page() {
    let stage = Stage::open(Scenario::never()).await;
    let traces = || async {
        let script = "const names = []; for (const name in window) if (!name.startsWith('cdc_')) names.push(name);
            const socket = window.require('WAWebSocketModel').Socket;
            const own = Object.getOwnPropertyDescriptor(Storage.prototype, 'setItem');
            return [names, Object.keys(localStorage), String(own.value), own.writable, own.enumerable,
                own.configurable, Object.values(socket._events ?? {}).flat().length];";
        let mut found = serde_json::Value::Null;
        // On a busy machine one may run into the session's script timeout.
        until_async("the page answers", async || {
            let traces = stage.page.client().execute(script, vec![]).await;
            traces.map(|traces| found = traces).is_ok()
        })
        .await;
        found
    };
    let before = traces().await;
    assert!(before.to_string().contains("[native code]"));
    // Ended by its deadline, and cut short in mid-slice: clean once the slice under way is over.
    let assert_clean = || until_async("no trace is left", async || traces().await == before);
    let short = RetryPolicy::builder().deadline(ms(900)).build().unwrap();
    let source = WebDriverSource::all(&stage.page);
    let outcome = stage.extract_by(source, short, Unverified).await;
    outcome.unwrap_err();
    assert_clean().await;
    cancel_after(ms(650), stage.extract(Unverified, LONG)).await;
    assert_clean().await;
}

#[tokio::test]
async fn sources_of_many_pages_on_one_driver_do_not_meet() {
    let driver = Arc::new(support::driver().await);
    let sessions = (0..6_u64).map(|n| {
        let driver = Arc::clone(&driver);
        tokio::spawn(async move {
            let number = format!("62811000004{n}@c.us");
            let scenario = Scenario::new(Generation::Current);
            let scenario = scenario
                .at(
                    ms(200 * n),
                    whatsapp_phone::testkit::standin::Step::me(&number),
                )
                .at(
                    ms(200 * n),
                    whatsapp_phone::testkit::standin::Step::connected(),
                );
            let stand_in = StandIn::start(scenario).await.unwrap();
            let page = Page::open(&driver, options(&stand_in.url())).await.unwrap();
            let extractor = Extractor::builder().source(WebDriverSource::all(&page));
            let extractor = extractor.policy(policy()).build().unwrap();
            let found = extractor.extract().await.unwrap();
            assert_eq!(found.phone.reveal(), format!("62811000004{n}"));
        })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.unwrap();
    }
}
