//! Pages attached to a Chrome that another program started and drives.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::chrome::{Chrome, http};
use support::traces::{TRACES, assert_same, loaded, reloaded};
use support::{Counted, LIMIT, alive, cancel_after, looks, ms, policy, until, until_async};
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::source::Assurance;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, DriverProcess, Page, Target, WebDriverSource,
};
use whatsapp_phone::testkit::standin::{Generation, PHONE, Scenario, StandIn, Step};
use whatsapp_phone::{ErrorKind, ExtractError, Extraction, Extractor};

const NUMBER: &str = "628110000041";

async fn attach(
    driver: &DriverProcess,
    chrome: &Chrome,
    origin: &str,
) -> Result<Page, ProtocolFailure> {
    Page::attach(driver, chrome.address.clone(), options(origin)).await
}

fn options(origin: &str) -> AttachOptions {
    let options = AttachOptions::default().target(Target::at(origin).unwrap());
    options.deadline(LIMIT)
}

async fn extract(page: &Page) -> Result<Extraction, ExtractError> {
    let extractor = Extractor::builder()
        .source(WebDriverSource::all(page))
        .policy(policy());
    extractor.build().unwrap().extract().await
}

#[tokio::test]
async fn an_attached_page_reads_the_number_and_leaves_no_trace() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready_after(Generation::Current, ms(1500)))
        .await
        .unwrap();
    let decoy = chrome.open(&stand_in.decoy_url());
    let tab = chrome.open(&stand_in.url());
    loaded(&chrome, &tab).await;
    // The page's own globals, with names similar to ChromeDriver's.
    let own = "(window.cdc_settings = {a: 1}, window.ret_nodes = 5, 0)";
    chrome.eval(&tab, own).await;
    let state = "[document.visibilityState, document.hasFocus()]";
    let other = chrome.eval(&decoy, state).await;
    let before = chrome.eval(&tab, TRACES).await;
    assert!(before.is_array(), "{before}");

    let driver = support::driver().await;
    let address = DebuggerAddress::from_user_data_dir(chrome.profile()).unwrap();
    assert_eq!(address, chrome.address);
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    // Attached, and nothing waits yet.
    assert_same(&before, &chrome.eval(&tab, TRACES).await);
    assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
    page.close().await;

    assert_same(&before, &chrome.eval(&tab, TRACES).await);
    assert_eq!(
        chrome.eval(&tab, "[cdc_settings.a, ret_nodes]").await,
        json!([1, 5])
    );
    assert_eq!(chrome.eval(&decoy, state).await, other);
    assert_eq!(chrome.tabs().len(), 3);
    support::stop(driver).await;
    assert!(alive(chrome.pid()));
}

#[tokio::test]
async fn cutting_an_extraction_short_and_dropping_the_page_leaves_no_trace_either() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    loaded(&chrome, &tab).await;
    let before = chrome.eval(&tab, TRACES).await;

    let driver = support::driver().await;
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    for cut in [20, 300, 700] {
        cancel_after(ms(cut), extract(&page)).await;
    }
    drop(page);
    until_async("no trace is left", async || {
        chrome.eval(&tab, TRACES).await == before
    })
    .await;
}

#[tokio::test]
async fn the_right_tab_is_found_among_many_or_named_and_never_guessed() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let mut decoy = String::new();
    for _ in 0..5 {
        decoy = chrome.open(&stand_in.decoy_url());
    }
    let driver = support::driver().await;
    // Half of the deadline is for a tab that comes later. A name does not stand above the origin.
    let short = options(stand_in.origin()).deadline(LIMIT / 2);
    let of_another = short.clone().tab(&decoy);
    for refused in <[_; 2]>::from(tokio::join!(
        Page::attach(&driver, chrome.address.clone(), short),
        Page::attach(&driver, chrome.address.clone(), of_another),
    )) {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Some("misconfigured"), "{refused}");
    }

    let first = chrome.open(&stand_in.url());
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
    drop(page);

    chrome.open(&format!("{}/other", stand_in.origin()));
    let several = attach(&driver, &chrome, stand_in.origin())
        .await
        .unwrap_err();
    assert_eq!(several.code(), Some("ambiguous_tab"), "{several}");
    let named = options(stand_in.origin()).tab(&first);
    let named = Page::attach(&driver, chrome.address.clone(), named)
        .await
        .unwrap();
    assert_eq!(extract(&named).await.unwrap().phone.reveal(), NUMBER);
}

