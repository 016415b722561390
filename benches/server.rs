//! Measures the `server`. Exits with an error if a bound is exceeded.
//!
//! 1. The time from a signed `session_ready` over HTTP to its answer, with 16 clients at once, beside the time of the
//!    store's own `apply` in the same run. The store is an SQLite file with durable settings. Bound: the p95 is at most
//!    5 ms over that of `apply`.
//! 2. The resident memory of a server process for each of 500 readers of the stream of a workspace with 1,000 sessions,
//!    after each reader has got two states of every session. Bound: 32 KiB for each reader.
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
use std::process::{ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::signature::SigningKeys;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::server::{AccessTokens, Api, WebhookReceiver, serve};
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions, StoreSink};

const CLIENTS: u32 = 16;
const WARM_UP: usize = 20;
const TIMES: usize = 200;
/// The most time over that of `apply`, at the p95, in milliseconds.
const MAX_OVER_APPLY: f64 = 5.0;

const READERS: usize = 500;
const SESSIONS: usize = 1_000;
/// The most memory of a reader, in KiB.
const MAX_READER: f64 = 32.0;
/// The argument of the process whose memory is measured.
const SERVE: &str = "serve";
const TOKEN: &str = "5f0e3c9a1d7b4286a94be1c07d3f5e82";

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
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        serve_readers().await;
    }
    let over = measure_requests().await;
    println!("http over apply, p95: {over:.3} ms (at most {MAX_OVER_APPLY} ms)");
    let reader = measure_readers().await;
    println!("memory per reader: {reader:.1} KiB (at most {MAX_READER} KiB)");
    match over <= MAX_OVER_APPLY && reader <= MAX_READER {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Returns the p95 of a request over that of `apply`, in milliseconds.
async fn measure_requests() -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store").display());
    let options = StoreOptions::default().create_tables();
    let store = SqliteStore::connect(&url, options).await.unwrap();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let api = Api::new(store.clone(), AccessTokens::default()).receiver(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(
        listener,
        api.into_router(),
        1_000,
        std::future::pending(),
    ));

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
    p95[0] - p95[1]
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

fn session(number: usize) -> SessionKey {
    SessionKey::new(7, format!("session-{number}")).unwrap()
}

/// Serves a store in memory until the process is killed. Prints its address.
async fn serve_readers() {
    let store = MemoryStore::default();
    for number in 0..SESSIONS {
        store.register(&session(number)).await.unwrap();
    }
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let tokens = AccessTokens::default().allow(7, TOKEN).unwrap();
    let api = Api::new(store, tokens).receiver(receiver);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    serve(listener, api.into_router(), 1_000, std::future::pending()).await;
}

/// Returns the resident memory of a process for each reader, in KiB.
async fn measure_readers() -> f64 {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg(SERVE)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let process = server.id().unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    output.read_line(&mut line).await.unwrap();
    let address: SocketAddr = line.trim().parse().unwrap();

    // The first reader pays for the log of the workspace, and the first events for the sender's connection.
    let mut sender = BufReader::new(TcpStream::connect(address).await.unwrap());
    let first = read(open(address).await, "qr_scanning").await;
    send_all(&mut sender, SessionEvent::session_authenticated).await;
    let first = read(first, "authenticated").await;
    let before = resident(process);
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let reader = open(address).await;
        readers.spawn(read(reader, "authenticated"));
    }
    let open = readers.join_all().await;
    let mut readers = JoinSet::new();
    for reader in open {
        readers.spawn(read(reader, "connected"));
    }
    let phone = |number: &SessionKey| {
        let digits = number.session_id.as_str().trim_start_matches("session-");
        format!("6281100{digits:0>5}")
            .parse::<PhoneNumber>()
            .unwrap()
    };
    send_all(&mut sender, |session| {
        let phone = phone(&session);
        SessionEvent::session_ready(session, phone)
    })
    .await;
    let open = readers.join_all().await;
    let grown = resident(process).saturating_sub(before);
    drop((first, open));
    server.kill().await.unwrap();
    grown as f64 / READERS as f64
}

/// Sends an event of every session, one after the other.
async fn send_all(sender: &mut BufReader<TcpStream>, event: impl Fn(SessionKey) -> SessionEvent) {
    for number in 0..SESSIONS {
        post(sender, &event(session(number))).await;
    }
}

async fn open(address: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /api/v1/whatsapp/accounts/events HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    BufReader::new(stream)
}

/// Reads a stream until every session has had this status.
async fn read(mut stream: BufReader<TcpStream>, status: &str) -> BufReader<TcpStream> {
    let status = format!(r#""status":"{status}""#);
    let mut seen = std::collections::HashSet::new();
    let mut line = String::new();
    while seen.len() < SESSIONS {
        line.clear();
        assert_ne!(
            stream.read_line(&mut line).await.unwrap(),
            0,
            "the stream has ended"
        );
        if line.contains(&status) {
            let at = line.find("session-").unwrap();
            seen.insert(line[at..].split('"').next().unwrap().to_owned());
        }
    }
    stream
}

/// The resident memory of a process, in KiB.
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
}
