//! The memory of a server that gets large and slow requests.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::process::Server;
use super::time::within_limit;
use super::*;

const CLIENTS: usize = 200;
const LARGE: usize = 10 << 20;
/// Clients that may send 2 GB: a server that kept a thirtieth of it would exceed this.
const MAX_GROWTH: usize = 64 << 20;

/// Returns the head of a webhook with this header for the length of its body.
fn head(length: &str) -> String {
    let mut head = format!("POST {WEBHOOK} HTTP/1.1\r\nhost: h\r\n{length}\r\n");
    for (name, value) in signed("").headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head + "\r\n"
}

/// Sends a start and so many bytes after it, or fewer if the server closes the connection, and returns the start of
/// the answer.
async fn send(address: SocketAddr, start: &str, chunk: &[u8], bytes: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    for _ in 0..bytes.div_ceil(chunk.len()) {
        if stream.write_all(chunk).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    // The server may reset the connection, since it has not read everything.
    let _ = stream.read_exact(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_slow_requests_need_little_memory() {
    let server = Server::start().await;
    let (address, before) = (server.address, server.memory("VmRSS:"));
    let spaces = vec![b' '; 60_000];
    let chunk = [b"ea60\r\n", &spaces[..], b"\r\n"].concat();
    let length = format!("content-length: {LARGE}");
    for (what, start, chunk, bytes, status) in [
        (
            "a head without an end",
            "GET / HTTP/1.1\r\nx: ".to_owned(),
            vec![b'x'; 60_000],
            LARGE,
            "431",
        ),
        ("a large body", head(&length), spaces.clone(), LARGE, "413"),
        (
            "a body without a length",
            head("transfer-encoding: chunked"),
            chunk,
            LARGE,
            "413",
        ),
        (
            "a slow body",
            head("content-length: 65000"),
            spaces.clone(),
            60_000,
            "408",
        ),
    ] {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (start, chunk) = (start.clone(), chunk.clone());
            clients.spawn(async move { send(address, &start, &chunk, bytes).await });
        }
        let answers = within_limit("all have their answer", clients.join_all()).await;
        let answered = answers
            .iter()
            .filter(|answer| answer.ends_with(status))
            .count();
        let reset = answers
            .iter()
            .filter(|answer| answer.starts_with('\0'))
            .count();
        assert_eq!(answered + reset, CLIENTS, "{what}: {answers:?}");
        assert!(answered > 0, "{what}");
        let growth = server.memory("VmHWM:").saturating_sub(before);
        println!(
            "{CLIENTS} times {what}: the server grew by {} KiB at most",
            growth >> 10
        );
        assert!(growth < MAX_GROWTH, "{what}: {growth} bytes");
    }
}
