//! The receiver of webhooks: events from a `WebhookSink`, and requests with invalid heads. Hostile bodies are in
//! `tests/server/hostile.rs`.
#![cfg(all(feature = "server", feature = "webhook"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/time.rs"]
mod time;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use time::within_limit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::signature::{SignatureHeaders, SigningKeys};
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::event::{EventId, EventSink, SessionEvent, SessionKey, SinkError};
use whatsapp_phone::retry::Backoff;
use whatsapp_phone::server::WebhookReceiver;
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::{SessionRow, SessionStore, Status, StoreSink};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATH: &str = "/webhooks/whatsapp";
const PHONE: &str = "628110000041";

fn keys() -> SigningKeys {
    SECRET.parse().unwrap()
}

fn key() -> SessionKey {
    SessionKey::new(7, "session-1").unwrap()
}

fn ready(phone: &str) -> SessionEvent {
    SessionEvent::session_ready(key(), phone.parse::<PhoneNumber>().unwrap())
}

async fn serve(sink: impl EventSink + 'static) -> SocketAddr {
    let receiver = WebhookReceiver::new(keys(), sink);
    let app = Router::new().nest(PATH, receiver.into_router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// A receiver before a store with one session.
async fn receiver() -> (SocketAddr, MemoryStore) {
    let store = MemoryStore::default();
    store.register(&key()).await.unwrap();
    (serve(StoreSink::new(store.clone())).await, store)
}

fn sender(receiver: SocketAddr) -> WebhookSink {
    let builder = WebhookSink::builder(format!("http://{receiver}{PATH}"), keys());
    let builder = builder.allow_http().allow_private_addresses();
    builder.attempt_timeout(time::LIMIT).build().unwrap()
}

async fn row(store: &MemoryStore) -> SessionRow {
    store.session(&key().session_id).await.unwrap().unwrap()
}

/// Sends this text, and returns the status and the body of the answer.
async fn raw(receiver: SocketAddr, request: &[u8]) -> (u16, String) {
    let answer = within_limit("an answer", async {
        let mut stream = TcpStream::connect(receiver).await.unwrap();
        // The receiver may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    });
    let answer = answer.await;
    let status = answer
        .get(9..12)
        .unwrap_or_else(|| panic!("no status: {answer:?}"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn head(method: &str, path: &str, kind: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: receiver\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n"
    )
}

fn request(headers: &SignatureHeaders, body: &[u8]) -> Vec<u8> {
    let mut request = head("POST", PATH, "application/json; charset=utf-8", body.len());
    request += &format!(
        "webhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n",
        headers.id.as_str(),
        headers.timestamp,
        headers.signature
    );
    [request.as_bytes(), body].concat()
}

fn signed_at(now: SystemTime, body: &[u8]) -> Vec<u8> {
    let id = EventId::new("event-1").unwrap();
    request(&keys().sign(&id, now, body), body)
}

fn signed(body: &[u8]) -> Vec<u8> {
    signed_at(SystemTime::now(), body)
}

#[tokio::test]
async fn an_event_is_in_the_store_when_the_sender_has_its_answer() {
    let (address, store) = receiver().await;
    let sink = sender(address);
    sink.send(&SessionEvent::session_authenticated(key()))
        .await
        .unwrap();
    assert_eq!(row(&store).await.status, Status::Authenticated);
    sink.send(&ready(PHONE)).await.unwrap();
    let row = row(&store).await;
    assert_eq!(
        (row.status, row.phone.unwrap().reveal()),
        (Status::Connected, PHONE)
    );
}

#[tokio::test]
async fn a_refusal_of_the_store_reaches_the_sender_with_its_code() {
    let (address, store) = receiver().await;
    let sink = sender(address);
    sink.send(&ready(PHONE)).await.unwrap();
    let error = sink.send(&ready("628110000042")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        ("rebind_refused", false)
    );
    assert_eq!(row(&store).await.phone.unwrap().reveal(), PHONE);
    let other = SessionKey::new(7, "session-2").unwrap();
    let error = sink
        .send(&SessionEvent::session_authenticated(other))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.is_transient()),
        ("unknown_session", false)
    );
}

/// A sink that fails with this error.
struct Fails(fn() -> SinkError);

#[async_trait::async_trait]
impl EventSink for Fails {
    fn name(&self) -> &str {
        "fails"
    }

    async fn send(&self, _: &SessionEvent) -> Result<(), SinkError> {
        Err((self.0)())
    }
}

#[tokio::test]
async fn no_failure_of_the_sink_is_answered_2xx() {
    let body = ready(PHONE).to_json();
    for (fails, status, code) in [
        (
            (|| SinkError::transient("storage", "628110000041")) as fn() -> SinkError,
            503,
            "storage",
        ),
        (
            || SinkError::permanent("storage", "628110000041"),
            500,
            "storage",
        ),
        (
            || SinkError::permanent("invalid_event", ""),
            422,
            "invalid_event",
        ),
        (
            || SinkError::permanent("number_already_connected", ""),
            409,
            "number_already_connected",
        ),
        (|| panic!("a bug"), 503, "sink_panicked"),
    ] {
        let address = serve(Fails(fails)).await;
        let (answered, problem) = raw(address, &signed(body.as_bytes())).await;
        assert_eq!(answered, status, "{problem}");
        assert!(
            problem.contains(&format!(r#""code":"{code}""#)),
            "{problem}"
        );
        assert!(!problem.contains("62"), "{problem}");
    }
}

/// A store's sink, which fails for one session.
struct Poisoned(StoreSink);

#[async_trait::async_trait]
impl EventSink for Poisoned {
    fn name(&self) -> &str {
        "poisoned"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        match event.session().unwrap() == &key() {
            true => Err(SinkError::transient("poisoned", "")),
            false => self.0.send(event).await,
        }
    }
}

#[tokio::test]
async fn a_session_whose_events_fail_does_not_stop_the_others() {
    let store = MemoryStore::default();
    let address = serve(Poisoned(StoreSink::new(store.clone()))).await;
    let builder = WebhookSink::builder(format!("http://{address}{PATH}"), keys());
    let builder = builder.allow_http().allow_private_addresses();
    // A pause of a second would be longer than this deadline, and `send` would fail at once.
    let backoff = Backoff::builder()
        .attempts(1)
        .deadline(Duration::from_millis(500));
    let builder = builder.backoff(backoff.build().unwrap());
    let sink = builder.attempt_timeout(time::LIMIT).build().unwrap();
    for n in 0..3 {
        let error = sink.send(&ready(PHONE)).await.unwrap_err();
        assert_eq!(error.code(), "webhook_failed");
        let healthy = SessionKey::new(7, format!("healthy-{n}")).unwrap();
        store.register(&healthy).await.unwrap();
        let event = SessionEvent::session_authenticated(healthy);
        sink.send(&event).await.unwrap();
    }
}

#[tokio::test]
async fn a_repeated_request_changes_nothing_and_a_stale_one_is_refused() {
    let (address, store) = receiver().await;
    let json = r#"{"event":"session_ready","data":{"workspace_id":7,"session_id":"session-1","phone_number":"628110000041","status":"connected"}}"#;
    let request = signed(json.as_bytes());
    let accepted = (200, r#"{"status":"processed_inline"}"#.to_owned());
    assert_eq!(raw(address, &request).await, accepted);
    let first = row(&store).await;
    let end = SessionEvent::session_disconnected(key(), "LOGOUT");
    sender(address).send(&end).await.unwrap();
    let ended = row(&store).await;
    assert_ne!(ended, first);
    // The event is recognised by its `webhook-id`, so it does not connect the session again.
    assert_eq!(raw(address, &request).await, accepted);
    assert_eq!(row(&store).await, ended);
    let now = SystemTime::now();
    for time in [
        now - Duration::from_secs(330),
        now + Duration::from_secs(330),
    ] {
        let (status, problem) = raw(address, &signed_at(time, json.as_bytes())).await;
        assert!(
            status == 401 && problem.contains("invalid_signature"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn requests_with_invalid_heads_have_their_status_and_write_nothing() {
    let (address, store) = receiver().await;
    let json = ready(PHONE).to_json();
    let before = row(&store).await;
    let plain = |method, path, kind| format!("{}\r\n", head(method, path, kind, 0)).into_bytes();
    let mut unsigned = head("POST", PATH, "application/json", json.len());
    unsigned += &format!("\r\n{json}");
    let mut twice = String::from_utf8(signed(json.as_bytes())).unwrap();
    twice = twice.replacen("webhook-id", "webhook-id: event-1\r\nwebhook-id", 1);
    let other: SigningKeys = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct".parse().unwrap();
    let id = EventId::new("event-1").unwrap();
    let other = other.sign(&id, SystemTime::now(), json.as_bytes());
    let large = String::from_utf8(signed(b"")).unwrap();
    let large = large.replace("content-length: 0", "content-length: 10485760");
    for (what, request, status, code) in [
        (
            "no signature",
            unsigned.into_bytes(),
            401,
            "invalid_signature",
        ),
        (
            "a header twice",
            twice.into_bytes(),
            401,
            "invalid_signature",
        ),
        (
            "another key",
            request(&other, json.as_bytes()),
            401,
            "invalid_signature",
        ),
        ("large", large.into_bytes(), 413, "too_large"),
        (
            "a form",
            plain("POST", PATH, "application/x-www-form-urlencoded"),
            415,
            "not_json",
        ),
        (
            "GET",
            plain("GET", PATH, "application/json"),
            405,
            "method_not_allowed",
        ),
        (
            "another path",
            plain("POST", "/webhooks/whatsapp/x", "application/json"),
            404,
            "not_found",
        ),
    ] {
        let (answered, problem) = raw(address, &request).await;
        assert_eq!(answered, status, "{what}: {problem}");
        let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(problem["code"], code, "{what}");
        assert_eq!(problem["status"], status, "{what}");
    }
    assert_eq!(row(&store).await, before);
}

#[tokio::test]
async fn a_body_without_a_length_is_read_up_to_the_limit() {
    let (address, _) = receiver().await;
    let headers = String::from_utf8(signed(b"")).unwrap();
    let headers = headers.replace("content-length: 0", "transfer-encoding: chunked");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(headers.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    let mut sent = 0;
    within_limit("the receiver closes the connection", async {
        while stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
    })
    .await;
    println!("closed after {} KiB", sent >> 10);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let (address, _) = receiver().await;
    let json = ready(PHONE).to_json();
    let mut half = signed(json.as_bytes());
    half.truncate(half.len() - 1);
    let (status, problem) = raw(address, &half).await;
    assert!(
        status == 408 && problem.contains("slow_request"),
        "{problem}"
    );
}

#[tokio::test]
async fn changed_requests_are_refused() {
    let (address, store) = receiver().await;
    let before = row(&store).await;
    let body = ready(PHONE).to_json().into_bytes();
    let id = EventId::new("event-1").unwrap();
    let signed = keys().sign(&id, SystemTime::now(), &body);
    for _ in 0..1000 {
        let (mut headers, mut body) = (signed.clone(), body.clone());
        let flip = |text: &mut String| {
            let mut bytes = text.clone().into_bytes();
            let at = fastrand::usize(..bytes.len());
            // Another visible character.
            bytes[at] = b'!' + (bytes[at] - b'!' + fastrand::u8(1..94)) % 94;
            *text = String::from_utf8(bytes).unwrap();
        };
        match fastrand::u8(..6) {
            0 => flip(&mut headers.signature),
            1 => flip(&mut headers.timestamp),
            2 => headers
                .signature
                .truncate(fastrand::usize(..headers.signature.len())),
            3 => headers.id = EventId::new(&format!("event-{}", fastrand::u8(2..))).unwrap(),
            4 => body.truncate(fastrand::usize(..body.len())),
            _ => {
                let at = fastrand::usize(..body.len());
                body[at] ^= fastrand::u8(1..);
            }
        }
        let request = request(&headers, &body);
        let (status, problem) = raw(address, &request).await;
        assert_eq!(status, 401, "{problem} for {headers:?}");
    }
    assert_eq!(row(&store).await, before);
}
