//! Hostile requests to the routes over an SQLite file.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whatsapp_phone::server;

use super::mutations::{mutate, mutations};
use super::time::{cancel_after, within_limit};
use super::*;

/// The answers that a mutated request may have: it is refused, or was not changed in what counts.
const ALLOWED: [u16; 12] = [200, 400, 401, 404, 405, 408, 413, 414, 415, 422, 429, 431];

/// Sends these bytes, and returns the answer. `ends`: nothing more will be sent, so the server closes a connection whose
/// request is not whole; it may also close one that it has not answered yet.
async fn send(address: SocketAddr, bytes: &[u8], ends: bool) -> String {
    within_limit("an answer", async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        if ends {
            let _ = stream.shutdown().await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    })
    .await
}

fn routes(store: &SqliteStore) -> Router {
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let api = Api::new(store.clone(), tokens()).receiver(receiver);
    api.into_router()
}

async fn serve(app: Router, connections: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::serve(listener, app, connections, pending()));
    address
}

/// Valid requests of each kind, but with the signature or token of another sender.
fn requests() -> Vec<Vec<u8>> {
    let other: SigningKeys = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct".parse().unwrap();
    let body = ready("session-1", PHONE).to_json();
    let headers = other.sign(&new_id(), SystemTime::now(), body.as_bytes());
    let webhook = format!(
        "POST {WEBHOOK} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n{body}",
        body.len(),
        headers.id.as_str(),
        headers.timestamp,
        headers.signature
    );
    let read = format!(
        "GET {} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        status_of("session-1"),
        TOKEN.replace('5', "6")
    );
    vec![webhook.into_bytes(), read.into_bytes()]
}

#[test]
fn a_thousand_mutated_requests_are_refused_and_write_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = runtime.block_on(sqlite(&directory));
    let address = runtime.block_on(async { serve(routes(&store), 100).await });
    let before = runtime.block_on(rows(&store));
    let config = ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(which in 0..2usize, mutations in mutations())| {
        let mut request = requests().swap_remove(which);
        for mutation in &mutations {
            mutate(&mut request, mutation);
        }
        let answer = runtime.block_on(send(address, &request, true));
        // hyper closes without an answer if there is not even a request line.
        if !answer.is_empty() {
            let status: u16 = answer.get(9..12).unwrap().parse().unwrap();
            prop_assert!(ALLOWED.contains(&status), "{}", answer);
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let is_reflected = ["62811", "script", "DROP", TOKEN].iter().any(|text| body.contains(text));
            prop_assert!(!is_reflected, "{}", answer);
        }
    });
    assert_eq!(runtime.block_on(rows(&store)), before);
    let health = runtime.block_on(send(
        address,
        b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        false,
    ));
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

