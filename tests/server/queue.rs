//! The queue of the receiver, QR codes, and the events of the Node service.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use whatsapp_phone::event::{EventKind, EventSink, Failed, QrCode, SinkError};
use whatsapp_phone::store::Status;

use super::time::until_async;
use super::*;

/// A queue that records its events, or fails.
#[derive(Clone, Default)]
struct Queue {
    events: Arc<Mutex<Vec<SessionEvent>>>,
    fails: bool,
}

#[async_trait]
impl EventSink for Queue {
    fn name(&self) -> &str {
        "queue"
    }
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if self.fails {
            return Err(SinkError::transient("storage", "628110000041"));
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }
}

#[tokio::test]
async fn ready_and_error_are_processed_inline_and_the_others_queued() {
    let (store, queue) = (MemoryStore::default(), Queue::default());
    store.register(&key("session-1")).await.unwrap();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone())).queue(queue.clone());
    let codes = receiver.qr_codes();
    let app = Api::new(store.clone(), tokens())
        .receiver(receiver)
        .into_router();
    let (inline, queued) = (
        json!({"status": "processed_inline"}),
        json!({"status": "queued"}),
    );
    let shown = SessionEvent::qr_code_generated(key("session-1"), QrCode::new("2@secret").unwrap());
    let failed = Failed::new("not_ready", "");
    for (event, answer, has_code) in [
        (shown, &queued, true),
        (
            SessionEvent::session_authenticated(key("session-1")),
            &queued,
            false,
        ),
        (ready("session-1", PHONE), &inline, false),
        (
            SessionEvent::session_reconnected(key("session-1")),
            &queued,
            false,
        ),
        (
            SessionEvent::session_disconnected(key("session-1"), "LOGOUT"),
            &queued,
            false,
        ),
        (
            SessionEvent::session_error(key("session-1"), failed),
            &inline,
            false,
        ),
    ] {
        let (status, _, json) = ask(&app, signed(event.to_json())).await;
        assert_eq!((status, &json), (200, answer), "{event:?}");
        assert_eq!(
            codes.get(&key("session-1")).is_some(),
            has_code,
            "{event:?}"
        );
    }
    let (_, _, json) = ask(&app, signed(r#"{"event":"foreign","data":{"x":[1]}}"#)).await;
    assert_eq!(json, queued);
    let row = store
        .session(&key("session-1").session_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.status, Status::Error);
    let events = queue.events.lock().unwrap();
    let names: Vec<_> = events.iter().map(SessionEvent::name).collect();
    assert_eq!(
        names,
        [
            "qr_code_generated",
            "session_authenticated",
            "session_reconnected",
            "session_disconnected",
            "foreign"
        ]
    );
    assert!(
        !events[0].to_json().contains("secret"),
        "no code in the queue"
    );
    assert!(events.iter().all(|event| event.id().is_some()));
}

#[tokio::test]
async fn nothing_is_answered_2xx_that_the_queue_has_not_accepted() {
    let (store, queue) = (
        MemoryStore::default(),
        Queue {
            fails: true,
            ..Queue::default()
        },
    );
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone())).queue(queue);
    let codes = receiver.qr_codes();
    let app = Api::new(store, tokens()).receiver(receiver).into_router();
    let shown = SessionEvent::qr_code_generated(key("session-1"), QrCode::new("2@secret").unwrap());
    assert_eq!(
        refused(&app, signed(shown.to_json())).await,
        (503, "storage".into())
    );
    assert!(codes.get(&key("session-1")).is_none());
}

/// The events that the queue gets are delivered after all others have arrived.
#[tokio::test]
async fn an_event_that_waits_does_not_replace_a_newer_status() {
    let connected = || ready("session-1", PHONE);
    let ended = || SessionEvent::session_disconnected(key("session-1"), "LOGOUT");
    let scanned = || SessionEvent::session_authenticated(key("session-1"));
    let failed = || SessionEvent::session_error(key("session-1"), Failed::new("not_ready", ""));
    for (events, status) in [
        (
            vec![scanned(), connected(), ended(), connected()],
            Status::Connected,
        ),
        (vec![scanned(), failed()], Status::Error),
        (vec![connected(), ended(), failed()], Status::Error),
        (
            vec![failed(), scanned(), connected(), ended()],
            Status::Disconnected,
        ),
    ] {
        for has_seq in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let store = sqlite(&directory).await;
            let (sink, queue) = (
                StoreSink::new(store.clone()),
                store.outbox("inbox").await.unwrap(),
            );
            let receiver = WebhookReceiver::new(keys(), sink.clone()).queue(queue.clone());
            let app = Api::new(store.clone(), tokens())
                .receiver(receiver)
                .into_router();
            for (event, seq) in events.iter().zip(1..) {
                let event = if has_seq {
                    event.clone().with_seq(seq)
                } else {
                    event.clone()
                };
                assert_eq!(ask(&app, signed(event.to_json())).await.0, 200);
            }
            let waiting = queue.status().await.unwrap().waiting;
            assert!(waiting > 0, "{events:?}");
            let worker = queue.deliver_to(sink).start();
            let is_empty = async || queue.status().await.unwrap().waiting == 0;
            until_async("the queue is empty", is_empty).await;
            worker.stop().await;
            assert_eq!(queue.status().await.unwrap().dead, 0);
            let row = store.session(&key("session-1").session_id).await.unwrap();
            assert_eq!(row.unwrap().status, status, "{events:?} {has_seq}");
        }
    }
}

