//! The spans of the example `onboard`, as a collector of OpenTelemetry gets them.
#![cfg(all(
    feature = "metrics",
    feature = "sqlite",
    feature = "testkit",
    feature = "webdriver"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use support::example::example;
use support::within_limit;
use tokio::net::TcpListener;
use whatsapp_phone::testkit::standin::{LID, QR_PREFIX};

type Received = Arc<Mutex<Vec<u8>>>;

async fn take(State(received): State<Received>, body: Bytes) {
    received.lock().unwrap().extend_from_slice(&body);
}

#[tokio::test]
async fn a_collector_gets_the_spans_of_the_example_and_no_number() {
    let received = Received::default();
    let app = Router::new().route("/v1/traces", post(take));
    let app = app.with_state(Arc::clone(&received));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, app).await });

    let mut program = tokio::process::Command::new(example("onboard"));
    program.args(["--traces", &url]).stdout(Stdio::null());
    let ended = within_limit("the example ends", program.kill_on_drop(true).status()).await;
    assert!(ended.unwrap().success());

    // The binary form contains each text unchanged.
    let received = String::from_utf8_lossy(&received.lock().unwrap()).into_owned();
    for word in [
        "service.name",
        "extract_phone",
        "whatsapp_phone.reader",
        "onboarding",
        "session.id",
        "deliver",
        "messaging.destination.name",
        "messaging.message.id",
        "session_ready",
    ] {
        assert!(received.contains(word), "{word} is missing");
    }
    let (lid, _) = LID.split_once('@').unwrap();
    for secret in ["628110000041", lid, QR_PREFIX] {
        assert!(!received.contains(secret), "{secret} was sent");
    }
}
