//! Many readers of the streams of one process. Their memory is printed: most of it is that of axum's connections, and
//! a debug build needs more than the 32 KiB that a reader may take.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::process::{SESSIONS, Server, session};
use super::time::within_limit;
use super::*;

const WATCHERS: usize = 500;
const SENDERS: usize = 16;

fn phone(number: usize) -> String {
    format!("6281100{number:05}")
}

/// Reads a stream until it has seen that every session is connected. Returns the number of states that it saw, and
/// the stream, which stays open.
async fn watch(mut stream: TcpStream) -> (usize, TcpStream) {
    let mut last = vec![false; SESSIONS];
    let (mut seen, mut text) = (0, String::new());
    let mut buffer = vec![0; 16 << 10];
    while !last.iter().all(|is_connected| *is_connected) {
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the stream has ended");
        text += std::str::from_utf8(&buffer[..read]).unwrap();
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        for line in text[..end].lines() {
            let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "{}") else {
                continue;
            };
            let data: Value = serde_json::from_str(data).unwrap();
            let number = data["session_id"]
                .as_str()
                .unwrap()
                .strip_prefix("session-")
                .unwrap();
            last[number.parse::<usize>().unwrap()] = data["status"] == "connected";
            seen += 1;
        }
        text.drain(..end);
    }
    (seen, stream)
}

/// Connects a reader and waits for the answer's head.
async fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {EVENTS} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

/// Sends an event of the sessions `first`, `first + SENDERS`, ... by webhooks over one connection.
async fn send_all(address: SocketAddr, first: usize, event: fn(usize) -> SessionEvent) {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    for number in (first..SESSIONS).step_by(SENDERS) {
        let body = event(number).to_json();
        let mut request = format!(
            "POST {WEBHOOK} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in signed(&*body).headers() {
            request += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        request += &format!("\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        within_limit("an answer", stream.read_line(&mut line))
            .await
            .unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        let mut answer = [0; r#"{"status":"processed_inline"}"#.len()];
        stream.read_exact(&mut answer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_watchers_see_the_final_state_of_a_thousand_sessions() {
    let server = Server::start().await;
    let (address, resident) = (server.address, || server.memory("VmRSS:"));

    // The first reader pays for the log of the workspace, and the first events for the senders.
    let _first = open(address).await;
    let send = async |event: fn(usize) -> SessionEvent| {
        let senders: JoinSet<_> = (0..SENDERS)
            .map(|first| send_all(address, first, event))
            .collect();
        senders.join_all().await;
    };
    send(|number| SessionEvent::session_authenticated(key(&session(number)))).await;
    let before = resident();
    let mut watchers = JoinSet::new();
    within_limit("all connect", async {
        for _ in 0..WATCHERS {
            watchers.spawn(watch(open(address).await));
        }
    })
    .await;
    let opened = resident().saturating_sub(before) / WATCHERS;
    send(|number| ready(&session(number), &phone(number))).await;
    let mut watched = Vec::new();
    while let Some(seen) = within_limit("one more sees all", watchers.join_next()).await {
        watched.push(seen.unwrap());
    }
    assert_eq!(watched.len(), WATCHERS);
    let each = resident().saturating_sub(before) / WATCHERS;
    let seen = || watched.iter().map(|(seen, _)| *seen);
    println!(
        "{WATCHERS} watchers of {SESSIONS} sessions: {each} bytes of resident memory each ({opened} when all had connected), {} to {} states seen",
        seen().min().unwrap(),
        seen().max().unwrap()
    );
}
