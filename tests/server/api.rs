//! Status, health, description and limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Notify;
use whatsapp_phone::event::{EventSink, SessionId, SinkError, WorkspaceId};
use whatsapp_phone::server::Limits;
use whatsapp_phone::store::{
    Outcome, SessionPage, SessionQuery, SessionRow, StatusChange, StatusWatcher, StoreError,
    WorkspaceWatcher,
};

use super::*;

#[tokio::test]
async fn the_status_of_a_session_has_its_full_number_for_its_workspace_alone() {
    let (api, store) = api().await;
    let app = api.into_router();
    let (status, headers, json) = ask(&app, get(&status_of("session-1"), TOKEN)).await;
    assert_eq!(status, 200);
    assert_eq!(json, json!({"status": "qr_scanning", "phone_number": null}));
    assert_eq!(headers["cache-control"], "no-store");
    store.apply(&ready("session-1", PHONE)).await.unwrap();
    let (_, _, json) = ask(&app, get(&status_of("session-1"), TOKEN)).await;
    assert_eq!(json, json!({"status": "connected", "phone_number": PHONE}));

    let unknown = ask(&app, get(&status_of("session-2"), TOKEN)).await;
    let (status, headers, problem) = ask(&app, get(&status_of("session-1"), OTHER_TOKEN)).await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_session")));
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(
        problem, unknown.2,
        "another workspace's session looks unknown"
    );

    for path in [&*status_of("session-1"), EVENTS] {
        let without = Request::get(path).body(Body::empty()).unwrap();
        let (status, headers, problem) = ask(&app, without).await;
        assert_eq!((status, &problem["code"]), (401, &json!("invalid_token")));
        assert_eq!(headers["www-authenticate"], "Bearer");
        let wrong = get(path, &TOKEN.replace('5', "6"));
        assert_eq!(refused(&app, wrong).await, (401, "invalid_token".into()));
    }
}

#[tokio::test]
async fn hostile_ids_are_unknown_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory).await;
    let before = rows(&store).await;
    let receiver = WebhookReceiver::new(keys(), StoreSink::new(store.clone()));
    let api = Api::new(store.clone(), tokens()).receiver(receiver);
    let app = api.into_router();
    let long = "x".repeat(20_000);
    for id in [
        "%00",
        "%FF%FE",
        "%0A",
        "..%2F..%2Fetc%2Fpasswd",
        "'%20OR%201=1--",
        "%3Cscript%3E",
        "628110000041",
        &long,
    ] {
        let (status, _, json) = ask(&app, get(&status_of(id), TOKEN)).await;
        assert_eq!(
            (status, &json["code"]),
            (404, &json!("unknown_session")),
            "{id}"
        );
        let text = json.to_string();
        assert!(
            ["script", "passwd", "OR", "62811"]
                .iter()
                .all(|part| !text.contains(part))
        );
    }
    for path in [
        "/",
        "/api",
        "/api/v1/whatsapp/accounts",
        "/webhooks/whatsapp/x",
        "//healthz",
    ] {
        assert_eq!(
            refused(&app, get(path, TOKEN)).await,
            (404, "not_found".into()),
            "{path}"
        );
    }
    for path in [
        &*status_of("session-1"),
        EVENTS,
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        let mut request = get(path, TOKEN);
        *request.method_mut() = axum::http::Method::DELETE;
        assert_eq!(
            refused(&app, request).await,
            (405, "method_not_allowed".into()),
            "{path}"
        );
    }
    assert_eq!(
        refused(&app, get(WEBHOOK, TOKEN)).await,
        (405, "method_not_allowed".into())
    );
    assert_eq!(rows(&store).await, before);
}

/// A store whose rows are asked for in this way; it has nothing else.
struct Asked(Box<dyn Fn() -> bool + Send + Sync>);