#[tokio::test]
async fn through_a_driver_elsewhere() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let decoy = chrome.open(&stand_in.decoy_url());
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let options = || options(stand_in.origin());
    for options in [
        options(),
        // The driver finds the tab by switching to each, or by its name.
        options().elsewhere(true),
        options().elsewhere(true).tab(&tab),
    ] {
        let page = Page::attach_at(driver.url(), chrome.address.clone(), options)
            .await
            .unwrap();
        assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
        page.close().await;
    }
    let wrong = options().elsewhere(true).tab(decoy);
    let refused = Page::attach_at(driver.url(), chrome.address.clone(), wrong).await;
    assert_eq!(refused.unwrap_err().code(), Some("misconfigured"));
    chrome.open(&stand_in.url());
    let several = Page::attach_at(
        driver.url(),
        chrome.address.clone(),
        options().elsewhere(true),
    );
    assert_eq!(several.await.unwrap_err().code(), Some("ambiguous_tab"));
    assert_eq!(chrome.tabs().len(), 4);
}

#[tokio::test]
async fn a_tab_that_opens_later_or_is_replaced_is_found() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let driver = support::driver().await;
    let later = async {
        tokio::task::yield_now().await;
        chrome.open(&stand_in.url())
    };
    let (page, first) = tokio::join!(attach(&driver, &chrome, stand_in.origin()), later);
    let page = page.unwrap();

    // During the extraction the other program opens a new tab and closes the old one.
    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder()
        .source(source.clone())
        .policy(policy())
        .build()
        .unwrap();
    let replaced = async {
        source.looks(1).await;
        stand_in.set_scenario(Scenario::ready_after(Generation::Current, ms(600)));
        chrome.open(&stand_in.url());
        chrome.close(&first);
    };
    let (found, ()) = tokio::join!(extractor.extract(), replaced);
    assert_eq!(found.unwrap().phone.reveal(), NUMBER);
}

/// A background tab whose timers run once a second, later once a minute.
#[tokio::test]
async fn a_hidden_tab_with_throttled_timers_is_read_while_it_stays_hidden() {
    let soon = "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1";
    let chrome = Chrome::start_with(&[soon]).await;
    let unpaired = Scenario::new(Generation::Renamed).at(ms(0), Step::socket("UNPAIRED"));
    let stand_in = StandIn::start(unpaired).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    loaded(&chrome, &tab).await;
    let driver = support::driver().await;
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    chrome.open("about:blank");
    let is_hidden = async || chrome.eval(&tab, "document.hidden").await == true;
    assert!(is_hidden().await);

    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder()
        .source(source.clone())
        .policy(policy())
        .accept(Assurance::Provisional)
        .build()
        .unwrap();
    // The other program writes the number, so that it does not depend on the page's timers.
    let link = format!(
        "localStorage.setItem('WANoiseInfo', '1');
         localStorage.setItem('last-wid-md', JSON.stringify('{PHONE}'))"
    );
    let link = async {
        source.looks(8).await;
        // Throttled timers run once a second, so the third runs up to two seconds after the first; on a busy
        // machine the first may be late, which shortens the gap.
        let gap = "new Promise((done) => setTimeout(() => { const start = performance.now();
            setTimeout(() => setTimeout(() => done(performance.now() - start), 20), 20); }, 20))";
        let gap = chrome.eval(&tab, gap).await.as_f64().unwrap();
        assert!(gap > 500.0, "timers are not throttled: {gap} ms");
        chrome.eval(&tab, &link).await;
    };
    let (found, ()) = tokio::join!(extractor.extract(), link);
    assert_eq!(found.unwrap().phone.reveal(), NUMBER);
    assert!(is_hidden().await);
    page.close().await;
}

#[tokio::test]
async fn a_tab_closed_permanently_is_a_closed_page() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let driver = support::driver().await;
    let tab = chrome.open(&stand_in.url());
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let closed = async {
        source.looks(1).await;
        chrome.close(&tab);
    };
    let (outcome, ()) = tokio::join!(extractor.extract(), closed);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PageClosed, "{error:?}");
    assert!(alive(chrome.pid()));
}

#[tokio::test]
async fn an_address_without_a_chrome_is_named() {
    let driver = support::driver().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let no_chrome = stand_in.origin().trim_start_matches("http://").to_owned();
    for (address, words) in [
        ("127.0.0.1:9".to_owned(), "nothing answers at"),
        (
            silent.local_addr().unwrap().to_string(),
            "did not answer in time",
        ),
        (no_chrome, "it must be the debugging port of a Chrome"),
    ] {
        let address: DebuggerAddress = address.parse().unwrap();
        let error = Page::attach(&driver, address, options(stand_in.origin()))
            .await
            .unwrap_err();
        assert!(error.message().contains(words), "{error}");
        assert_eq!(error.code(), Some("misconfigured"));
    }
}

