//! Random changes of requests, and signed events with such changes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde_json::json;
use whatsapp_phone::event::{EventKind, Failed, QrCode};
use whatsapp_phone::store::SessionQuery;

use super::*;

#[derive(Clone, Debug)]
pub(super) enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let insert = prop::collection::vec(any::<u8>(), 1..200);
    let text = prop::sample::select(vec![
        "'; DROP TABLE whatsapp_accounts; --",
        "<script>alert(1)</script>",
        "\r\n\r\n",
        "content-length: 99999999\r\n",
        "transfer-encoding: chunked\r\n",
    ]);
    let mutation = prop_oneof![
        (at(), 1..=255u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        at().prop_map(Mutation::Cut),
        (at(), insert).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), text).prop_map(|(at, text)| Mutation::Insert(at, text.into())),
    ];
    prop::collection::vec(mutation, 1..4)
}

pub(super) fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Flip(at, bits) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        Mutation::Flip(..) => {}
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Mutation::Insert(at, more) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, more.iter().copied());
        }
    }
}

/// The fields of an event that may get another value. Those of `data` come after the first five.
const FIELDS: [&str; 17] = [
    "event",
    "id",
    "seq",
    "occurred_at",
    "data",
    "workspace_id",
    "session_id",
    "phone_number",
    "lid",
    "assurance",
    "status",
    "error",
    "code",
    "message",
    "reason",
    "qr",
    "metadata",
];

fn values() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        "null",
        "session-1",
        "session-2",
        "session_error",
        "session_disconnected",
        "foreign",
        PHONE,
        "628110000042",
        "628110000041@c.us",
        "120363000000000000@g.us",
        "'; DROP TABLE whatsapp_accounts; --",
        "<script>alert(1)</script>",
        "\0",
        "2026-01-01T00:00:00Z",
        "\u{202e}1\u{ffff}",
    ]);
    let others = prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(7),
        json!(8),
        json!(7.5),
        json!(1e300),
        json!(u64::MAX),
        json!([]),
        json!({}),
        json!({"$ne": null}),
        json!("x".repeat(300)),
        json!("x".repeat(65_000)),
    ]);
    prop_oneof![
        texts.prop_map(Value::from),
        others,
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Bytes(Vec<Mutation>),
    Fields(Vec<(usize, Option<Value>)>),
}

fn changes() -> impl Strategy<Value = Change> {
    let field = (0..FIELDS.len(), prop::option::weighted(0.9, values()));
    prop_oneof![
        1 => mutations().prop_map(Change::Bytes),
        2 => prop::collection::vec(field, 0..3).prop_map(Change::Fields),
    ]
}

fn event(kind: usize, session: &str, seq: Option<u64>) -> String {
    let key = key(session);
    let event = match kind {
        0 => ready(session, PHONE),
        1 => SessionEvent::session_authenticated(key),
        2 => SessionEvent::session_disconnected(key, "LOGOUT"),
        3 => SessionEvent::session_error(key, Failed::new("not_ready", "no number")),
        _ => SessionEvent::qr_code_generated(key, QrCode::new("2@code").unwrap()),
    };
    match seq {
        Some(seq) => event.with_seq(seq).to_json(),
        None => event.to_json(),
    }
}

fn changed(body: String, change: &Change) -> Vec<u8> {
    match change {
        Change::Bytes(mutations) => {
            let mut body = body.into_bytes();
            mutations
                .iter()
                .for_each(|mutation| mutate(&mut body, mutation));
            body
        }
        Change::Fields(changes) => {
            let mut event: Value = serde_json::from_str(&body).unwrap();
            for (field, value) in changes {
                let object = match field {
                    0..5 => event.as_object_mut(),
                    _ => event["data"].as_object_mut(),
                };
                let Some(object) = object else { continue };
                match value {
                    Some(value) => drop(object.insert(FIELDS[*field].into(), value.clone())),
                    None => drop(object.remove(FIELDS[*field])),
                }
            }
            event.to_string().into_bytes()
        }
    }
}

