//! Hostile requests, over TCP.

use std::net::SocketAddr;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whatsapp_phone::store::SessionQuery;

use super::time::within_limit;
use super::*;

/// The answers that a mutated request may have: it is refused, or was not changed in what counts.
const ALLOWED: [u16; 12] = [200, 400, 401, 404, 405, 408, 413, 414, 415, 422, 429, 431];

/// Sends bytes and closes its side, and returns the answer.
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

async fn serve() -> (SocketAddr, MemoryStore) {
    let (api, store) = api().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, api.into_router()).await });
    (address, store)
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

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let insert = prop::collection::vec(any::<u8>(), 1..200);
    let text = prop::sample::select(vec![
        "'; DROP TABLE whatsapp_accounts; --",
        "<script>alert(1)</script>",
        "\r\n\r\n",
        "content-length: 99999999\r\n",
        "transfer-encoding: chunked\r\n",
    ]);
    let mutation = prop_oneof![
        (at(), 1..=255u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        at().prop_map(Mutation::Cut),
        (at(), insert).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), text).prop_map(|(at, text)| Mutation::Insert(at, text.into())),
    ];
    prop::collection::vec(mutation, 1..4)
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Flip(at, bits) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        Mutation::Flip(..) => {}
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Mutation::Insert(at, more) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, more.iter().copied());
        }
    }
}

#[test]
fn a_thousand_mutated_requests_are_refused_and_write_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (address, store) = runtime.block_on(serve());
    let rows = |store: &MemoryStore| {
        runtime
            .block_on(store.sessions(&SessionQuery::default()))
            .unwrap()
            .rows
    };
    let before = rows(&store);
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
    assert_eq!(rows(&store), before);
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
    let (api, store) = api().await;
    let app = api.into_router();
    let before = store.sessions(&SessionQuery::default()).await.unwrap();
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
        ("null".into(), 422, "invalid_event"),
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
        assert_eq!(
            refused(&app, signed(body)).await,
            (status, code.into()),
            "{start}"
        );
    }
    assert_eq!(
        store.sessions(&SessionQuery::default()).await.unwrap(),
        before
    );
}

/// The signature of one request does not fit another one.
#[tokio::test]
async fn a_signature_is_refused_for_another_id_time_or_body() {
    let (api, _) = api().await;
    let app = api.into_router();
    let body = ready("session-1", PHONE).to_json();
    let (first, second) = (signed(&*body), signed(ready("session-1", PHONE).to_json()));
    for header in ["webhook-id", "webhook-signature"] {
        let mut replayed = signed(&*body);
        replayed
            .headers_mut()
            .insert(header, second.headers()[header].clone());
        assert_eq!(
            refused(&app, replayed).await,
            (401, "invalid_signature".into()),
            "{header}"
        );
    }
    let (mut parts, _) = first.into_parts();
    let other = Request::from_parts(parts.clone(), Body::from(format!("{body} ")));
    assert_eq!(refused(&app, other).await.0, 401);
    parts
        .headers
        .insert("webhook-timestamp", "1".parse().unwrap());
    let other = Request::from_parts(parts.clone(), Body::from(body.clone()));
    assert_eq!(refused(&app, other).await.0, 401);
    parts.headers.remove("webhook-signature");
    let other = Request::from_parts(parts, Body::from(body));
    assert_eq!(refused(&app, other).await.0, 401);
}
