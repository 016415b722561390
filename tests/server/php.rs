//! The PHP receiver of the guide takes what this crate signs.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use whatsapp_phone::event::EventSink;
use whatsapp_phone::event::webhook::WebhookSink;

use super::time::until_async;
use super::*;

/// The PHP code that stands in the guide.
fn guide() -> &'static str {
    let guide = include_str!("../../src/guide/stores.md");
    let (_, code) = guide.split_once("```php\n").unwrap();
    code.split_once("```").unwrap().0
}

/// Starts PHP's own web server, and returns it with its port.
async fn php(directory: &std::path::Path) -> (Child, u16) {
    let file = directory.join("receiver.php");
    std::fs::write(&file, guide()).unwrap();
    // PHP does not say which port it was given, so take a free one.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut command = Command::new("php");
    command.args(["-S", &format!("127.0.0.1:{port}")]).arg(file);
    command
        .env("WHATSAPP_PHONE_WEBHOOK_SECRET", SECRET)
        .env("EVENTS", directory);
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
    let (_server, port) = php(directory.path()).await;
    let sink = |keys: &str| {
        let keys: SigningKeys = keys.parse().unwrap();
        let builder = WebhookSink::builder(format!("http://127.0.0.1:{port}/"), keys);
        let builder = builder.allow_http().allow_private_addresses();
        let builder = builder.attempt_timeout(time::LIMIT);
        builder.build().unwrap()
    };
    let other = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct";
    let event = ready("session-1", PHONE);
    for keys in [SECRET, SECRET, &format!("{other} {SECRET}")] {
        sink(keys).send(&event).await.unwrap();
        let stored = stored(directory.path());
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].to_json(), event.to_json());
    }

    // A stale request, no signature, those of another body and of another key, no time.
    let url = format!("127.0.0.1:{port}");
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
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = format!(
            "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\nwebhook-id: {}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
            body.len(),
            id.as_str()
        );
        let mut stream = TcpStream::connect(&url).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        time::within_limit("PHP's answer", stream.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    assert_eq!(stored(directory.path()).len(), 1);
}