/// A signed event whose body is hostile.
#[tokio::test]
async fn signed_nonsense_has_its_status_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory).await;
    let app = routes(&store);
    let before = rows(&store).await;
    let event = |data: &str| format!(r#"{{"event":"session_ready","data":{data}}}"#);
    for (body, status, code) in [
        (String::new(), 400, "invalid_json"),
        ("[".repeat(60_000), 400, "invalid_json"),
        (
            format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)),
            400,
            "invalid_json",
        ),
        ("x".repeat(10 << 20), 413, "too_large"),
        ("hello".into(), 400, "invalid_json"),
        ("null".into(), 422, "invalid_event"),
        ("{}".into(), 422, "invalid_event"),
        (event("{}"), 422, "invalid_event"),
        (
            event(r#"{"workspace_id":7,"session_id":"session-1","phone_number":null}"#),
            422,
            "invalid_event",
        ),
        (
            event(r#"{"workspace_id":7,"session_id":"session-1","phone_number":628110000041}"#),
            422,
            "invalid_event",
        ),
        (
            event(r#"{"workspace_id":7,"session_id":"<script>","phone_number":"628110000041"}"#),
            404,
            "unknown_session",
        ),
        ("[]".into(), 422, "invalid_event"),
        (r#"{"event":7}"#.into(), 422, "invalid_event"),
        (event("[]"), 422, "invalid_event"),
        (
            event(r#"{"workspace_id":7.5,"session_id":"session-1","phone_number":"628110000041"}"#),
            422,
            "invalid_event",
        ),
        (
            event(r#"{"workspace_id":7,"session_id":{"$ne":null},"phone_number":"628110000041"}"#),
            422,
            "invalid_event",
        ),
        (
            event(r#"{"workspace_id":7,"session_id":"session-1","phone_number":["628110000041"]}"#),
            422,
            "invalid_event",
        ),
        (
            event(r#"{"workspace_id":7,"session_id":"session-1","phone_number":"1 OR 1=1"}"#),
            422,
            "invalid_event",
        ),
        (
            event(
                r#"{"workspace_id":7,"session_id":"x'; DROP TABLE whatsapp_accounts; --","phone_number":"628110000041"}"#,
            ),
            404,
            "unknown_session",
        ),
        (
            event(r#"{"workspace_id":8,"session_id":"session-1","phone_number":"628110000041"}"#),
            404,
            "unknown_session",
        ),
    ] {
        let start = body.get(..40).unwrap_or(&body).to_owned();
        let (answered, _, problem) = ask(&app, signed(body)).await;
        assert_eq!(
            (answered, problem["code"].as_str()),
            (status, Some(code)),
            "{start}"
        );
        let text = problem.to_string();
        assert!(
            !text.contains("62811") && !text.contains("script"),
            "{text}"
        );
    }
    let no_utf_8 = signed(b"{\"event\":\"\xff\"}".to_vec());
    assert_eq!(refused(&app, no_utf_8).await, (400, "invalid_json".into()));
    assert_eq!(rows(&store).await, before);
}

/// In any part of it, before the first request and after an answer.
#[tokio::test]
async fn a_client_that_sends_no_whole_head_is_disconnected() {
    let address = serve(Router::new(), 10).await;
    let request = "GET / HTTP/1.1\r\nhost: h\r\n\r\n";
    let clients = ["", "GET / HTT", request].map(async |text| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let ended = within_limit("the end", stream.read_to_string(&mut answer));
        ended.await.unwrap();
        answer
    });
    let answers = join_all(clients).await;
    assert!(answers[2].starts_with("HTTP/1.1 404"), "{answers:?}");
}

#[tokio::test]
async fn a_long_head_is_refused() {
    let address = serve(Router::new(), 10).await;
    let ask = async |length: usize| {
        let head = format!(
            "GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n",
            "x".repeat(length)
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 12];
        let asked = async {
            stream.write_all(head.as_bytes()).await?;
            stream.read_exact(&mut answer).await
        };
        // It may close the connection before the client has read the answer.
        let read = within_limit("an answer", asked).await.is_ok();
        read.then(|| String::from_utf8(answer.to_vec()).unwrap())
    };
    assert_eq!(ask(30_000).await.as_deref(), Some("HTTP/1.1 404"));
    let refused = ask(200_000).await;
    assert!(refused.is_none_or(|answer| answer == "HTTP/1.1 431"));
}

#[tokio::test]
async fn a_further_client_waits_until_a_connection_ends() {
    let address = serve(Router::new(), 2).await;
    let request = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";
    let connect = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream
    };
    let mut answer = [0; 12];
    let mut connected = Vec::new();
    for _ in 0..2 {
        let mut stream = connect().await;
        let read = within_limit("an answer", stream.read_exact(&mut answer));
        read.await.unwrap();
        connected.push(stream);
    }
    let mut third = connect().await;
    cancel_after(Duration::from_millis(300), third.read_exact(&mut answer)).await;
    connected.pop();
    let read = within_limit("an answer", third.read_exact(&mut answer));
    read.await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
}
