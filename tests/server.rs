//! The routes of the feature `server`. Those of the receiver alone are in `tests/receiver.rs`.
#![cfg(all(feature = "server", feature = "sqlite", feature = "webhook"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "server/api.rs"]
mod api;
#[path = "server/hostile.rs"]
mod hostile;
#[path = "server/memory.rs"]
mod memory;
#[path = "server/mutations.rs"]
mod mutations;
#[path = "server/php.rs"]
mod php;
#[path = "server/process.rs"]
mod process;
#[path = "server/queue.rs"]
mod queue;
#[path = "server/stop.rs"]
mod stop;
#[path = "server/stream.rs"]
mod stream;
#[path = "support/time.rs"]
mod time;
#[path = "server/watchers.rs"]
mod watchers;

use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tower::ServiceExt;
use whatsapp_phone::event::signature::SigningKeys;
use whatsapp_phone::event::{EventId, SessionEvent, SessionKey};
use whatsapp_phone::server::{AccessTokens, Api, WebhookReceiver};
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions, StoreSink};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "5f0e3c9a1d7b4286a94be1c07d3f5e82";
const OTHER_TOKEN: &str = "c41d8e02b7f95a6390ac2e7f1b08d46d";
const PHONE: &str = "628110000041";
const EVENTS: &str = "/api/v1/whatsapp/accounts/events";
const WEBHOOK: &str = "/webhooks/whatsapp";

fn keys() -> SigningKeys {
    SECRET.parse().unwrap()
}

fn key(session: &str) -> SessionKey {
    SessionKey::new(7, session).unwrap()
}

fn ready(session: &str, phone: &str) -> SessionEvent {
    let phone: whatsapp_phone::PhoneNumber = phone.parse().unwrap();
    SessionEvent::session_ready(key(session), phone)
}

fn tokens() -> AccessTokens {
    let tokens = AccessTokens::default().allow(7, TOKEN).unwrap();
    tokens.allow(8, OTHER_TOKEN).unwrap()
}

/// The routes over a store with one session, `session-1` of workspace 7.
async fn api() -> (Api, MemoryStore) {
    let store = MemoryStore::default();
    store.register(&key("session-1")).await.unwrap();
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    (Api::new(store.clone(), tokens()).receiver(receiver), store)
}

/// A store in a file of this directory, with one session, `session-1` of workspace 7.
async fn sqlite(directory: &tempfile::TempDir) -> SqliteStore {
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    let options = StoreOptions::default().create_tables();
    let store = SqliteStore::connect(&url, options).await.unwrap();
    store.register(&key("session-1")).await.unwrap();
    store
}

/// Returns all rows of all tables of the database.
async fn rows(store: &SqliteStore) -> Vec<String> {
    use whatsapp_phone::sqlx::{AssertSqlSafe, query_scalar};
    let pool = store.pool();
    let columns = "SELECT 'SELECT ' || quote(t.name) || ' || ' || group_concat('quote(' || c.name || ')', ' || ')
         || ' FROM ' || t.name || ' ORDER BY 1'
         FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name";
    let queries: Vec<String> = query_scalar(columns).fetch_all(pool).await.unwrap();
    assert!(queries.len() >= 3, "{queries:?}");
    let mut rows = Vec::new();
    for query in queries {
        let query = query_scalar::<_, String>(AssertSqlSafe(query));
        rows.extend(query.fetch_all(pool).await.unwrap());
    }
    rows
}

fn get(path: &str, token: &str) -> Request<Body> {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    request.body(Body::empty()).unwrap()
}

fn status_of(session: &str) -> String {
    format!("/api/v1/whatsapp/accounts/{session}/status")
}

fn new_id() -> EventId {
    EventId::new(&format!("event-{:x}", fastrand::u64(..))).unwrap()
}

fn signed(body: impl Into<Vec<u8>>) -> Request<Body> {
    let body = body.into();
    let id = new_id();
    let headers = keys().sign(&id, SystemTime::now(), &body);
    Request::post(WEBHOOK)
        .header("content-type", "application/json")
        .header("webhook-id", headers.id.as_str())
        .header("webhook-timestamp", headers.timestamp)
        .header("webhook-signature", headers.signature)
        .body(body.into())
        .unwrap()
}

/// Sends a request, and returns the status, the headers and the JSON of the answer.
async fn ask(app: &Router, request: Request<Body>) -> (u16, HeaderMap, Value) {
    let answer = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let json = serde_json::from_slice(&body);
    let json = json.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
    (parts.status.as_u16(), parts.headers, json)
}

/// Sends a request that is refused, and returns the status and the code.
async fn refused(app: &Router, request: Request<Body>) -> (u16, String) {
    let (status, headers, json) = ask(app, request).await;
    assert_eq!(
        headers["content-type"], "application/problem+json",
        "{json}"
    );
    assert_eq!(json["status"], status);
    (status, json["code"].as_str().unwrap().to_owned())
}
