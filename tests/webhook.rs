//! Webhooks over HTTP: receivers that verify, and receivers that fail in every way.
#![cfg(feature = "webhook")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/time.rs"]
mod time;
#[cfg(target_os = "linux")]
#[path = "webhook/tls.rs"]
mod tls;

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use futures_util::stream;
use standardwebhooks::Webhook;
use time::{LIMIT, until, within_limit};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use whatsapp_phone::Backoff;
use whatsapp_phone::event::webhook::{WebhookSink, WebhookSinkBuilder};
use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey, SinkError};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW_SECRET: &str = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct";

fn event() -> SessionEvent {
    let phone = "628110000041"
        .parse::<whatsapp_phone::PhoneNumber>()
        .unwrap();
    SessionEvent::session_ready(SessionKey::new(7, "session-1").unwrap(), phone)
}

/// The URL of a receiver, with secrets.
fn url(address: SocketAddr) -> String {
    format!("http://user:hunter2@{address}/hook?key=hunter3")
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url(listener.local_addr().unwrap());
    (listener, url)
}

async fn serve(app: Router) -> String {
    let (listener, url) = listener().await;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

fn allowed(builder: WebhookSinkBuilder) -> WebhookSinkBuilder {
    builder
        .allow_http()
        .allow_private_addresses()
        .attempt_timeout(LIMIT)
}

fn builder(url: impl Into<String>) -> WebhookSinkBuilder {
    allowed(WebhookSink::builder(url, SECRET.parse().unwrap()))
}

/// This many attempts, at short intervals.
fn attempts(count: u32) -> Backoff {
    let backoff = Backoff::builder()
        .interval(Duration::from_millis(10))
        .attempts(count);
    backoff.build().unwrap()
}

async fn send(sink: &WebhookSink) -> Result<(), SinkError> {
    within_limit("the event is sent", sink.send(&event())).await
}

/// Sends one event, which must fail with this code, and without a secret in any text.
async fn fails(sink: &WebhookSink, code: &str, is_transient: bool) {
    let error = send(sink).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        (code, is_transient),
        "{error}"
    );
    let mut text = format!("{error:?} {sink:?}");
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        text += &format!(" {error}");
        cause = error.source();
    }
    for secret in ["hunter", &SECRET[8..], "628110000041"] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// A receiver that gives one answer after another, the last one again and again, and its count of requests.
async fn answering(answers: &'static [(u16, Option<&'static str>)]) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = async move || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        let (status, after) = answers[n.min(answers.len() - 1)];
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert("retry-after", after.parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), headers)
    };
    (
        serve(Router::new().route("/hook", post(answer))).await,
        asked,
    )
}

/// Reads a request up to the end of an event.
async fn read_event(stream: &mut (impl AsyncRead + Unpin)) {
    let mut request = Vec::new();
    while !request.ends_with(b"\"version\":1}") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
}

/// A receiver that reads the request, writes these bytes and closes the connection.
async fn writing(answer: &'static str) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_event(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_library_for_standard_webhooks_verifies_each_event() {
    type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let receive = async move |headers: HeaderMap, body: Bytes| {
        record.lock().unwrap().push((headers, body));
    };
    let url = serve(Router::new().route("/hook", post(receive))).await;
    let keys = format!("{NEW_SECRET} {SECRET}").parse().unwrap();
    let sink = allowed(WebhookSink::builder(&url, keys)).build().unwrap();
    let event = event();
    sink.send(&event).await.unwrap();
    let unsigned = allowed(WebhookSink::unsigned(&url)).build().unwrap();
    unsigned.send(&event).await.unwrap();
    let seen = seen.lock().unwrap();
    let [(headers, body), (bare, bare_body)] = &seen[..] else {
        panic!("{} requests", seen.len())
    };
    for secret in [SECRET, NEW_SECRET] {
        Webhook::new(secret).unwrap().verify(body, headers).unwrap();
    }
    let text = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(text("webhook-id"), event.id().unwrap().as_str());
    assert_eq!(text("content-type"), "application/json");
    assert_eq!(text("authorization"), "Basic dXNlcjpodW50ZXIy");
    assert_eq!(body, event.to_json().as_bytes());
    assert_eq!(bare_body, body);
    assert!(
        bare.keys()
            .all(|name| !name.as_str().starts_with("webhook-"))
    );
}

#[tokio::test]
async fn events_share_a_connection() {
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let record = Arc::clone(&peers);
    let receive = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        record.lock().unwrap().insert(peer);
        r#"{"status":"queued"}"#
    };
    let url = serve(Router::new().route("/hook", post(receive))).await;
    let sink = builder(url).build().unwrap();
    for _ in 0..50 {
        send(&sink).await.unwrap();
    }
    // The client may open a second one before it sees that the first is free again.
    let connections = peers.lock().unwrap().len();
    println!("{connections} connections for 50 events");
    assert!(connections <= 10, "{connections}");
}

