//! [`Program`]: a program that runs, what it prints, and what it answers over HTTP.

use std::future::ready;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{signal, within_limit};

/// A program that runs, and the lines that it prints on either stream.
pub(crate) struct Program {
    child: Child,
    lines: UnboundedReceiver<String>,
    printed: String,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let (sender, lines) = unbounded_channel();
        tokio::spawn(send_lines(child.stdout.take().unwrap(), sender.clone()));
        tokio::spawn(send_lines(child.stderr.take().unwrap(), sender));
        Self {
            child,
            lines,
            printed: String::new(),
        }
    }

    /// Waits for the next line with this text, and returns what follows it there.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        within_limit(&format!("`{text}` is printed"), async {
            loop {
                let line = self.next_line().await;
                let line = line.unwrap_or_else(|| panic!("no `{text}` in:\n{}", self.printed));
                if let Some((_, rest)) = line.split_once(text) {
                    return rest.to_owned();
                }
            }
        })
        .await
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv().await?;
        println!("{line}");
        self.printed += &format!("{line}\n");
        Some(line)
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        signal("-TERM", self.child.id().unwrap().into());
    }

    /// Waits until it has ended, and returns its exit code and all that it has printed.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        within_limit("the program ends", async {
            loop {
                if self.next_line().await.is_none() {
                    break;
                }
            }
            let status = self.child.wait().await.unwrap();
            (status.code(), self.printed)
        })
        .await
    }
}

async fn send_lines(stream: impl AsyncRead + Unpin, lines: UnboundedSender<String>) {
    let mut stream = BufReader::new(stream).lines();
    while let Some(line) = stream.next_line().await.unwrap() {
        let _ = lines.send(line);
    }
}

/// Sends a GET request with this token, and returns the connection.
pub(crate) async fn request(url: &str, token: &str) -> TcpStream {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Returns the answer of this URL, with its head.
pub(crate) async fn get(url: &str, token: &str) -> String {
    let mut answer = String::new();
    let mut stream = request(url, token).await;
    let read = stream.read_to_string(&mut answer);
    within_limit("an answer", read).await.unwrap();
    answer
}

/// Starts a server that fails for the first webhook and accepts all others, and returns the variables of a sender.
pub(crate) async fn accept_webhooks() -> [(&'static str, String); 2] {
    let is_first = AtomicBool::new(true);
    let answer = move || {
        let is_first = is_first.swap(false, Ordering::Relaxed);
        ready(match is_first {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::NO_CONTENT,
        })
    };
    let answer = Arc::new(answer);
    let app = Router::new().route("/", post(move || answer()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
    [
        ("WHATSAPP_PHONE_WEBHOOK_URL", url),
        ("WHATSAPP_PHONE_WEBHOOK_SECRET", secret),
    ]
}
