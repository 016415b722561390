//! Pages of ChromeDriver that wait on the tab's own DevTools socket, and what happens if it cannot be used.
#![cfg(all(
    feature = "cdp",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::chrome::Chrome;
use support::traces::{TRACES, assert_same, loaded};
use support::{LIMIT, ms, stop, until_async, within_limit};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, DriverProcess, Page, Target, WebDriverSource,
};
use whatsapp_phone::source::{Assurance, InfoSource, Look};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Pass,
    Refuse,
    Cut,
}

/// Passes on everything between a driver, this crate and a Chrome. Sockets of tabs may be refused or cut.
struct Proxy {
    address: DebuggerAddress,
    mode: watch::Sender<Mode>,
    /// The sockets of tabs so far.
    sockets: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn proxy(chrome: &Chrome, mode: Mode) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let (mode, sockets) = (watch::Sender::new(mode), Arc::default());
    let (now, count) = (mode.subscribe(), Arc::clone(&sockets));
    let to = chrome.address.to_string();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(pass(stream, to.clone(), now.clone(), Arc::clone(&count)));
        }
    });
    Proxy {
        address,
        mode,
        sockets,
        server,
    }
}

async fn pass(
    mut stream: TcpStream,
    to: String,
    mut mode: watch::Receiver<Mode>,
    count: Arc<AtomicUsize>,
) {
    let mut start = [0; 32];
    let len = stream.peek(&mut start).await.unwrap_or(0);
    let is_tab = start[..len].starts_with(b"GET /devtools/page/");
    count.fetch_add(usize::from(is_tab), Ordering::Relaxed);
    if is_tab && *mode.borrow() == Mode::Refuse {
        return;
    }
    let mut chrome = TcpStream::connect(to).await.unwrap();
    let passed = copy_bidirectional(&mut stream, &mut chrome);
    let cut = async {
        let is_cut = mode.wait_for(|mode| is_tab && *mode == Mode::Cut).await;
        drop(is_cut.unwrap());
    };
    tokio::select! {
        _ = passed => {}
        () = cut => {}
    }
}

struct Scene {
    chrome: Chrome,
    tab: String,
    proxy: Proxy,
    driver: DriverProcess,
    page: Page,
    log: tempfile::NamedTempFile,
}

impl Scene {
    async fn open(scenario: Scenario, mode: Mode) -> (Self, StandIn) {
        let chrome = Chrome::start().await;
        let stand_in = StandIn::start(scenario).await.unwrap();
        let tab = chrome.open(&stand_in.url());
        loaded(&chrome, &tab).await;
        let proxy = proxy(&chrome, mode).await;
        let log = tempfile::NamedTempFile::new().unwrap();
        let driver = DriverProcess::builder()
            .arg("--verbose")
            .log_file(log.path());
        let driver = driver.start_timeout(LIMIT).start().await.unwrap();
        let options = AttachOptions::default().target(Target::at(stand_in.origin()).unwrap());
        let page = Page::attach(&driver, proxy.address.clone(), options.deadline(LIMIT));
        let page = page.await.unwrap();
        let scene = Self {
            chrome,
            tab,
            proxy,
            driver,
            page,
            log,
        };
        (scene, stand_in)
    }

    /// The number of asynchronous scripts so far, which are slices.
    fn slices(&self) -> usize {
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        log.matches("COMMAND ExecuteAsyncScript").count()
    }

    async fn wait(&self) -> Look {
        let source = WebDriverSource::all(&self.page);
        within_limit("a wait", source.wait(Assurance::Provisional, LIMIT))
            .await
            .unwrap()
    }

    async fn close(self) {
        self.page.close().await;
        stop(self.driver).await;
    }
}

#[tokio::test]
async fn a_wait_needs_no_command_and_leaves_nothing() {
    let (scene, stand_in) = Scene::open(support::ready_on_signal(), Mode::Pass).await;
    let before = scene.chrome.eval(&scene.tab, TRACES).await;
    // A look meanwhile does not end the wait.
    let source = WebDriverSource::all(&scene.page);
    let looks = async {
        for _ in 0..10 {
            assert_eq!(source.probe().await, Ok(Look::NotYet));
        }
    };
    let found = {
        let mut wait = pin!(scene.wait());
        tokio::select! {
            biased;
            look = &mut wait => panic!("{look:?}"),
            () = looks => {}
        }
        stand_in.signal();
        wait.await
    };
    assert!(matches!(found, Look::Found(_)), "{found:?}");
    assert_eq!(
        (scene.slices(), scene.proxy.sockets.load(Ordering::Relaxed)),
        (0, 1)
    );
    let Scene {
        chrome,
        tab,
        driver,
        page,
        ..
    } = scene;
    drop(source);
    page.close().await;
    stop(driver).await;
    assert_same(&before, &chrome.eval(&tab, TRACES).await);
}

#[tokio::test]
async fn a_wait_that_is_dropped_leaves_nothing() {
    let (scene, _stand_in) = Scene::open(Scenario::never(), Mode::Pass).await;
    let before = scene.chrome.eval(&scene.tab, TRACES).await;
    support::cancel_after(ms(700), scene.wait()).await;
    let Scene {
        chrome,
        tab,
        driver,
        page,
        ..
    } = scene;
    drop(page);
    until_async("no trace is left", async || {
        chrome.eval(&tab, TRACES).await == before
    })
    .await;
    stop(driver).await;
}

#[tokio::test]
async fn without_a_socket_a_wait_uses_slices() {
    let scenario = Scenario::ready_after(Generation::Current, ms(3000));
    let (scene, _stand_in) = Scene::open(scenario, Mode::Refuse).await;
    assert!(matches!(scene.wait().await, Look::Found(_)));
    assert!(scene.slices() > 0);
    scene.close().await;
}

#[tokio::test]
async fn a_socket_that_is_cut_costs_no_answer() {
    let (scene, stand_in) = Scene::open(Scenario::never(), Mode::Pass).await;
    let (found, ()) = tokio::join!(scene.wait(), async {
        until_async("the socket is open", async || {
            scene.proxy.sockets.load(Ordering::Relaxed) == 1
        })
        .await;
        scene.proxy.mode.send_replace(Mode::Cut);
        until_async("slices are used", async || scene.slices() > 0).await;
        stand_in.set_scenario(Scenario::ready(Generation::Current));
        scene.chrome.eval(&scene.tab, "location.reload()").await;
    });
    assert!(matches!(found, Look::Found(_)), "{found:?}");
    scene.close().await;
}

#[tokio::test]
async fn an_opened_page_waits_by_its_socket_too() {
    let stand_in = StandIn::start(Scenario::ready_after(Generation::Current, ms(2000)))
        .await
        .unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let driver = DriverProcess::builder()
        .arg("--verbose")
        .log_file(log.path());
    let driver = driver.start_timeout(LIMIT).start().await.unwrap();
    let page = Page::open(&driver, support::options(&stand_in.url()))
        .await
        .unwrap();
    let source = WebDriverSource::all(&page);
    let found = within_limit("a wait", source.wait(Assurance::Provisional, LIMIT)).await;
    assert!(matches!(found, Ok(Look::Found(_))), "{found:?}");
    drop(source);
    page.close().await;
    stop(driver).await;
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("COMMAND ExecuteScript") && !log.contains("COMMAND ExecuteAsyncScript"));
}
