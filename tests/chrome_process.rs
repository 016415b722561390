//! A Chrome of our own without ChromeDriver: its page, its end, and starts that fail.
#![cfg(all(
    feature = "cdp",
    feature = "events",
    feature = "supervisor",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use support::chrome::{Chrome, Owner, http};
use support::processes::{Run, kill_one};
use support::{
    LIMIT, assert_says, on_own_runtime, policy, sandbox, until, until_async, within_limit,
};
use whatsapp_phone::event::SessionKey;
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::onboard::SessionService;
use whatsapp_phone::source::cdp::{
    CdpPage, CdpSource, ChromeProcess, ChromeProcessBuilder, OpenOptions, Target,
};
use whatsapp_phone::store::StoreOptions;
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};
use whatsapp_phone::{Backoff, Extractor};

const NUMBER: &str = "628110000041";

/// The variable with the mark of the run whose host this program plays.
const HOST: &str = "WHATSAPP_PHONE_TEST_HOST";

fn builder() -> ChromeProcessBuilder {
    let builder = ChromeProcess::builder().headless(true).start_timeout(LIMIT);
    sandbox()
        .iter()
        .fold(builder, |builder, arg| builder.arg(*arg))
}

/// A browser that belongs to this run.
fn chrome(run: &Run) -> ChromeProcessBuilder {
    let (name, value) = run.variable();
    builder().env(name, value)
}

fn options(stand_in: &StandIn) -> OpenOptions {
    let target = Target::at(stand_in.origin()).unwrap();
    OpenOptions::default().target(target).url(stand_in.url())
}

async fn number(page: &CdpPage) -> String {
    let extractor = Extractor::builder()
        .source(CdpSource::all(page))
        .policy(policy());
    let found = extractor.build().unwrap().extract().await.unwrap();
    found.phone.reveal().to_owned()
}

