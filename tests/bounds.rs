//! The bounds that the docs state, over WebDriver servers and Chromes that never answer. The clock is paused: it
//! jumps to the next timer whenever nothing else is left to do, so the times here are exact.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Uri;
use axum::{Json, Router};
use serde_json::json;
use support::invalid_servers::{InvalidAnswer, invalid_server};
use support::{cancel_after, ms, options};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use whatsapp_phone::fantoccini::ClientBuilder;
use whatsapp_phone::retry::LookMode;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, Page, Target, WebDriverSource,
};
use whatsapp_phone::{ErrorKind, Extractor, RetryPolicy};

const URL: &str = "http://127.0.0.1:1/";

/// Pages of both kinds whose driver answers nothing from the first look on.
async fn silent_pages() -> [Page; 2] {
    let open = invalid_server(InvalidAnswer::Silence, URL.into()).await;
    let open = Page::open_at(&open, options(URL)).await.unwrap();
    let attach = invalid_server(InvalidAnswer::Silence, URL.into()).await;
    let options = AttachOptions::default().target(Target::at(URL).unwrap());
    let chrome = silent().await.parse().unwrap();
    let attach = Page::attach_at(&attach, chrome, options.elsewhere(true));
    [open, attach.await.unwrap()]
}

/// A server that takes connections and says nothing.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });
    address.to_string()
}

async fn took<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (future.await, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_extraction_ends_at_its_deadline() {
    for look_mode in [LookMode::Poll, LookMode::Wait] {
        for page in silent_pages().await {
            for _ in ["the first on its page", "the next"] {
                let policy = RetryPolicy::builder()
                    .look_mode(look_mode)
                    .deadline(ms(3300));
                let extractor = Extractor::builder().source(WebDriverSource::all(&page));
                let extractor = extractor.policy(policy.build().unwrap()).build().unwrap();
                let (outcome, took) = took(extractor.extract()).await;
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotReady);
                assert!(
                    (ms(3300)..=ms(3400)).contains(&took),
                    "{look_mode:?}: {took:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_closed_within_three_seconds() {
    for page in silent_pages().await {
        let extractor = Extractor::builder().source(WebDriverSource::all(&page));
        let extractor = extractor.build().unwrap();
        // From here on its driver is stuck.
        cancel_after(ms(100), extractor.extract()).await;
        let ((), took) = took(page.close()).await;
        assert!((ms(2000)..=ms(3000)).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn opening_and_attaching_end_at_their_deadlines() {
    let driver = format!("http://{}/", silent().await);
    let deadline = ms(7000);
    let open = Page::open_at(&driver, options(URL).deadline(deadline));
    let chrome: DebuggerAddress = silent().await.parse().unwrap();
    let options = AttachOptions::default().deadline(deadline).elsewhere(true);
    let attach = Page::attach_at(&driver, chrome, options);
    for (outcome, took) in <[_; 2]>::from(tokio::join!(took(open), took(attach))) {
        assert_eq!(outcome.unwrap_err().code(), Some("timeout"));
        assert_eq!(took, deadline);
    }
}

/// A WebDriver server whose first script takes this long. Returns its URL and the number of scripts so far.
async fn stuck_for(time: Duration) -> (String, Arc<AtomicU32>) {
    let scripts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&scripts);
    let answer = async move |uri: Uri| {
        let is_first =
            uri.path().contains("/execute/") && count.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            sleep(time).await;
        }
        Json(json!({ "value": { "sessionId": "s", "capabilities": {} } }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = axum::serve(listener, Router::new().fallback(answer));
    tokio::spawn(server.into_future());
    (url, scripts)
}

#[tokio::test(start_paused = true)]
async fn a_stuck_page_of_a_callers_client_gets_no_further_commands() {
    let (url, scripts) = stuck_for(Duration::from_secs(60)).await;
    let http = hyper_util::client::legacy::connect::HttpConnector::new();
    let client = ClientBuilder::new(http).connect(&url).await.unwrap();
    let page = Page::from_client(client.clone(), Target::default());
    let policy = RetryPolicy::builder().deadline(Duration::from_secs(50));
    let extractor = Extractor::builder()
        .source(WebDriverSource::all(&page))
        .policy(policy.build().unwrap());
    let error = extractor.build().unwrap().extract().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.attempts() > 5, "{}", error.attempts());
    // The caller's own command comes right behind the one look.
    client.execute("return 1", vec![]).await.unwrap();
    assert_eq!(scripts.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_chrome_that_does_not_answer_is_given_up_soon() {
    let driver = format!("http://{}/", silent().await);
    for (address, limit) in [
        ("127.0.0.1:9".to_owned(), ms(2000)),
        (silent().await, ms(5000)),
    ] {
        let chrome: DebuggerAddress = address.parse().unwrap();
        let attach = Page::attach_at(&driver, chrome, AttachOptions::default());
        let (outcome, took) = took(attach).await;
        assert_eq!(outcome.unwrap_err().code(), Some("misconfigured"));
        assert!(took <= limit, "{address}: {took:?}");
    }
}
