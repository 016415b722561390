//! Measures the time from a signed `session_ready` over HTTP to its answer, with 16 clients at once, beside the time
//! of the store's own `apply` in the same run. The store is an SQLite file with durable settings.
//!
//! ```sh
//! cargo bench --bench server --features server,sqlite
//! ```
//!
//! Every client has a connection, a session and a number of its own. It connects the session (timed) and disconnects
//! it (not timed), 20 times to warm up, then 200 times: by HTTP and by `apply` in turns, three times each.

// A bench has no caller to report to.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::signature::SigningKeys;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::server::{AccessTokens, Api, WebhookReceiver};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions, StoreSink};

const CLIENTS: u32 = 16;
const WARM_UP: usize = 20;
const TIMES: usize = 200;
const ANSWER: &str = r#"{"status":"processed_inline"}"#;

fn keys() -> SigningKeys {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

/// How a client sends its events.
enum Client {
    Http(BufReader<TcpStream>),
    Apply(SqliteStore),
}

impl Client {
    async fn send(&mut self, event: &SessionEvent) {
        match self {
            Self::Apply(store) => drop(store.apply(event).await.unwrap()),
            Self::Http(stream) => post(stream, event).await,
        }
    }
}

async fn post(stream: &mut BufReader<TcpStream>, event: &SessionEvent) {
    let body = event.to_json();
    let headers = keys().sign(event.id().unwrap(), SystemTime::now(), body.as_bytes());
    let request = format!(
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n{body}",
        body.len(),
        headers.id.as_str(),
        headers.timestamp,
        headers.signature
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
    }
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ANSWER.as_bytes());
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store").display());
    let options = StoreOptions::default().create_tables();
    let store = SqliteStore::connect(&url, options).await.unwrap();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let api = Api::new(store.clone(), AccessTokens::default()).receiver(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, api.into_router()).await });

    let (mut http, mut apply) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        http.extend(measure(&store, Some(address)).await);
        apply.extend(measure(&store, None).await);
    }
    println!("{:<8} {:>10} {:>10} {:>10}", "", "median", "p95", "max");
    let mut p95 = Vec::new();
    for (name, mut times) in [("http", http), ("apply", apply)] {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!(
            "{name:<8} {:>7.3} ms {:>7.3} ms {:>7.3} ms",
            at(50),
            at(95),
            at(100)
        );
        p95.push(at(95));
    }
    println!("p95 of http over that of apply: {:.3} ms", p95[0] - p95[1]);
}

/// Times the `session_ready` of all clients.
async fn measure(store: &SqliteStore, address: Option<SocketAddr>) -> Vec<Duration> {
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let session = SessionKey::new(7, format!("session-{n}")).unwrap();
        store.register(&session).await.unwrap();
        let phone: PhoneNumber = format!("62811000{n:04}").parse().unwrap();
        let mut client = match address {
            Some(address) => {
                Client::Http(BufReader::new(TcpStream::connect(address).await.unwrap()))
            }
            None => Client::Apply(store.clone()),
        };
        clients.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..WARM_UP + TIMES {
                let event = SessionEvent::session_ready(session.clone(), phone.clone());
                let start = Instant::now();
                client.send(&event).await;
                times.push(start.elapsed());
                client
                    .send(&SessionEvent::session_disconnected(
                        session.clone(),
                        "LOGOUT",
                    ))
                    .await;
            }
            times.split_off(WARM_UP)
        });
    }
    clients.join_all().await.concat()
}
