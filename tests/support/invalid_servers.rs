//! WebDriver servers that make a session and then send invalid answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The things that a WebDriver server may do in place of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InvalidAnswer {
    /// From then on no connection is answered.
    Silence,
    HalfAnAnswer,
    EndlessBytes,
    FiftyMegabytes,
    NotJson,
    NotUtf8,
    HangsUp,
}

/// A server that makes a session like a WebDriver, and answers the first look in its own way.
pub(crate) async fn invalid_server(invalid_answer: InvalidAnswer, page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let is_silent = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (page, is_silent) = (page.clone(), Arc::clone(&is_silent));
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut part = vec![0; 64 << 10];
                loop {
                    let n = stream.read(&mut part).await.unwrap_or(0);
                    if n == 0 {
                        return;
                    }
                    request.extend_from_slice(&part[..n]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if !is_whole(&text) {
                        continue;
                    }
                    request.clear();
                    if is_silent.load(Ordering::Relaxed) {
                        continue;
                    }
                    let value = if text.starts_with("POST /session ") {
                        json!({"sessionId": "s", "capabilities": {}})
                    } else if text.contains("/execute/") {
                        is_silent.store(
                            matches!(invalid_answer, InvalidAnswer::Silence),
                            Ordering::Relaxed,
                        );
                        return answer(invalid_answer, &mut stream).await;
                    } else if text.contains("/window/handles") {
                        json!(["one"])
                    } else if text.starts_with("GET") && text.contains("/url") {
                        json!(page)
                    } else {
                        json!(null)
                    };
                    let body = json!({ "value": value }).to_string();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    if stream.write_all((head + &body).as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

pub(crate) fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    body.len() >= length.unwrap_or(0)
}

async fn answer(invalid_answer: InvalidAnswer, stream: &mut tokio::net::TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let filler = vec![b' '; 1 << 20];
    let sent = match invalid_answer {
        InvalidAnswer::Silence => std::future::pending().await,
        InvalidAnswer::HangsUp => Ok(()),
        InvalidAnswer::HalfAnAnswer => {
            let half = format!("{head}content-length: 999\r\n\r\n{{\"value\":");
            let _ = stream.write_all(half.as_bytes()).await;
            std::future::pending().await
        }
        InvalidAnswer::EndlessBytes => {
            let _ = stream
                .write_all(format!("{head}\r\n{{\"value\":\"").as_bytes())
                .await;
            loop {
                if stream.write_all(&filler).await.is_err() {
                    return;
                }
            }
        }
        InvalidAnswer::FiftyMegabytes => {
            let head = format!("{head}content-length: {}\r\n\r\n", 50 << 20);
            let _ = stream.write_all(head.as_bytes()).await;
            for _ in 0..50 {
                let _ = stream.write_all(&filler).await;
            }
            Ok(())
        }
        InvalidAnswer::NotJson => {
            let text = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<h1>502</h1>\r\n";
            stream.write_all(text.as_bytes()).await
        }
        InvalidAnswer::NotUtf8 => {
            let head = format!("{head}content-length: 2\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            stream.write_all(&[0xff, 0xfe]).await
        }
    };
    let _: std::io::Result<()> = sent;
}
