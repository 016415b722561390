//! The example `onboard` as two processes, joined by the signed webhook.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::task::JoinHandle;
use whatsapp_phone::event::SessionId;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions};

use super::NUMBER;
use super::support::example::example;
use super::support::program::{Program, get, request};
use super::support::{until_async, within_limit};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "5f0e3c9a1d7b4286a94be1c07d3f5e82";
const OTHER_TOKEN: &str = "c41d8e02b7f95a6390ac2e7f1b08d46d";

/// The example in this role, with a storage directory of its own below this one. The file's storage, secret and
/// level of logging would not do: the environment goes before them.
fn onboard(role: &str, directory: &Path) -> Command {
    let file = directory.join("onboard.env");
    let lines = [
        "SESSION_STORAGE_PATH=/dev/null",
        "LOG_LEVEL=loud",
        "WHATSAPP_PHONE_WEBHOOK_SECRET=none",
        "WHATSAPP_PHONE_LISTEN=127.0.0.1:0",
        &format!("WHATSAPP_PHONE_ACCESS_TOKEN={TOKEN}"),
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let mut command = Command::new(example("onboard"));
    command.args([role, "--local", "--config"]).arg(file);
    command
        .env("SESSION_STORAGE_PATH", directory.join(role))
        .env("LOG_LEVEL", "debug")
        .env("WHATSAPP_PHONE_WEBHOOK_SECRET", SECRET);
    command
}

/// Reads the live stream until it shows this text.
async fn read_events(api: &str, last: &'static str) -> JoinHandle<String> {
    let mut stream = request(&format!("{api}/events"), TOKEN).await;
    tokio::spawn(async move {
        let mut read = Vec::new();
        within_limit("the stream shows it", async {
            while !String::from_utf8_lossy(&read).contains(last) {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
            }
        })
        .await;
        String::from_utf8(read).unwrap()
    })
}

#[tokio::test]
async fn a_number_gets_from_the_page_to_the_status_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Program::start(onboard("receive", directory.path()));
    let origin = receiver.line_with("listening at ").await;
    let api = format!("{origin}/api/v1/whatsapp/accounts");
    let status = format!("{api}/session-1/status");
    let events = read_events(&api, r#""phone_number":"62********41""#).await;

    let mut sender = onboard("send", directory.path());
    sender.env(
        "WHATSAPP_PHONE_WEBHOOK_URL",
        format!("{origin}/webhooks/whatsapp"),
    );
    let sender = Program::start(sender);
    receiver
        .line_with("qr_code_generated, its code is held for ")
        .await;
    // It stays in the row after the phone has unlinked.
    until_async("the status has the number", async || {
        let answer = get(&status, TOKEN).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["phone_number"] == NUMBER
    })
    .await;
    let answer = get(&status, OTHER_TOKEN).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let file = directory.path().join("receive/receiver.db");
    let url = format!("sqlite:{}", file.display());
    let store = SqliteStore::connect(&url, StoreOptions::default())
        .await
        .unwrap();
    let id = SessionId::new("session-1").unwrap();
    let row = store.session(&id).await.unwrap().unwrap();
    assert_eq!(row.phone.unwrap().reveal(), NUMBER);

    let (code, sent) = sender.end().await;
    assert_eq!(code, Some(0), "{sent}");
    assert!(sent.contains("all delivered, 0 dead letters"), "{sent}");
    receiver.line_with("session_disconnected unlinked").await;
    let events = events.await.unwrap();
    receiver.terminate();
    let (code, received) = receiver.end().await;
    assert_eq!(code, Some(0), "{received}");

    for (text, at) in [(sent, "sender"), (received, "receiver"), (events, "stream")] {
        for secret in [NUMBER, &SECRET[6..], TOKEN, "2@"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "of the {at}");
        }
    }
}

#[tokio::test]
async fn a_setting_that_is_missing_or_invalid_is_named_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    for (role, name, value, says) in [
        ("send", "URL", "", "WHATSAPP_PHONE_WEBHOOK_URL is not set"),
        ("send", "SECRET", "whsec_c2hvcnQ=", "it must have 24 to 64"),
        (
            "receive",
            "SECRET",
            "",
            "make one with: echo \"whsec_$(openssl rand -base64 32)\"",
        ),
        ("receive", "SECRET", "secret-without-prefix", "whsec_"),
    ] {
        let mut command = onboard(role, directory.path());
        command.env(format!("WHATSAPP_PHONE_WEBHOOK_{name}"), value);
        if name != "URL" {
            command.env("WHATSAPP_PHONE_WEBHOOK_URL", "http://127.0.0.1:9/");
        }
        let (code, printed) = Program::start(command).end().await;
        assert_eq!(code, Some(2), "{printed}");
        assert!(printed.contains(says), "{printed}");
        assert!(value.is_empty() || !printed.contains(value), "{printed}");
    }
    let mut command = onboard("receive", directory.path());
    command.env("WHATSAPP_PHONE_ACCESS_TOKEN", "too-short");
    let (code, printed) = Program::start(command).end().await;
    assert_eq!(code, Some(2), "{printed}");
    assert!(
        printed.contains("WHATSAPP_PHONE_ACCESS_TOKEN: "),
        "{printed}"
    );
    assert!(!printed.contains("too-short"), "{printed}");
}