#[tokio::test]
async fn an_event_that_is_too_large_with_its_id_is_refused() {
    let queue = Queue::default();
    let store = MemoryStore::default();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone())).queue(queue.clone());
    let app = Api::new(store, tokens()).receiver(receiver).into_router();
    let event = |length: usize| {
        let json = r#"{"event":"foreign","data":""}"#;
        json.replace("\"\"", &format!("\"{}\"", "x".repeat(length - json.len())))
    };
    assert_eq!(
        refused(&app, signed(event(65_530))).await,
        (413, "too_large".into())
    );
    assert!(queue.events.lock().unwrap().is_empty());
    assert_eq!(ask(&app, signed(event(65_400))).await.0, 200);
    let events = queue.events.lock().unwrap();
    // An outbox delivers it to another receiver.
    assert!(events[0].to_json().len() <= SessionEvent::MAX_LEN);
}

/// A sink that fails with this error.
struct Fails(SinkError);

#[async_trait]
impl EventSink for Fails {
    fn name(&self) -> &str {
        "fails"
    }
    async fn send(&self, _: &SessionEvent) -> Result<(), SinkError> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn a_sender_is_asked_to_wait_only_if_every_request_fails() {
    let event = ready("session-1", PHONE).to_json();
    for (error, status, waits) in [
        (SinkError::transient("storage", ""), 503, false),
        (SinkError::transient("queue_full", ""), 503, true),
        (SinkError::transient("sink_timeout", ""), 503, false),
        (SinkError::transient("poisoned", ""), 503, false),
        (SinkError::permanent("storage", ""), 500, false),
    ] {
        let receiver = WebhookReceiver::new(keys(), Fails(error.clone()));
        let api = Api::new(MemoryStore::default(), tokens()).receiver(receiver);
        let (answered, headers, _) = ask(&api.into_router(), signed(&*event)).await;
        let asks = headers.contains_key("retry-after");
        assert_eq!((answered, asks), (status, waits), "{error:?}");
    }
}

#[tokio::test]
async fn the_events_of_the_node_service_are_taken() {
    let store = MemoryStore::default();
    store.register(&key("session-1")).await.unwrap();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let codes = receiver.qr_codes();
    let app = Api::new(store.clone(), tokens())
        .receiver(receiver)
        .into_router();
    let picture = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==";
    for (name, data, status, phone) in [
        (
            "qr_code_generated",
            json!({"qr_code": picture, "expires_in": 60, "qr_count": 1, "is_regeneration": false}),
            "qr_scanning",
            None,
        ),
        ("session_authenticated", json!({}), "authenticated", None),
        (
            "session_ready",
            json!({"phone_number": PHONE, "status": "connected", "platform": null, "extraction_method": null}),
            "connected",
            Some(PHONE),
        ),
        (
            "session_disconnected",
            json!({"reason": "LOGOUT"}),
            "disconnected",
            Some(PHONE),
        ),
        (
            "session_reconnected",
            json!({"status": "reconnected", "timestamp": "2026-01-01T00:00:00.000Z"}),
            "connected",
            Some(PHONE),
        ),
        (
            "session_disconnected",
            json!({}),
            "disconnected",
            Some(PHONE),
        ),
        (
            "session_error",
            json!({"error": "webhook_send_failed", "message": "", "phone_number": PHONE}),
            "error",
            None,
        ),
        (
            "session_error",
            json!({"error": "phone_extraction_failed", "message": "no number"}),
            "error",
            None,
        ),
    ] {
        let mut event = json!({"event": name, "data": data});
        event["data"]["workspace_id"] = json!(7);
        event["data"]["session_id"] = json!("session-1");
        let (answered, _, json) = ask(&app, signed(event.to_string())).await;
        assert_eq!(
            (answered, json),
            (200, json!({"status": "processed_inline"})),
            "{event}"
        );
        if name == "qr_code_generated" {
            let code = codes.get(&key("session-1")).unwrap();
            assert_eq!(code.reveal().as_deref(), Some(picture));
        }
        let (_, _, now) = ask(&app, get(&status_of("session-1"), TOKEN)).await;
        assert_eq!(
            now,
            json!({"status": status, "phone_number": phone}),
            "{event}"
        );
    }
    for phone in [json!(null), json!("null"), json!("undefined"), json!("")] {
        let event = json!({"event": "session_ready", "data": {"workspace_id": 7, "session_id": "session-1", "phone_number": phone}});
        assert_eq!(
            refused(&app, signed(event.to_string())).await.0,
            422,
            "{phone}"
        );
    }
    let ready = SessionEvent::from_json(ready("session-1", PHONE).to_json().as_bytes()).unwrap();
    assert!(matches!(ready.kind(), EventKind::SessionReady(_)));
}
