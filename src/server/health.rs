//! Whether the process is alive and its store answers: [`Readiness`].

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::problem::{Problem, STORAGE};
use crate::event::SessionId;
use crate::store::SessionStore;

/// How long the store may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer of the store holds, so that this route cannot load it.
const HOLDS_FOR: Duration = Duration::from_secs(1);
/// The session that is asked for; it need not exist.
const PROBE: &str = "whatsapp-phone-readiness";

/// The store, and whether it answered when it was last asked.
pub(super) struct Readiness {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) last: Mutex<Option<(Instant, bool)>>,
}

pub(super) async fn alive() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

pub(super) async fn ready(State(of): State<Arc<Readiness>>) -> Result<Json<Value>, Problem> {
    let mut last = of.last.lock().await;
    let is_ready = match *last {
        Some((at, is_ready)) if at.elapsed() < HOLDS_FOR => is_ready,
        _ => {
            let is_ready = is_answering(&*of.store).await;
            *last = Some((Instant::now(), is_ready));
            is_ready
        }
    };
    match is_ready {
        true => Ok(Json(json!({"status": "ready"}))),
        false => Err(STORAGE),
    }
}

async fn is_answering(store: &dyn SessionStore) -> bool {
    let Ok(probe) = SessionId::new(PROBE) else {
        return false;
    };
    matches!(timeout(TIMEOUT, store.session(&probe)).await, Ok(Ok(_)))
}