#[async_trait]
impl SessionStore for Asked {
    fn name(&self) -> &str {
        "asked"
    }
    async fn session(&self, _: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        match (self.0)() {
            true => Ok(None),
            false => std::future::pending().await,
        }
    }
    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
        Err(StoreError::unknown(session))
    }
    async fn apply(&self, _: &SessionEvent) -> Result<Outcome, StoreError> {
        unimplemented!()
    }
    async fn sessions(&self, _: &SessionQuery) -> Result<SessionPage, StoreError> {
        unimplemented!()
    }
    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        Err(StoreError::unknown(session))
    }
    async fn sweep_stuck(&self, _: Duration) -> Result<Vec<StatusChange>, StoreError> {
        unimplemented!()
    }
    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
        Err(StoreError::unknown(id))
    }
    async fn watch_workspace(&self, id: &WorkspaceId) -> Result<WorkspaceWatcher, StoreError> {
        Err(StoreError::unknown(id))
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_store_and_asks_it_at_most_once_a_second() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let answers = move || counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    let app = Api::new(Asked(Box::new(answers)), tokens()).into_router();
    let path = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for _ in 0..100 {
        let (status, _, json) = ask(&app, path("/readyz")).await;
        assert_eq!((status, json), (200, json!({"status": "ready"})));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = tokio::time::Instant::now();
    assert_eq!(
        refused(&app, path("/readyz")).await,
        (503, "storage".into())
    );
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let (status, _, json) = ask(&app, path("/healthz")).await;
    assert_eq!((status, json), (200, json!({"status": "alive"})));
    assert_eq!(
        refused(&app, get(EVENTS, TOKEN)).await,
        (503, "storage".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_or_panics_is_answered_for() {
    let app = Api::new(Asked(Box::new(|| false)), tokens()).into_router();
    let path = status_of("628110000041");
    assert_eq!(
        refused(&app, get(&path, TOKEN)).await,
        (503, "storage".into())
    );
    let app = Api::new(Asked(Box::new(|| panic!("a bug"))), tokens()).into_router();
    assert_eq!(
        refused(&app, get(&path, TOKEN)).await,
        (500, "internal".into())
    );
}

/// Accepts an event when it is notified.
struct Waits(Arc<Notify>);

#[async_trait]
impl EventSink for Waits {
    fn name(&self) -> &str {
        "waits"
    }
    async fn send(&self, _: &SessionEvent) -> Result<(), SinkError> {
        self.0.notified().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn requests_above_the_limits_are_refused_at_once() {
    let notify = Arc::new(Notify::new());
    let receiver = WebhookReceiver::new(keys(), Waits(Arc::clone(&notify)));
    let limits = Limits::default().at_once(2).per_second(4);
    let store = MemoryStore::default();
    let api = Api::new(store, tokens())
        .receiver(receiver.limits(limits))
        .limits(limits);
    let app = api.into_router();
    let event = ready("session-1", PHONE).to_json();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (app, event) = (app.clone(), event.clone());
            tokio::spawn(async move { ask(&app, signed(event)).await.0 })
        })
        .collect();
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (status, headers, json) = ask(&app, signed(&*event)).await;
    assert_eq!((status, &json["code"]), (503, &json!("overloaded")));
    assert_eq!(headers["retry-after"], "1");
    notify.notify_waiters();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), 200);
    }
    // The read routes have limits of their own.
    let path = status_of("session-1");
    let many = (0..40).map(|_| refused(&app, get(&path, TOKEN)));
    let answers = futures_util::future::join_all(many).await;
    let count = |code: &str| answers.iter().filter(|(_, one)| one == code).count();
    let (answered, refusals) = (count("unknown_session"), count("too_many_requests"));
    assert!(answered > 0 && refusals > 0, "{answers:?}");
    assert_eq!(answered + refusals, 40, "{answers:?}");
    let start = tokio::time::Instant::now();
    for _ in 0..12 {
        assert_eq!(refused(&app, get(&path, TOKEN)).await.0, 404);
    }
    assert!(start.elapsed() >= Duration::from_secs(2), "four a second");
    let (status, ..) = ask(&app, get("/healthz", TOKEN)).await;
    assert_eq!(status, 200, "health has no limit");
}

/// The texts of the constants in a part of a file.
fn constants(code: &str) -> Vec<&str> {
    let lines = code
        .lines()
        .filter(|line| line.contains("const ") && line.contains(": &str = \""));
    lines.filter_map(|line| line.split('"').nth(1)).collect()
}

#[tokio::test]
async fn every_route_and_every_problem_is_described() {
    let app = api().await.0.into_router();
    let (status, headers, description) = ask(&app, get("/openapi.json", TOKEN)).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let paths = description["paths"].as_object().unwrap();
    let routes = constants(include_str!("../../src/server/mod.rs"));
    assert_eq!(routes.len(), 6);
    assert!(
        routes.iter().all(|route| paths.contains_key(*route)),
        "{routes:?}"
    );
    assert_eq!(paths.len(), routes.len());
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let mut request = get(&path.replace("{session_id}", "x"), TOKEN);
            *request.method_mut() = method.to_uppercase().parse().unwrap();
            let answer = app.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            let described = &methods[method]["responses"][status.to_string()];
            assert!(described.is_object(), "{method} {path}: {status}");
        }
    }
    let codes = include_str!("../../src/codes.rs");
    let (_, own) = codes.split_once("Of the answers of `server`").unwrap();
    let own = constants(own)
        .into_iter()
        .filter(|code| *code != "not_found");
    let text = paths.values().map(ToString::to_string).collect::<String>();
    let stores = [
        "unknown_session",
        "number_already_connected",
        "rebind_refused",
        "invalid_event",
        "storage",
    ];
    for code in own.chain(stores) {
        assert!(text.contains(&format!("`{code}`")), "{code}");
    }
    // References lead somewhere.
    let all = description.to_string();
    for name in all.split("#/components/schemas/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(
            description["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
    let (api, _) = super::api().await;
    let alone = Api::new(MemoryStore::default(), tokens()).into_router();
    let (_, _, description) = ask(&alone, get("/openapi.json", TOKEN)).await;
    assert!(description["paths"].get(WEBHOOK).is_none());
    assert_eq!(refused(&alone, signed("{}")).await.0, 404);
    assert!(!format!("{api:?}").contains(TOKEN));
}