/// Returns what the events have made of the sessions.
async fn sessions(store: &dyn SessionStore) -> Vec<String> {
    let page = store.sessions(&SessionQuery::default()).await.unwrap();
    let rows = page.rows.iter().map(|row| {
        let phone = row.phone.as_ref().map(|phone| phone.reveal().to_owned());
        format!(
            "{:?} {:?} {phone:?} {:?} {:?} {:?}",
            row.session, row.status, row.lid, row.error, row.last_seq
        )
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

/// The store in memory gets the events that were accepted, so its sessions are what those of the database have to be.
#[test]
fn a_thousand_mutated_and_signed_events_are_durable_or_write_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let expected = MemoryStore::default();
    let (store, other, queue) = runtime.block_on(async {
        let store = sqlite(&directory).await;
        let other = sqlite(&directory).await;
        for store in [&store as &dyn SessionStore, &expected] {
            store.register(&key("session-1")).await.unwrap();
            store.register(&key("session-2")).await.unwrap();
        }
        let queue = store.outbox("inbox").await.unwrap();
        (store, other, queue)
    });
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone())).queue(queue.clone());
    let api = Api::new(store.clone(), tokens()).receiver(receiver);
    let app = runtime.block_on(async { api.into_router() });
    let config = ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let answers = RefCell::new(BTreeMap::<String, u32>::new());
    // The ids of the events in the queue, by session: it stores each once.
    let queued = RefCell::new(HashSet::new());
    let seq = prop::option::weighted(0.3, 1..1000u64);
    let number = prop::sample::select(vec!["session-1", "session-2"]);
    proptest!(config, |(kind in 0..5usize, session in number, seq in seq, change in changes())| {
        let body = changed(event(kind, session, seq), &change);
        let request = signed(body.clone());
        let id = EventId::new(request.headers()["webhook-id"].to_str().unwrap()).unwrap();
        runtime.block_on(async {
            let (before, waiting) = (rows(&other).await, queue.status().await.unwrap().waiting);
            let (status, _, json) = ask(&app, request).await;
            let after = rows(&other).await;
            let answer = if status == 200 { &json["status"] } else { &json["code"] };
            let answer = answer.as_str().unwrap().to_owned();
            let waiting = queue.status().await.unwrap().waiting - waiting;
            match (status, &*answer) {
                (200, "queued") => {
                    let event = SessionEvent::from_json(&body).unwrap();
                    let is_ready_or_error = matches!(event.kind(), EventKind::SessionReady(_) | EventKind::SessionError(_));
                    // Without a `seq` it goes behind the events that wait.
                    assert!(!is_ready_or_error || event.seq().is_none());
                    let session = event.session().map(|session| session.session_id.clone());
                    let is_new = queued.borrow_mut().insert((session, event.id().cloned().unwrap_or(id)));
                    assert_eq!(waiting, u64::from(is_new));
                }
                (200, "processed_inline") => {
                    let event = SessionEvent::from_json(&body).unwrap();
                    let event = if event.id().is_none() { event.with_id(id) } else { event };
                    expected.apply(&event).await.unwrap();
                    assert_eq!(waiting, 0);
                }
                (400 | 404 | 409 | 413 | 422, _) => {
                    assert_eq!(after, before, "{answer}");
                    let text = json.to_string();
                    let is_reflected = ["62811", "script", "DROP", "2@code"].iter().any(|part| text.contains(part));
                    assert!(!is_reflected, "{text}");
                }
                _ => panic!("{status} {json}"),
            }
            assert_eq!(sessions(&other).await, sessions(&expected).await);
            *answers.borrow_mut().entry(format!("{status} {answer}")).or_default() += 1;
        });
    });
    let answers = answers.into_inner();
    println!("answers: {answers:?}");
    for answer in [
        "200 processed_inline",
        "200 queued",
        "400 invalid_json",
        "404 unknown_session",
        "422 invalid_event",
    ] {
        assert!(
            answers.contains_key(answer),
            "{answer} did not occur: {answers:?}"
        );
    }
}
