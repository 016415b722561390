//! Three sessions from their QR codes to their rows in SQLite, and a page that shows them live.
//!
//! Without `--origin` each session opens a stand-in page of its own, so it runs without a phone.

#[path = "../support/phones.rs"]
mod phones;
#[path = "../support/mod.rs"]
mod support;

use std::{path::PathBuf, time::Duration};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Sse, sse::Event};
use axum::{Json, Router, routing::get};
use futures_util::{Stream, StreamExt};
use qrcode::{QrCode, render::svg};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionId, SessionKey};
use whatsapp_phone::onboard::{SessionHandle, SessionService};
use whatsapp_phone::source::webdriver::OpenOptions;
use whatsapp_phone::store::{SessionStore, StatusChange, StoreOptions, sqlite::SqliteStore};

/// Runs three sessions and shows them at http://LISTEN/
#[derive(Debug, clap::Parser)]
struct Args {
    /// The page of each session in turn; the real one is https://web.whatsapp.com
    #[arg(long, value_name = "URL")]
    origin: Vec<String>,
    /// The directory of the database and of the browser profiles
    #[arg(long, value_name = "DIRECTORY", default_value = "sessions")]
    storage: PathBuf,
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
}

type App = State<(SessionService, SqliteStore)>;
type Reply<T> = Result<T, StatusCode>;
type Data = Result<Event, axum::Error>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Args = support::args();
    let log = tracing_subscriber::fmt();
    log.with_writer(std::io::stderr).init();
    // The database holds phone numbers, so new files are accessible to this user alone.
    rustix::process::umask(0o077.into());
    let (targets, _phones) = phones::targets(args.origin, 3).await?;
    std::fs::create_dir_all(&args.storage)?;
    let url = format!("sqlite:{}/sessions.db", args.storage.display());
    let store = SqliteStore::connect(&url, StoreOptions::default().create_tables()).await?;
    let service = SessionService::builder(store.clone()).storage(args.storage);
    let service = service.page(move |key| {
        let session: usize = key.session_id.as_str().parse().unwrap_or(0);
        let target = targets[session % targets.len()].clone();
        let options = OpenOptions::default().headless(true).target(target);
        match rustix::process::geteuid().is_root() {
            // Chromium refuses its sandbox to root. A service should run as a user of its own instead.
            true => options.browser_arg("--no-sandbox"),
            false => options,
        }
    });
    let service = service.build()?;
    service.resume().await?;
    for session in 0..3 {
        let key = SessionKey::new(1, session)?;
        if service.session(&key.session_id).is_none() {
            service.start(&key).await?;
        }
    }

    let app = Router::new()
        .route("/", get(async || Html(include_str!("index.html"))))
        .route("/api/v1/whatsapp/accounts/{id}/status", get(status))
        .route("/qr/{id}", get(qr_code))
        .route("/events", get(events));
    let app = app.with_state((service.clone(), store));
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    println!("listening at http://{}/", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    service.stop(Duration::from_secs(20)).await;
    Ok(())
}

fn to_json(change: &StatusChange) -> Value {
    let number = change.phone.as_ref().map(PhoneNumber::reveal);
    let (id, status) = (change.session.session_id.as_str(), change.status.as_str());
    json!({"session_id": id, "status": status, "phone_number": number})
}

async fn status(State((_, store)): App, Path(id): Path<String>) -> Reply<Json<Value>> {
    let id = SessionId::new(&id).or(Err(StatusCode::NOT_FOUND))?;
    let row = store.session(&id).await.or(Err(StatusCode::BAD_GATEWAY))?;
    let change = row.ok_or(StatusCode::NOT_FOUND)?.to_change();
    Ok(Json(to_json(&change)))
}

async fn qr_code(State((service, _)): App, Path(id): Path<String>) -> Reply<impl IntoResponse> {
    let session = SessionId::new(&id).ok().and_then(|id| service.session(&id));
    let code = session.as_ref().and_then(SessionHandle::qr_code);
    let code = code.and_then(|code| QrCode::new(code.reveal()?).ok());
    let picture = code.map(|code| code.render::<svg::Color<'_>>().build());
    let svg = picture.ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(CONTENT_TYPE, "image/svg+xml")], svg))
}

async fn events(State((_, store)): App) -> Reply<Sse<impl Stream<Item = Data>>> {
    let watching = store.watch_workspace(&1.into()).await;
    let watcher = watching.or(Err(StatusCode::BAD_GATEWAY))?;
    let changes = watcher.into_stream();
    let events = changes.map(|change| Event::default().json_data(to_json(&change)));
    Ok(Sse::new(events))
}
