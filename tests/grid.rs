//! A WebDriver server elsewhere, reached by https as Selenium Grids are.
#![cfg(all(feature = "testkit", feature = "webdriver-rustls", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use support::{options, pid, policy, until};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, pki_types::PrivateKeyDer};
use whatsapp_phone::Extractor;
use whatsapp_phone::source::webdriver::{Page, WebDriverSource};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};

/// The addresses of the grid and the page, for this program started again by itself: a process reads its
/// trusted certificates from its environment.
const GRID: &str = "TEST_GRID";
const PAGE: &str = "TEST_PAGE";

/// TLS in front of a driver, with a certificate that its own PEM text vouches for.
async fn grid(driver: SocketAddr) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await?;
                let mut inner = TcpStream::connect(driver).await?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await
            });
        }
    });
    (url, made.cert.pem())
}

/// Starts this program again, and returns its output about the grid.
async fn ask(grid: &str, page: &str, trusted: &std::path::Path) -> String {
    let asked = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_grid_behind_https", "--nocapture"])
        .env(GRID, grid)
        .env(PAGE, page)
        .env("SSL_CERT_FILE", trusted)
        .stderr(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(asked.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("asked: "));
    line.unwrap_or_else(|| panic!("it said nothing: {said}"))
        .to_owned()
}

async fn answer(grid: &str, page: &str) -> String {
    let page = match Page::open_at(grid, options(page)).await {
        Ok(page) => page,
        Err(failure) => return format!("{:?} {failure}", failure.code()),
    };
    let source = WebDriverSource::all(&page);
    let extractor = Extractor::builder().source(source).policy(policy());
    let extractor = extractor.build().unwrap();
    let found = extractor.extract().await.unwrap();
    let browser = pid(&page.client());
    page.close().await;
    format!("{} {browser}", found.phone.reveal())
}

#[tokio::test]
async fn a_grid_behind_https() {
    if let (Ok(grid), Ok(page)) = (std::env::var(GRID), std::env::var(PAGE)) {
        println!("\nasked: {}", answer(&grid, &page).await);
        return;
    }
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let driver = support::driver().await;
    let port = url::Url::parse(driver.url()).unwrap().port().unwrap();
    let (grid, certificate) = grid(([127, 0, 0, 1], port).into()).await;
    let directory = tempfile::tempdir().unwrap();
    let (trusted, other) = (directory.path().join("it"), directory.path().join("other"));
    std::fs::write(&trusted, certificate).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&other, stranger.cert.pem()).unwrap();

    let said = ask(&grid, &stand_in.url(), &trusted).await;
    let (number, browser) = said.split_once(' ').unwrap();
    assert_eq!(number, "628110000041");
    let browser = browser.parse().unwrap();
    until("the session ends with its page", || {
        !support::alive(browser)
    })
    .await;

    // Another server's certificate and a missing server give different errors.
    let said = ask(&grid, &stand_in.url(), &other).await;
    assert!(said.starts_with("Some(\"misconfigured\")"), "{said}");
    assert!(said.contains("invalid peer certificate"), "{said}");
}
