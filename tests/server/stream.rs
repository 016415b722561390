//! Server-Sent Events.

use std::time::Duration;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::Instant;

use super::time::cancel_after;
use super::*;

/// A reader of a stream.
struct Reader {
    body: BodyDataStream,
    /// The last id.
    last: String,
}

impl Reader {
    async fn open(app: &Router, last: &str) -> Self {
        let mut request = get(EVENTS, TOKEN);
        if !last.is_empty() {
            request
                .headers_mut()
                .insert("last-event-id", last.parse().unwrap());
        }
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let body = answer.into_body().into_data_stream();
        Self {
            body,
            last: last.into(),
        }
    }

    /// The next event: its name, and its data. `None`: the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        let chunk = self.body.next().await?.unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.trim_start().to_owned()))
        };
        if let Some(id) = field("id:") {
            self.last = id;
        }
        let name = field("event:").unwrap_or(text.clone());
        let data = field("data:").map_or(Value::Null, |data| serde_json::from_str(&data).unwrap());
        Some((name, data))
    }

    /// The next state: session and status.
    async fn state(&mut self) -> String {
        let (name, data) = self.next().await.unwrap();
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        format!("{name} {} {}", text("session_id"), text("status"))
    }

    /// Nothing more comes.
    async fn is_silent(&mut self) {
        cancel_after(Duration::from_millis(10), self.next()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_gets_the_present_states_and_then_the_changes_with_masked_numbers() {
    let (api, store) = api().await;
    let app = api.into_router();
    let other = SessionKey::new(8, "other").unwrap();
    store.register(&other).await.unwrap();
    let mut reader = Reader::open(&app, "").await;
    assert_eq!(reader.next().await.unwrap(), ("reset".into(), json!({})));
    assert_eq!(reader.state().await, "status session-1 qr_scanning");
    reader.is_silent().await; // nothing of another workspace
    store.apply(&ready("session-1", PHONE)).await.unwrap();
    let (name, data) = reader.next().await.unwrap();
    assert_eq!((&*name, &data["status"]), ("status", &json!("connected")));
    let phone: whatsapp_phone::PhoneNumber = PHONE.parse().unwrap();
    assert_eq!(data["phone_number"], json!(phone.to_string()));
    assert!(!data.to_string().contains(PHONE));
    store.delete(&key("session-1")).await.unwrap();
    assert_eq!(reader.state().await, "status session-1 failed");
    let start = Instant::now();
    assert_eq!(reader.next().await.unwrap(), (":\n\n".into(), Value::Null));
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(15),
        "a comment keeps the stream alive"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_gets_what_it_has_missed() {
    let (api, store) = api().await;
    let app = api.into_router();
    store.register(&key("session-2")).await.unwrap();
    let mut reader = Reader::open(&app, "").await;
    for _ in 0..3 {
        reader.next().await.unwrap();
    }
    let last = reader.last.clone();
    drop(reader);
    store
        .apply(&SessionEvent::session_authenticated(key("session-2")))
        .await
        .unwrap();
    store.apply(&ready("session-2", PHONE)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(59)).await;
    let mut reader = Reader::open(&app, &last).await;
    assert_eq!(reader.state().await, "status session-2 connected");
    reader.is_silent().await; // each state once
    drop(reader);
    // Two readers in turn keep the log alive.
    tokio::time::sleep(Duration::from_secs(59)).await;
    let mut reader = Reader::open(&app, &last).await;
    assert_eq!(reader.state().await, "status session-2 connected");
    drop(reader);
    tokio::time::sleep(Duration::from_secs(121)).await;
    for unknown in [&*last, "hello", "-1", "%00"] {
        let mut reader = Reader::open(&app, unknown).await;
        assert_eq!(reader.state().await, "reset  ", "{unknown}");
        let mut states = [reader.state().await, reader.state().await];
        states.sort();
        assert_eq!(
            states,
            ["status session-1 qr_scanning", "status session-2 connected"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_missed_the_end_of_a_session_starts_again() {
    let (api, store) = api().await;
    let app = api.into_router();
    let sessions: Vec<_> = (0..=1000).map(|n| key(&format!("gone-{n}"))).collect();
    for session in &sessions {
        store.register(session).await.unwrap();
    }
    let mut reader = Reader::open(&app, "").await;
    assert_eq!(reader.state().await, "reset  ");
    for session in &sessions {
        store.delete(session).await.unwrap();
    }
    // The server sees it before the reader goes on.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(reader.state().await, "reset  ");
    assert_eq!(reader.state().await, "status session-1 qr_scanning");
    reader.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_sees_the_final_state_of_each_session_once() {
    let (api, store) = api().await;
    let app = api.into_router();
    let mut slow = Reader::open(&app, "").await;
    assert_eq!(slow.state().await, "reset  ");
    for _ in 0..1000 {
        store.apply(&ready("session-1", PHONE)).await.unwrap();
        store
            .apply(&SessionEvent::session_disconnected(
                key("session-1"),
                "LOGOUT",
            ))
            .await
            .unwrap();
    }
    store.apply(&ready("session-1", PHONE)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(slow.state().await, "status session-1 connected");
    slow.is_silent().await;
}

#[tokio::test(start_paused = true)]
async fn further_streams_are_refused_until_one_ends() {
    let (api, _) = api().await;
    let app = api.max_streams(8).into_router();
    let mut readers = vec![Reader::open(&app, "").await, Reader::open(&app, "").await];
    let refusal = (429, "too_many_streams".to_owned());
    assert_eq!(
        refused(&app, get(EVENTS, TOKEN)).await,
        refusal,
        "a quarter for each workspace"
    );
    let other = app.clone().oneshot(get(EVENTS, OTHER_TOKEN)).await.unwrap();
    assert_eq!(other.status(), 200, "another workspace has its own");
    readers.pop();
    readers.push(Reader::open(&app, "").await);
    assert_eq!(readers.pop().unwrap().state().await, "reset  ");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_service_stops() {
    let (api, _) = api().await;
    let at = tokio::time::sleep(Duration::from_secs(5));
    let app = api.stop_when(at).into_router();
    let mut reader = Reader::open(&app, "").await;
    let mut names = Vec::new();
    while let Some((name, _)) = reader.next().await {
        names.push(name);
    }
    assert_eq!(names, ["reset", "status"]);
    let mut reader = Reader::open(&app, "").await;
    assert_eq!(reader.next().await, None, "also one that comes later");
}
