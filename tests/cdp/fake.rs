//! A server that answers as the debugging port of a Chrome with one tab, until it fails.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{cancel_after, ms};

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
    CutInAFrame,
    HalfAFrame,
    WrongId,
    EndlessEvents,
    /// The page is at another origin.
    OtherOrigin,
    /// Every socket takes two seconds to open.
    SlowHandshake,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::NotJson,
        Self::Binary,
        Self::InvalidFrame,
        Self::FiftyMegabytes,
        Self::Cut,
        Self::CutInAFrame,
        Self::HalfAFrame,
        Self::WrongId,
        Self::EndlessEvents,
        Self::OtherOrigin,
    ];
    /// Those that end the socket.
    pub(crate) const LOUD: [Self; 6] = [
        Self::NotJson,
        Self::Binary,
        Self::InvalidFrame,
        Self::FiftyMegabytes,
        Self::Cut,
        Self::CutInAFrame,
    ];
}

/// The answers to new connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answers {
    Chrome,
    /// Those of a stopped Chrome.
    None,
    /// Those of a tunnel to a Chrome that it does not reach.
    BadGateway,
    /// The connection is closed within the first line.
    BrokenOff,
    /// Those of another Chrome at the same address.
    OtherChrome,
    /// Those of a Chrome that has closed the tab since it gave the list.
    NoTab,
}

pub(crate) struct FakeChrome {
    pub(crate) address: String,
    pub(crate) answers: Arc<Mutex<Answers>>,
    /// The number of scripts at which it still fails.
    left: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl FakeChrome {
    /// Returns whether it has used all its faults.
    pub(crate) fn has_failed(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

impl Drop for FakeChrome {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Starts it. It fails at the first scripts, so many of them.
pub(crate) async fn fake_chrome(fault: Fault, faults: usize) -> FakeChrome {
    start(fault, faults, false).await
}

/// Starts it. It fails at the first slice of a wait.
pub(crate) async fn fake_chrome_that_fails_in_a_slice(fault: Fault) -> FakeChrome {
    start(fault, 1, true).await
}

async fn start(fault: Fault, faults: usize, only_slices: bool) -> FakeChrome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let left = Arc::new(AtomicUsize::new(faults));
    let host = address.clone();
    let answers = Arc::new(Mutex::new(Answers::Chrome));
    let (current, faults_left) = (Arc::clone(&answers), Arc::clone(&left));
    let server = tokio::spawn(async move {
        let mut unanswered = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answers = *current.lock().unwrap();
            if answers == Answers::None {
                unanswered.push(stream);
                continue;
            }
            let plan = Plan {
                fault,
                left: Arc::clone(&faults_left),
                only_slices,
            };
            tokio::spawn(serve(stream, host.clone(), plan, answers));
        }
    });
    FakeChrome {
        address,
        answers,
        left,
        server,
    }
}

struct Plan {
    fault: Fault,
    left: Arc<AtomicUsize>,
    only_slices: bool,
}

async fn serve(mut stream: TcpStream, host: String, plan: Plan, answers: Answers) {
    let mut start = [0; 64];
    let len = stream.peek(&mut start).await.unwrap_or(0);
    let start = String::from_utf8_lossy(&start[..len]).into_owned();
    let run = u8::from(answers == Answers::OtherChrome);
    let socket = format!("ws://{host}/devtools/browser/{run}");
    let is_socket = start.starts_with("GET /devtools/");
    let refusal = match answers {
        Answers::BadGateway => Some("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        Answers::BrokenOff => Some("HTTP/1.1 2"),
        Answers::NoTab if is_socket => {
            Some("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        }
        _ => None,
    };
    if let Some(refusal) = refusal {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(refusal.as_bytes()).await;
        return;
    }
    let body = if start.starts_with("GET /json/version") {
        json!({"Browser": "Chrome/156", "webSocketDebuggerUrl": socket})
    } else if start.starts_with("GET /json/list") {
        json!([{"id": "T", "type": "page", "url": format!("{ORIGIN}/")}])
    } else {
        return converse(stream, plan).await;
    };
    let _ = stream.read(&mut [0; 4096]).await;
    let body = body.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn converse(stream: TcpStream, plan: Plan) {
    let fault = plan.fault;
    if fault == Fault::SlowHandshake {
        cancel_after(ms(2000), pending::<()>()).await;
    }
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
        let expression = command["params"]["expression"].as_str().unwrap();
        let is_meant = !plan.only_slices || expression.starts_with("(async");
        let count = |left: usize| left.checked_sub(1);
        let fails = is_meant && plan.left.fetch_update(Relaxed, Relaxed, count).is_ok();
        let page_at = |origin| json!({"result": {"type": "object", "value": envelope(origin)}});
        let page = page_at(ORIGIN);
        let sent = match (fails, fault) {
            (false, _) => socket.send(Message::text(answer(id, page))).await,
            (_, Fault::NotJson) => socket.send(Message::text("<h1>502</h1>")).await,
            (_, Fault::Binary) => socket.send(Message::binary(vec![1, 2, 3])).await,
            (_, Fault::FiftyMegabytes) => socket.send(Message::text(" ".repeat(50 << 20))).await,
            (_, Fault::WrongId) => socket.send(Message::text(answer(id + 1000, page))).await,
            (_, Fault::Cut | Fault::SlowHandshake) => return,
            (_, Fault::OtherOrigin) => {
                let elsewhere = page_at("http://127.0.0.1:7");
                socket.send(Message::text(answer(id, elsewhere))).await
            }
            (_, Fault::EndlessEvents) => {
                let event = json!({"method": "Page.frameResized", "params": {}}).to_string();
                loop {
                    if socket.send(Message::text(event.clone())).await.is_err() {
                        return;
                    }
                }
            }
            (_, Fault::InvalidFrame) => {
                let _ = socket.get_mut().write_all(&[0xff; 64]).await;
                Ok(())
            }
            (_, Fault::HalfAFrame | Fault::CutInAFrame) => {
                let half = [0x81, 0x7e, 0x10, 0x00, b'{'];
                let _ = socket.get_mut().write_all(&half).await;
                if fault == Fault::CutInAFrame {
                    return;
                }
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Returns the look at a page without an account.
fn envelope(origin: &str) -> Value {
    json!({
        "mark": "m", "origin": origin, "document": "1", "rows": {}, "registered": false,
        "storage": {"noise": false, "me": false}, "isCurrent": true, "isBooted": true, "isLoaded": true,
    })
}
