//! Wrong addresses, on real processes: errors quote the answer of the server that listens there.
//!
//! Needs Chromium and ChromeDriver; `tests/run.sh` installs them.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;
use support::chrome::{Chrome, http as ask};
use support::{LIMIT, assert_says, options, policy, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use whatsapp_phone::Extractor;
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, Page, Target, WebDriverSource,
};
use whatsapp_phone::source::{Assurance, InfoSource as _, Look};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};

/// A page that no test of this file opens.
const PAGE: &str = "http://127.0.0.1:9/";

/// A server that gives this answer to every request; an empty one closes the connection.
async fn serve(answer: impl Into<String>) -> SocketAddr {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn http(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn open_at(webdriver: &str) -> ProtocolFailure {
    let options = options(PAGE).deadline(LIMIT);
    Page::open_at(webdriver, options).await.unwrap_err()
}

async fn attach(address: &str) -> ProtocolFailure {
    let driver = support::driver().await;
    let options = AttachOptions::default().deadline(LIMIT);
    let address = address.parse::<DebuggerAddress>().unwrap();
    Page::attach(&driver, address, options).await.unwrap_err()
}

/// A name of this machine's other than localhost, if its hosts file has one.
fn name_of_this_machine() -> String {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap();
    let mut names = hosts.lines().flat_map(|line| {
        let mut words = line.split('#').next().unwrap().split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let is_v4_loopback = address.is_some_and(|address| address == IpAddr::from([127, 0, 0, 1]));
        words.filter(move |name| is_v4_loopback && !name.starts_with("localhost"))
    });
    names.next().unwrap_or("localhost").to_owned()
}

#[tokio::test]
async fn a_chrome_is_attached_to_by_a_host_name() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let address = chrome.address.to_string();
    let port = address.rsplit_once(':').unwrap().1;
    // `localhost` may be `::1` too, where this Chrome does not listen.
    for name in ["localhost", &name_of_this_machine()] {
        let options = AttachOptions::default().target(Target::at(stand_in.origin()).unwrap());
        let address = format!("{name}:{port}").parse().unwrap();
        let page = Page::attach(&driver, address, options.deadline(LIMIT)).await;
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        let extractor = Extractor::builder()
            .source(WebDriverSource::all(&page))
            .policy(policy());
        let found = extractor.build().unwrap().extract().await.unwrap();
        assert_eq!(found.phone.reveal(), "628110000041");
        page.close().await;
    }
}

#[tokio::test]
async fn a_webdriver_url_that_is_the_debugging_port_of_a_chrome() {
    let chrome = Chrome::start().await;
    let address = chrome.address.to_string();
    let failure = open_at(&format!("http://{address}/")).await;
    let advice = "give it to `Page::attach`";
    assert_says(
        &failure,
        &[
            "is not a WebDriver server",
            "debugging port of Chrome/",
            advice,
        ],
    );
    // Chrome refuses requests by a host name, and says so.
    let name = name_of_this_machine();
    let port = address.rsplit_once(':').unwrap().1;
    let failure = open_at(&format!("http://{name}:{port}/")).await;
    assert_says(
        &failure,
        &["is not a WebDriver server", "debugging port of", advice],
    );
    if name != "localhost" {
        assert_says(&failure, &["HTTP 500", "Host header is specified"]);
    }
}

#[tokio::test]
async fn a_webdriver_url_of_another_server() {
    let html = serve(http("404 Not Found", "text/html", "<h1>no such page</h1>")).await;
    let failure = open_at(&format!("http://{html}/")).await;
    assert_says(
        &failure,
        &[
            "is not a WebDriver server",
            "HTTP 404 Not Found",
            "no such page",
        ],
    );

    let json = r#"{"status": "up", "token": "hunter2"}"#;
    let json = serve(http("200 OK", "application/json", json)).await;
    let failure = open_at(&format!("http://{json}/")).await;
    assert_says(
        &failure,
        &[
            "is not a WebDriver server",
            "HTTP 200 OK",
            "\"status\": \"up\"",
        ],
    );
    assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");

    let closes = serve("").await;
    let failure = open_at(&format!("http://{closes}/")).await;
    assert_says(
        &failure,
        &["no WebDriver server answers at", "start ChromeDriver"],
    );

    // A WebDriver server at another path.
    let driver = support::driver().await;
    let failure = open_at(&format!("{}wd/hub", driver.url())).await;
    assert_says(&failure, &["unknown command"]);
}

#[tokio::test]
async fn a_debugging_address_of_another_server() {
    let empty = serve(http("404 Not Found", "text/html", "")).await;
    let failure = attach(&empty.to_string()).await;
    let flags = "--remote-debugging-port and --user-data-dir";
    assert_says(
        &failure,
        &[
            "HTTP 404 Not Found without text",
            "version 144",
            "consents",
            flags,
        ],
    );

    let body = "Host header is specified and is not an IP address or localhost.";
    let refuses = serve(http("500 Internal Server Error", "text/html", body)).await;
    let failure = attach(&refuses.to_string()).await;
    assert_says(&failure, &["HTTP 500 Internal Server Error", body, flags]);
    let failure = attach(&format!("localhost:{}", refuses.port())).await;
    assert_says(
        &failure,
        &["localhost", "was resolved, but 127.0.0.1:", body],
    );

    let html = serve(http(
        "200 OK",
        "text/html",
        &"<p>hello 628110000041</p>".repeat(99),
    ))
    .await;
    let failure = attach(&html.to_string()).await;
    assert_says(
        &failure,
        &["HTTP 200 OK", "<p>hello 62********41", "…", flags],
    );

    let closes = serve("").await;
    assert_says(
        &attach(&closes.to_string()).await,
        &["closed the connection", flags],
    );
    assert_says(
        &attach("127.0.0.1:9").await,
        &["nothing answers at 127.0.0.1:9", flags],
    );
    let unknown = attach("no-such-host.invalid:9222").await;
    assert_says(
        &unknown,
        &[
            "no-such-host.invalid:9222 cannot be resolved",
            "give an IP address",
        ],
    );

    let driver = support::driver().await;
    let address = driver
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    assert_says(
        &attach(address).await,
        &["is a WebDriver server, not a Chrome", "HTTP 404"],
    );
}

#[tokio::test]
async fn opening_or_attaching_past_the_deadline_has_its_own_code() {
    // A connection that is never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let short = std::time::Duration::from_millis(300);
    let options = options(PAGE).deadline(short);
    let failure = Page::open_at(&url, options).await.unwrap_err();
    assert_eq!(failure.code(), Some("timeout"), "{failure}");
    let options = AttachOptions::default().elsewhere(true).deadline(short);
    let address = "127.0.0.1:9".parse().unwrap();
    let failure = Page::attach_at(&url, address, options).await.unwrap_err();
    assert_eq!(failure.code(), Some("timeout"), "{failure}");
}

#[tokio::test]
async fn the_longest_deadline_is_valid() {
    let longest = std::time::Duration::MAX;
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let chrome = Chrome::start().await;
    chrome.open(&stand_in.url());
    let driver = whatsapp_phone::source::webdriver::DriverProcess::builder();
    let driver = driver.start_timeout(longest).start().await.unwrap();
    let open = options(&stand_in.url()).deadline(longest);
    let page = Page::open(&driver, open.clone()).await.unwrap();
    assert!(page.diagnose(longest).await.unwrap().is_healthy);
    let source = WebDriverSource::all(&page);
    let look = source.wait(Assurance::Confirmed, longest).await.unwrap();
    assert!(matches!(look, Look::Found(_)), "{look:?}");
    page.close().await;
    let page = Page::open_at(driver.url(), open).await;
    page.unwrap().close().await;
    let server = driver.url().replace("http://", "").replace('/', "");
    until("the session has left the server", || {
        let sessions: Value = serde_json::from_str(&ask(&server, "GET", "sessions")).unwrap();
        sessions["value"] == Value::Array(vec![])
    })
    .await;
    let attach = AttachOptions::default().target(Target::at(stand_in.origin()).unwrap());
    let attach = attach.deadline(longest);
    let page = Page::attach(&driver, chrome.address.clone(), attach.clone()).await;
    page.unwrap().close().await;
    let page = Page::attach_at(driver.url(), chrome.address.clone(), attach).await;
    page.unwrap().close().await;
}
