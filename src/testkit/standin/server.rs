//! The HTTP side: the page, its script with the plan in it, and the report that comes back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::scenario::{FORMER_LID, FORMER_PHONE, PLATFORM, PUSH_NAME, Scenario};

const PAGE: &str = include_str!("page.html");
const PLAIN: &str = include_str!("plain.html");
/// One script: what the parts share stays in one closure, and off `window`.
const SCRIPT: &str = concat!(
    include_str!("page/native.js"),
    include_str!("page/model.js"),
    include_str!("page/eras.js"),
    include_str!("page/storage.js"),
    include_str!("page/steps.js"),
);
const STRICT_CSP: &str = "default-src 'none'; script-src 'self'; connect-src 'self'";
const BODY_LIMIT: usize = 1024;

/// What the handlers and their owner share.
#[derive(Debug)]
pub(super) struct Shared {
    round: Mutex<Round>,
    readable: watch::Sender<Option<f64>>,
}

/// One scenario's time on the server. Reports of earlier rounds and loads are dropped by their numbers.
#[derive(Debug)]
struct Round {
    number: u32,
    loads: u32,
    scenario: Scenario,
}

impl Shared {
    pub(super) fn new(scenario: Scenario) -> Self {
        let round = Round {
            number: 1,
            loads: 0,
            scenario,
        };
        Self {
            round: Mutex::new(round),
            readable: watch::Sender::new(None),
        }
    }

    pub(super) fn set_scenario(&self, scenario: Scenario) {
        let mut round = self.round();
        *round = Round {
            number: round.number.wrapping_add(1),
            loads: 0,
            scenario,
        };
        self.readable.send_replace(None);
    }

    pub(super) fn loads(&self) -> u32 {
        self.round().loads
    }

    pub(super) fn readable(&self) -> watch::Receiver<Option<f64>> {
        self.readable.subscribe()
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Deserialize)]
struct Visit {
    round: u32,
    load: u32,
}

#[derive(Debug, Serialize)]
struct Plan<'a> {
    round: u32,
    load: u32,
    former_phone: &'a str,
    former_lid: &'a str,
    push_name: &'a str,
    platform: &'a str,
    #[serde(flatten)]
    scenario: &'a Scenario,
}

#[derive(Debug, Deserialize)]
struct Report {
    round: u32,
    load: u32,
    at: f64,
}

/// The stand-in's own origin.
pub(super) fn standin(shared: Arc<Shared>) -> Router {
    plain()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/readable", post(readable))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

/// Every path is a page without anything on it.
pub(super) fn plain<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .fallback(get(|| async { Html(PLAIN) }))
}

/// Serves until the sender of `alive` is dropped.
pub(super) fn spawn(listener: TcpListener, router: Router, mut alive: watch::Receiver<()>) {
    let ended = async move { while alive.changed().await.is_ok() {} };
    tokio::spawn(async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(ended)
            .await
    });
}

async fn page(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let mut round = shared.round();
    round.loads += 1;
    shared.readable.send_replace(None);
    let html = PAGE
        .replace("{round}", &round.number.to_string())
        .replace("{load}", &round.loads.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if round.scenario.csp_strict {
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(STRICT_CSP),
        );
    }
    (headers, Html(html))
}

async fn script(State(shared): State<Arc<Shared>>, Query(visit): Query<Visit>) -> Response {
    let round = shared.round();
    if visit.round != round.number {
        return StatusCode::GONE.into_response();
    }
    let plan = Plan {
        round: visit.round,
        load: visit.load,
        former_phone: FORMER_PHONE,
        former_lid: FORMER_LID,
        push_name: PUSH_NAME,
        platform: PLATFORM,
        scenario: &round.scenario,
    };
    match serde_json::to_string(&plan) {
        Ok(plan) => {
            let headers = [
                (header::CONTENT_TYPE, "text/javascript"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (
                headers,
                format!("\"use strict\";\n((plan) => {{\n{SCRIPT}}})({plan});\n"),
            )
                .into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn readable(State(shared): State<Arc<Shared>>, Json(report): Json<Report>) -> StatusCode {
    let round = shared.round();
    if (report.round, report.load) != (round.number, round.loads) {
        return StatusCode::GONE;
    }
    shared.readable.send_replace(Some(report.at));
    StatusCode::NO_CONTENT
}
