//! A server that answers as the debugging port of a Chrome with one tab, until it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// The origin of its page.
pub(crate) const ORIGIN: &str = "http://127.0.0.1:9";

/// The things that it may do in place of an answer to a script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    NotJson,
    Binary,
    InvalidFrame,
    FiftyMegabytes,
    Cut,
    HalfAFrame,
    WrongId,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::NotJson,
        Self::Binary,
        Self::InvalidFrame,
        Self::FiftyMegabytes,
        Self::Cut,
        Self::HalfAFrame,
        Self::WrongId,
    ];
    /// Those that end the socket.
    pub(crate) const LOUD: [Self; 5] = [
        Self::NotJson,
        Self::Binary,
        Self::InvalidFrame,
        Self::FiftyMegabytes,
        Self::Cut,
    ];
}

pub(crate) struct FakeChrome {
    pub(crate) address: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeChrome {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Starts it. It fails at the first scripts, so many of them.
pub(crate) async fn fake_chrome(fault: Fault, faults: usize) -> FakeChrome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let left = Arc::new(AtomicUsize::new(faults));
    let host = address.clone();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, host.clone(), fault, Arc::clone(&left)));
        }
    });
    FakeChrome { address, server }
}

async fn serve(mut stream: TcpStream, host: String, fault: Fault, left: Arc<AtomicUsize>) {
    let mut start = [0; 64];
    let len = stream.peek(&mut start).await.unwrap_or(0);
    let start = String::from_utf8_lossy(&start[..len]).into_owned();
    let socket = format!("ws://{host}/devtools/browser/1");
    let body = if start.starts_with("GET /json/version") {
        json!({"Browser": "Chrome/156", "webSocketDebuggerUrl": socket})
    } else if start.starts_with("GET /json/list") {
        json!([{"id": "T", "type": "page", "url": format!("{ORIGIN}/")}])
    } else {
        return converse(stream, fault, &left).await;
    };
    let _ = stream.read(&mut [0; 4096]).await;
    let body = body.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn converse(stream: TcpStream, fault: Fault, left: &AtomicUsize) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.to_text() else { return };
        let Ok(command) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let answer = |id: u64, result: Value| json!({"id": id, "result": result}).to_string();
        let id = command["id"].as_u64().unwrap();
        if command["method"] != "Runtime.evaluate" {
            let _ = socket.send(Message::text(answer(id, json!({})))).await;
            continue;
        }
        let count = |left: usize| left.checked_sub(1);
        let fails = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        let page = json!({"result": {"type": "object", "value": envelope()}});
        let sent = match (fails, fault) {
            (Err(_), _) => socket.send(Message::text(answer(id, page))).await,
            (_, Fault::NotJson) => socket.send(Message::text("<h1>502</h1>")).await,
            (_, Fault::Binary) => socket.send(Message::binary(vec![1, 2, 3])).await,
            (_, Fault::FiftyMegabytes) => socket.send(Message::text(" ".repeat(50 << 20))).await,
            (_, Fault::WrongId) => socket.send(Message::text(answer(id + 1000, page))).await,
            (_, Fault::Cut) => return,
            (_, Fault::InvalidFrame) => {
                let _ = socket.get_mut().write_all(&[0xff; 64]).await;
                Ok(())
            }
            (_, Fault::HalfAFrame) => {
                let _ = socket
                    .get_mut()
                    .write_all(&[0x81, 0x7e, 0x10, 0x00, b'{'])
                    .await;
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Returns the look at a page without an account.
fn envelope() -> Value {
    json!({
        "mark": "m", "origin": ORIGIN, "document": "1", "rows": {}, "registered": false,
        "storage": {"noise": false, "me": false}, "isCurrent": true, "isBooted": true, "isLoaded": true,
    })
}