/// The failure of a browser that must not start.
async fn refused(builder: ChromeProcessBuilder) -> ProtocolFailure {
    within_limit("a start fails", builder.start())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn pages_are_opened_and_read_and_a_stop_leaves_the_profile_alone() {
    let run = Run::new();
    let profile = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let profile = profile.path().join("new");
    let chrome = chrome(&run).profile(&profile).start().await.unwrap();
    // It holds the session's keys.
    let mode = std::fs::metadata(&profile).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let first = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
    let second = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
    assert_eq!(number(&first).await, NUMBER);
    second.close().await;
    assert_eq!(number(&first).await, NUMBER);
    within_limit("the browser stops", chrome.stop())
        .await
        .unwrap();
    run.none_is_left().await;
    assert!(profile.join("Default").is_dir());
    let failure = first.qr().await.unwrap_err();
    assert_eq!(failure.code(), Some("chrome not reachable"), "{failure}");
}

/// Crashed, or with a socket that was lost.
#[tokio::test]
async fn a_dropped_page_closes_its_tab_in_any_state() {
    let run = Run::new();
    let chrome = Arc::new(chrome(&run).start().await.unwrap());
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let tabs = || {
        let tabs = http(&chrome.address().to_string(), "GET", "json/list");
        let tabs: Vec<HashMap<String, String>> = serde_json::from_str(&tabs).unwrap();
        let tabs = tabs
            .into_iter()
            .filter(|tab| tab["url"].starts_with(stand_in.origin()));
        tabs.map(|tab| tab["id"].clone()).collect::<Vec<_>>()
    };
    let page = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
    Owner::of(chrome.address(), &tabs()[0]).await.crash().await;
    drop(page);
    until("the crashed tab is closed", || tabs().is_empty()).await;

    let page = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
    let asks = json!({
        "expression": "addEventListener('beforeunload', (event) => event.preventDefault())", "userGesture": true,
    });
    let mut owner = Owner::of(chrome.address(), &tabs()[0]).await;
    owner.call("Runtime.evaluate", asks).await;
    drop(page);
    until("the tab that asks before it closes is closed", || {
        tabs().is_empty()
    })
    .await;

    for _ in 0..10 {
        let page = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
        let mut owner = Owner::of(chrome.address(), &tabs()[0]).await;
        let reload = json!({"expression": "location.reload()"});
        owner.call("Runtime.evaluate", reload).await;
        drop(page);
        until("the tab that navigates is closed", || tabs().is_empty()).await;
    }

    let (browser, page) = (Arc::clone(&chrome), options(&stand_in));
    // Its socket ends with the runtime that opened it.
    let opened = on_own_runtime(async move { CdpPage::open(&browser, page).await }).await;
    drop(opened.unwrap());
    until("the tab is closed", || tabs().is_empty()).await;
}

#[tokio::test]
async fn a_drop_ends_the_browser_and_a_page_that_is_being_opened() {
    let run = Run::new();
    let chrome = chrome(&run).start().await.unwrap();
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let opening = CdpPage::open(&chrome, options(&stand_in));
    support::cancel_after(Duration::from_millis(20), opening).await;
    drop(chrome);
    run.none_is_left().await;
}

#[tokio::test]
async fn a_deadline_at_any_moment_of_the_opening_leaves_no_tab() {
    let run = Run::new();
    let chrome = chrome(&run).start().await.unwrap();
    let stand_in = StandIn::start(Scenario::never()).await.unwrap();
    let tabs = || http(&chrome.address().to_string(), "GET", "json/list");
    let is_ours = |tabs: &str| tabs.contains("about:blank") || tabs.contains(stand_in.origin());
    let mut late = 0;
    for _ in 0..40 {
        let deadline = Duration::from_millis(100).mul_f64(fastrand::f64());
        let opened = CdpPage::open(&chrome, options(&stand_in).deadline(deadline)).await;
        late += u32::from(opened.is_err_and(|failure| failure.code() == Some("timeout")));
    }
    assert!(late > 0);
    until("no tab is left", || !is_ours(&tabs())).await;
}

/// SIGKILL, so no destructor runs. The program starts itself again, to kill that process.
#[tokio::test]
async fn a_killed_host_leaves_nothing() {
    if let Some(mark) = std::env::var_os(HOST) {
        let run = Run::from_mark(mark.to_str().unwrap());
        let chrome = chrome(&run).start().await.unwrap();
        let stand_in = StandIn::start(Scenario::never()).await.unwrap();
        let _page = CdpPage::open(&chrome, options(&stand_in)).await.unwrap();
        assert!(!run.processes().is_empty());
        let me = rustix::process::getpid();
        support::again::print_result("opened");
        rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
    }
    let run = Run::new();
    let mark = [(HOST, run.mark())];
    let result = support::again::run_again("a_killed_host_leaves_nothing", &mark).await;
    assert_eq!(result, "opened");
    run.none_is_left().await;
}

#[tokio::test]
async fn a_page_that_does_not_load_says_why_and_its_tab_is_closed() {
    let run = Run::new();
    let chrome = chrome(&run).start().await.unwrap();
    let nobody = "http://127.0.0.1:9";
    let target = Target::at(nobody).unwrap();
    let options = OpenOptions::default().target(target);
    let failure = CdpPage::open(&chrome, options).await.unwrap_err();
    assert!(failure.message().contains("net::ERR_"), "{failure}");
    let elsewhere = OpenOptions::default().url(nobody);
    let failure = CdpPage::open(&chrome, elsewhere).await.unwrap_err();
    assert_says(
        &failure,
        &["the URL to open is not at https://web.whatsapp.com"],
    );
    within_limit("the browser stops", chrome.stop())
        .await
        .unwrap();
    run.none_is_left().await;
}

#[tokio::test]
async fn starts_that_fail_name_cause_and_remedy() {
    let missing = builder().program("/nowhere/chromium");
    let parts = [
        "`/nowhere/chromium` was not found",
        "ChromeProcess::builder().program",
    ];
    assert_says(&refused(missing).await, &parts);

    let not_a_browser = builder().program("/bin/cat");
    let parts = ["is not Chrome or Chromium", "ChromeProcessBuilder::program"];
    assert_says(&refused(not_a_browser).await, &parts);

    let locked = tempfile::tempdir().unwrap();
    symlink("otherhost-123", locked.path().join("SingletonLock")).unwrap();
    let failure = refused(builder().profile(locked.path())).await;
    assert_says(
        &failure,
        &[
            "locked by a browser on another host",
            "delete `SingletonLock`",
        ],
    );

    let running = Chrome::start().await;
    let failure = refused(builder().profile(running.profile())).await;
    assert_says(&failure, &["another running browser uses this profile"]);

    let not_writable = builder().profile(PathBuf::from("/proc/none"));
    assert_says(
        &refused(not_writable).await,
        &["cannot write to its profile directory"],
    );

    let visible = builder()
        .headless(false)
        .env("DISPLAY", "")
        .env("WAYLAND_DISPLAY", "");
    let parts = [
        "no display for a visible browser",
        "ChromeProcessBuilder::headless(true)",
    ];
    assert_says(&refused(visible).await, &parts);

    let file = tempfile::tempdir().unwrap();
    let log = builder().log_file(file.path());
    assert_says(&refused(log).await, &["cannot be written"]);
}

#[tokio::test]
async fn a_service_runs_its_sessions_without_chromedriver() {
    let run = Run::new();
    let storage = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let page = options(&stand_in);
    let restart = Backoff::builder()
        .interval(Duration::from_millis(100))
        .build()
        .unwrap();
    let service = SessionService::builder(MemoryStore::new(StoreOptions::default()))
        .storage(storage.path())
        .chrome(chrome(&run), move |_| page.clone())
        .restart(restart)
        .build()
        .unwrap();
    let session = service
        .start(&SessionKey::new(7, "one").unwrap())
        .await
        .unwrap();
    let has_number = || {
        session
            .number()
            .is_some_and(|number| number.reveal() == NUMBER)
    };
    until("the number comes", has_number).await;
    let browsers = run.browsers(storage.path());
    assert_eq!((browsers.len(), run.drivers().len()), (1, 0));
    assert!(kill_one(&browsers));
    until_async("another browser is started", async || {
        let now = run.browsers(storage.path());
        now.len() == 1 && now != browsers
    })
    .await;
    until("the session has its number again", has_number).await;
    within_limit("the service stops", service.stop(LIMIT)).await;
    run.none_is_left().await;
}