#[tokio::test]
async fn a_receiver_that_fails_gets_the_event_again() {
    let (url, asked) = answering(&[(500, None), (503, None), (404, None), (204, None)]).await;
    let sink = builder(url).backoff(attempts(10)).build().unwrap();
    send(&sink).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let (url, asked) = answering(&[(500, None)]).await;
    let sink = builder(url).backoff(attempts(3)).build().unwrap();
    fails(&sink, "webhook_failed", true).await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (url, asked) = answering(&[(429, Some("1")), (200, None)]).await;
    let sink = builder(url).backoff(attempts(10)).build().unwrap();
    let start = tokio::time::Instant::now();
    send(&sink).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let (url, asked) = answering(&[(429, Some("3000"))]).await;
    let sink = builder(url).build().unwrap();
    fails(&sink, "webhook_failed", true).await;
    fails(&sink, "webhook_paused", true).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_410_for_all_events() {
    let (url, asked) = answering(&[(422, None)]).await;
    let sink = builder(url).backoff(attempts(10)).build().unwrap();
    fails(&sink, "webhook_refused", false).await;
    fails(&sink, "webhook_refused", false).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let (url, asked) = answering(&[(410, None), (200, None)]).await;
    let sink = builder(url).backoff(attempts(10)).build().unwrap();
    fails(&sink, "webhook_gone", false).await;
    fails(&sink, "webhook_gone", false).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let reach = async move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let app = Router::new().route("/other", post(reach));
    let app = app.route("/hook", post(async || Redirect::temporary("/other")));
    let sink = builder(serve(app).await)
        .backoff(attempts(10))
        .build()
        .unwrap();
    fails(&sink, "webhook_redirected", false).await;
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read() {
    for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let receive = async move || {
            let chunk = Bytes::from_static(&[b'x'; 64 << 10]);
            let count = Arc::clone(&count);
            let chunks = std::iter::repeat_with(move || {
                count.fetch_add(chunk.len(), Ordering::Relaxed);
                Ok::<_, std::io::Error>(chunk.clone())
            });
            (status, Body::from_stream(stream::iter(chunks))).into_response()
        };
        let url = serve(Router::new().route("/hook", post(receive))).await;
        let sink = builder(url).backoff(attempts(1)).build().unwrap();
        match status {
            StatusCode::OK => send(&sink).await.unwrap(),
            _ => fails(&sink, "webhook_failed", true).await,
        }
        // The sink closes the connection, so the receiver cannot go on.
        let last = Mutex::new(usize::MAX);
        until("the receiver has stopped", || {
            let now = sent.load(Ordering::Relaxed);
            std::mem::replace(&mut *last.lock().unwrap(), now) == now
        })
        .await;
        let sent = sent.load(Ordering::Relaxed);
        println!("{status}: the receiver has written {} KiB", sent >> 10);
        assert!(sent < 64 << 20, "{sent}");
    }
}

#[tokio::test]
async fn half_an_answer_is_accepted_only_with_its_status() {
    for answer in [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "hunter2\r\n\r\n",
    ] {
        let sink = builder(writing(answer).await)
            .backoff(attempts(2))
            .build()
            .unwrap();
        fails(&sink, "webhook_unreachable", true).await;
    }
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let sink = builder(writing(cut).await)
        .backoff(attempts(1))
        .build()
        .unwrap();
    send(&sink).await.unwrap();
}

#[tokio::test]
async fn headers_without_an_end_are_an_error() {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = "HTTP/1.1 200 OK\r\n";
        while stream.write_all(text.as_bytes()).await.is_ok() {
            text = "x-header: hunter2\r\n";
        }
    });
    let sink = builder(url).backoff(attempts(1)).build().unwrap();
    fails(&sink, "webhook_unreachable", true).await;
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left() {
    let receive = async || std::future::pending::<()>().await;
    let url = serve(Router::new().route("/hook", post(receive))).await;
    let hangs = builder(url).attempt_timeout(Duration::from_millis(100));
    let sink = hangs.backoff(attempts(2)).build().unwrap();
    fails(&sink, "webhook_timeout", true).await;
}

#[tokio::test]
async fn a_dead_receiver_gets_the_event_when_it_is_back() {
    let (listener, url) = listener().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sink = builder(&url).backoff(attempts(2)).build().unwrap();
    fails(&sink, "webhook_unreachable", true).await;
    let long = Backoff::builder()
        .max_interval(Duration::from_millis(200))
        .deadline(LIMIT);
    let sink = builder(url).backoff(long.build().unwrap()).build().unwrap();
    let sending = tokio::spawn(async move { send(&sink).await });
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let receive = async move || {
        count.fetch_add(1, Ordering::Relaxed);
    };
    time::random_moment(Duration::from_secs(1)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let app = Router::new().route("/hook", post(receive));
    tokio::spawn(async { axum::serve(listener, app).await });
    sending.await.unwrap().unwrap();
    assert_eq!(arrived.load(Ordering::Relaxed), 1);
}
