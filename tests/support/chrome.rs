//! A Chrome that another program started and drives, by bare CDP: no driver of any kind is in it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use whatsapp_phone::source::webdriver::DebuggerAddress;

use super::{ms, until, within_limit};

pub(crate) struct Chrome {
    process: Child,
    profile: TempDir,
    pub(crate) address: DebuggerAddress,
}

impl Chrome {
    /// Starts it with no tab but `about:blank`.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command.args([
            "--headless=new",
            "--remote-debugging-port=0",
            "--no-first-run",
            "--disable-gpu",
        ]);
        command.args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]);
        command.args(arguments);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        if rustix::process::geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        command
            .env("TMPDIR", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.process_group(0);
        let started = command.arg("about:blank").spawn();
        let process =
            started.expect("Chromium is missing: apt-get install chromium chromium-driver");
        let address = || DebuggerAddress::from_user_data_dir(profile.path());
        let listens = |at: DebuggerAddress| TcpStream::connect(at.to_string()).is_ok();
        until("Chromium listens", || address().is_ok_and(listens)).await;
        let address = address().unwrap();
        Self {
            process,
            profile,
            address,
        }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.process.id().into()
    }

    pub(crate) fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Opens a tab in front; gives its target id.
    pub(crate) fn open(&self, url: &str) -> String {
        let tab: Value =
            serde_json::from_str(&self.http("PUT", &format!("json/new?{url}"))).unwrap();
        tab["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn close(&self, id: &str) {
        self.http("GET", &format!("json/close/{id}"));
    }

    /// The ids of all tabs.
    pub(crate) fn tabs(&self) -> Vec<String> {
        let tabs: Value = serde_json::from_str(&self.http("GET", "json/list")).unwrap();
        let tabs = tabs
            .as_array()
            .unwrap()
            .iter()
            .filter(|tab| tab["type"] == "page");
        tabs.map(|tab| tab["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns the value of this expression in that tab.
    pub(crate) async fn eval(&self, id: &str, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.cdp(id, "Runtime.evaluate", asked).await["result"]["value"].clone()
    }

    /// One CDP command; `Null` when the tab is gone before it answers.
    pub(crate) async fn cdp(&self, id: &str, method: &str, params: Value) -> Value {
        self.drive(id).await.call(method, params).await
    }

    /// A connection to that tab, as its owner has one.
    pub(crate) async fn drive(&self, id: &str) -> Owner {
        Owner::of(&self.address, id).await
    }

    fn http(&self, method: &str, path: &str) -> String {
        http(&self.address.to_string(), method, path)
    }
}

/// One HTTP request; the body of its answer.
pub(crate) fn http(server: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    let request =
        format!("{method} /{path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // Chrome may still keep the connection open: the length marks the end.
    loop {
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length:"));
            if length.is_some_and(|length| body.len() >= length.trim().parse().unwrap()) {
                return body.to_owned();
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).unwrap() {
            0 => return String::new(),
            n => answer.extend_from_slice(&part[..n]),
        }
    }
}

fn signal(signal: &str, target: &str) {
    let _ = Command::new("kill").args([signal, "--", target]).status();
}

#[expect(
    clippy::disallowed_methods,
    reason = "a destructor cannot await, and this one is bounded"
)]
fn pause() {
    std::thread::sleep(ms(10));
}

/// The owner's connection to one tab.
pub(crate) struct Owner {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// The names of the events so far.
    pub(crate) events: Vec<String>,
}

impl Owner {
    /// Connects to this tab.
    pub(crate) async fn of(address: &DebuggerAddress, id: &str) -> Self {
        let url = format!("ws://{address}/devtools/page/{id}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self {
            socket,
            events: Vec::new(),
        }
    }

    /// One command; `Null` when it fails, or when the tab is gone before it answers.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let command = json!({"id": 1, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(command)).await.unwrap();
        let answer = async {
            while let Some(Ok(message)) = self.socket.next().await {
                let text = message.to_text().unwrap_or("null");
                let answer: Value = serde_json::from_str(text).unwrap_or_default();
                if answer["id"] == 1 {
                    return answer["result"].clone();
                }
                self.events
                    .extend(answer["method"].as_str().map(str::to_owned));
            }
            Value::Null
        };
        within_limit(&format!("an answer to {method}"), answer).await
    }

    /// Crashes the tab. A crashed tab answers no command, so an event reports it.
    pub(crate) async fn crash(&mut self) {
        let command = json!({"id": 2, "method": "Page.crash"}).to_string();
        self.socket.send(Message::text(command)).await.unwrap();
        within_limit("the tab crashes", async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                if message
                    .to_text()
                    .unwrap()
                    .contains("Inspector.targetCrashed")
                {
                    return;
                }
            }
        })
        .await;
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        // Its helpers are of its group, and write into the profile until they end.
        signal("-KILL", &format!("-{}", self.process.id()));
        let _ = self.process.wait();
        for _ in 0..200 {
            if std::fs::remove_dir_all(self.profile.path()).is_ok() {
                break;
            }
            pause();
        }
    }
}
