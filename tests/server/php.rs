//! The PHP receiver of the guide takes what this crate signs.

use std::process::Stdio;
use std::time::Duration;

use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use whatsapp_phone::event::EventSink;
use whatsapp_phone::event::webhook::{WebhookSink, WebhookSinkBuilder};

use super::time::until_async;
use super::*;

/// The PHP code that stands in the guide.
fn guide() -> &'static str {
    let guide = include_str!("../../src/guide/stores.md");
    let (_, code) = guide.split_once("```php\n").unwrap();
    code.split_once("```").unwrap().0
}

/// Starts PHP's own web server, and returns it with its port.
async fn php(directory: &std::path::Path, secret: &str, events: &std::path::Path) -> (Child, u16) {
    let file = directory.join("receiver.php");
    std::fs::write(&file, guide()).unwrap();
    // PHP does not say which port it was given, so take a free one.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut command = Command::new("php");
    command.args(["-S", &format!("127.0.0.1:{port}")]).arg(file);
    command
        .env("WHATSAPP_PHONE_WEBHOOK_SECRET", secret)
        .env("EVENTS", events);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let server = command
        .spawn()
        .expect("PHP is missing; apt-get install php-cli");
    until_async("PHP listens", async || {
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await;
    (server, port)
}

fn sink(port: u16, keys: &str) -> WebhookSinkBuilder {
    let keys: SigningKeys = keys.parse().unwrap();
    let builder = WebhookSink::builder(format!("http://127.0.0.1:{port}/"), keys);
    let builder = builder.allow_http().allow_private_addresses();
    builder.attempt_timeout(time::LIMIT)
}

/// Posts a body with these headers, and returns the answer.
async fn post(port: u16, id: &EventId, timestamp: &str, signature: &str, body: &str) -> String {
    let request = format!(
        "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
        body.len(),
        id.as_str()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    time::within_limit("PHP's answer", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    answer
}

fn stored(directory: &std::path::Path) -> Vec<SessionEvent> {
    let files = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension() == Some("json".as_ref()));
    files
        .map(|path| SessionEvent::from_json(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_receiver_in_php_takes_signed_events_once_and_refuses_others() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, port) = php(directory.path(), SECRET, directory.path()).await;
    let sink = |keys: &str| sink(port, keys).build().unwrap();
    let other = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct";
    let event = ready("session-1", PHONE);
    for keys in [SECRET, SECRET, &format!("{other} {SECRET}")] {
        sink(keys).send(&event).await.unwrap();
        let stored = stored(directory.path());
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].to_json(), event.to_json());
    }

    // A stale request, no signature, those of another body and of another key, no time.
    let body = event.to_json();
    let id = new_id();
    let stale = keys().sign(
        &id,
        SystemTime::now() - Duration::from_secs(330),
        body.as_bytes(),
    );
    let wrong = keys().sign(&id, SystemTime::now(), b"{}");
    let foreign: SigningKeys = other.parse().unwrap();
    let foreign = foreign.sign(&id, SystemTime::now(), body.as_bytes());
    for (timestamp, signature) in [
        (&*stale.timestamp, &*stale.signature),
        (&*wrong.timestamp, ""),
        (&*wrong.timestamp, "v1,"),
        (&*wrong.timestamp, &*wrong.signature),
        (&*foreign.timestamp, &*foreign.signature),
        ("", &*wrong.signature),
    ] {
        let answer = post(port, &id, timestamp, signature, &body).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    assert_eq!(stored(directory.path()).len(), 1);
}

#[tokio::test]
async fn the_receiver_in_php_accepts_nothing_that_it_cannot_verify_or_keep() {
    let directory = tempfile::tempdir().unwrap();
    let event = ready("session-1", PHONE);
    let (id, body) = (new_id(), event.to_json());
    for secret in ["", " ", "whsec_", "secret", &format!("whsec_ {SECRET}")] {
        let (_server, port) = php(directory.path(), secret, directory.path()).await;
        let timestamp = keys().sign(&id, SystemTime::now(), b"").timestamp;
        let empty = Webhook::from_bytes(Vec::new()).unwrap();
        let at = timestamp.parse().unwrap();
        let forged = empty.sign(id.as_str(), at, body.as_bytes()).unwrap();
        let answer = post(port, &id, &timestamp, &forged, &body).await;
        let is_refused = ["HTTP/1.1 401", "HTTP/1.1 500"].map(|it| answer.starts_with(it));
        assert_ne!(is_refused, [false, false], "{secret:?}: {answer}");
    }
    let spaced = format!(" {SECRET} ");
    let (_server, port) = php(directory.path(), &spaced, directory.path()).await;
    sink(port, SECRET)
        .build()
        .unwrap()
        .send(&event)
        .await
        .unwrap();
    assert_eq!(stored(directory.path()).len(), 1);

    let missing = directory.path().join("missing");
    let (_server, port) = php(directory.path(), SECRET, &missing).await;
    let headers = keys().sign(&id, SystemTime::now(), body.as_bytes());
    let answer = post(port, &id, &headers.timestamp, &headers.signature, &body).await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
}