#[tokio::test]
async fn a_stale_devtools_file_is_refused() {
    let (chrome, other) = tokio::join!(Chrome::start(), Chrome::start());
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    other.open(&stand_in.url());
    // The other Chrome has got the port that this profile's Chrome had before.
    let file = chrome.profile().join("DevToolsActivePort");
    let own = std::fs::read_to_string(&file).unwrap();
    let port = other.address.to_string().replace("127.0.0.1:", "");
    let browser = own.lines().nth(1).unwrap();
    std::fs::write(&file, format!("{port}\n{browser}")).unwrap();

    let driver = support::driver().await;
    let stale = DebuggerAddress::from_user_data_dir(chrome.profile()).unwrap();
    let error = Page::attach(&driver, stale, options(stand_in.origin()))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("misconfigured"));
    assert!(error.message().contains("is stale"), "{error}");
    let right = DebuggerAddress::from_user_data_dir(other.profile()).unwrap();
    let page = Page::attach(&driver, right, options(stand_in.origin())).await;
    let found = extract(&page.unwrap()).await.unwrap();
    assert_eq!(found.phone.reveal(), NUMBER);
}

#[tokio::test]
async fn a_dialog_of_the_page_is_left_to_its_owner() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let mut owner = chrome.drive(&tab).await;
    owner.call("Page.enable", json!({})).await;
    let driver = support::driver().await;
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    let source = Counted::new(WebDriverSource::all(&page));
    let extractor = Extractor::builder().source(source.clone()).policy(looks(6));
    let extractor = extractor.build().unwrap();
    let open = async {
        source.looks(1).await;
        chrome
            .eval(&tab, "setTimeout(() => alert('Stay?'), 0)")
            .await;
    };
    let (outcome, ()) = tokio::join!(extractor.extract(), open);
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked, "{error:?}");
    page.close().await;
    // Still open: only now is it answered, by its owner.
    let answer = json!({"accept": true});
    assert_eq!(
        owner.call("Page.handleJavaScriptDialog", answer).await,
        json!({})
    );
    let closed = "Page.javascriptDialogClosed".to_owned();
    let count = owner
        .events
        .iter()
        .filter(|event| **event == closed)
        .count();
    assert!(count <= 1, "closed by somebody else: {:?}", owner.events);
}

#[tokio::test]
async fn repeated_attaching_leaves_nothing_behind() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let files = |of: &str| std::fs::read_dir(format!("/proc/{of}/fd")).unwrap().count();
    let drivers = driver.id().to_string();
    let mut before = (0, 0);
    for round in 0..200 {
        let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
        assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
        page.close().await;
        if round == 10 {
            before = (files(&drivers), files("self"));
        }
    }
    until("the driver's descriptors are given back", || {
        files(&drivers) <= before.0 + 2
    })
    .await;
    // Other tests of this process open and close files too.
    until("this process's descriptors are given back", || {
        files("self") <= before.1 + 60
    })
    .await;
    assert_eq!(chrome.tabs().len(), 2);
    let server = driver
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let sessions: Value = serde_json::from_str(&http(server, "GET", "sessions")).unwrap();
    assert_eq!(sessions["value"], json!([]));
    for task in std::fs::read_dir(format!("/proc/{drivers}/task")).unwrap() {
        let children = task.unwrap().path().join("children");
        assert_eq!(std::fs::read_to_string(children).unwrap(), "");
    }
}

#[tokio::test]
async fn an_attached_page_that_replaced_built_ins_is_read_too() {
    let chrome = Chrome::start().await;
    let scenario = Scenario::ready_after(Generation::Current, ms(2500)).with_replaced_builtins();
    let stand_in = StandIn::start(scenario.clone()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    loaded(&chrome, &tab).await;
    let before = chrome.eval(&tab, TRACES).await;
    let driver = support::driver().await;
    // The built-ins were replaced before this crate attached.
    let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
    assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
    // They are replaced while it is there.
    stand_in.set_scenario(scenario);
    reloaded(&chrome, &tab).await;
    assert_eq!(extract(&page).await.unwrap().phone.reveal(), NUMBER);
    page.close().await;
    assert_same(&before, &chrome.eval(&tab, TRACES).await);
}

#[tokio::test]
async fn each_built_in_may_be_replaced_alone() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    for broken in [
        "window.Promise = function () {}; window.Promise.resolve = () => new Promise()",
        "window.JSON = {parse() { throw 1 }, stringify() { throw 1 }}",
        "window.setTimeout = window.setInterval = () => 0",
        "Array.prototype.toJSON = Object.prototype.toJSON = () => 'x'",
    ] {
        stand_in.set_scenario(Scenario::ready_after(Generation::Current, ms(2000)));
        reloaded(&chrome, &tab).await;
        chrome
            .eval(&tab, &format!("(() => {{ {broken} }})()"))
            .await;
        let before = chrome.eval(&tab, TRACES).await;
        let page = attach(&driver, &chrome, stand_in.origin()).await.unwrap();
        let found = extract(&page).await;
        assert_eq!(found.unwrap().phone.reveal(), NUMBER, "{broken}");
        page.close().await;
        assert_same(&before, &chrome.eval(&tab, TRACES).await);
    }
}
