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

use super::constants::{EARLY_MODULES, FORMER_LID, FORMER_PHONE, PLATFORM, PUSH_NAME, QR_PREFIX};
use super::logout::Logout;
use super::scenario::Scenario;

const PAGE: &str = include_str!("page.html");
const PLAIN: &str = include_str!("plain.html");
/// One script: what the parts share stays in one closure, and off `window`.
const SCRIPT: &str = concat!(
    include_str!("page/native.js"),
    include_str!("page/names.js"),
    include_str!("page/storage.js"),
    include_str!("page/account.js"),
    include_str!("page/socket.js"),
    include_str!("page/modules.js"),
    include_str!("page/eras.js"),
    include_str!("page/qr.js"),
    include_str!("page/reports.js"),
    include_str!("page/logout.js"),
    include_str!("page/steps.js"),
);
const STRICT_CSP: &str = "default-src 'none'; script-src 'self'; connect-src 'self'";
const BODY_LIMIT: usize = 1024;

/// The state that the handlers and their owner share.
#[derive(Debug)]
pub(super) struct Shared {
    round: Mutex<Round>,
    readable: watch::Sender<Option<f64>>,
    settled: watch::Sender<Option<f64>>,
    /// Whether the test has signalled the newest load.
    pub(super) signalled: watch::Sender<bool>,
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
            settled: watch::Sender::new(None),
            signalled: watch::Sender::new(false),
        }
    }

    pub(super) fn set_scenario(&self, scenario: Scenario) {
        let mut round = self.round();
        *round = Round {
            number: round.number.wrapping_add(1),
            loads: 0,
            scenario,
        };
        self.forget_load();
    }

    fn forget_load(&self) {
        self.readable.send_replace(None);
        self.settled.send_replace(None);
        self.signalled.send_replace(false);
    }

    /// Ends requests that wait.
    pub(super) fn end(&self) {
        let mut round = self.round();
        round.number = round.number.wrapping_add(1);
        self.signalled.send_replace(false);
    }

    pub(super) fn signal(&self) {
        self.settled.send_replace(None);
        self.signalled.send_replace(true);
    }

    pub(super) fn loads(&self) -> u32 {
        self.round().loads
    }

    pub(super) fn readable(&self) -> watch::Receiver<Option<f64>> {
        self.readable.subscribe()
    }

    pub(super) fn settled(&self) -> watch::Receiver<Option<f64>> {
        self.settled.subscribe()
    }

    /// Returns whether this is the load whose reports count.
    fn is_newest(&self, visit: Visit) -> bool {
        let round = self.round();
        (visit.round, visit.load) == (round.number, round.loads)
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
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
    qr_prefix: &'a str,
    early_modules: &'a str,
    plain_logout: Logout,
    #[serde(flatten)]
    scenario: &'a Scenario,
}

#[derive(Debug, Deserialize)]
struct Report {
    #[serde(flatten)]
    visit: Visit,
    what: What,
    at: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Readable,
    Settled,
}

/// Returns the stand-in's own origin.
pub(super) fn standin(shared: Arc<Shared>) -> Router {
    plain()
        .route("/", get(page))
        .route("/page.js", get(script))
        .route("/report", post(report))
        .route("/signal", get(signal))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

/// Answers every path with a page without anything on it.
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
    shared.forget_load();
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
    let headers = [
        (header::CONTENT_TYPE, "text/javascript"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let round = shared.round();
    if visit.round != round.number {
        // The scenario was replaced between the page and its script.
        return (headers, "location.reload();").into_response();
    }
    let plan = Plan {
        round: visit.round,
        load: visit.load,
        former_phone: FORMER_PHONE,
        former_lid: FORMER_LID,
        push_name: PUSH_NAME,
        platform: PLATFORM,
        qr_prefix: QR_PREFIX,
        early_modules: EARLY_MODULES,
        plain_logout: Logout::default(),
        scenario: &round.scenario,
    };
    match serde_json::to_string(&plan) {
        Ok(plan) => (
            headers,
            format!("\"use strict\";\n((plan) => {{\n{SCRIPT}}})({plan});\n"),
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn report(State(shared): State<Arc<Shared>>, Json(report): Json<Report>) -> StatusCode {
    if !shared.is_newest(report.visit) {
        return StatusCode::GONE;
    }
    let moment = match report.what {
        What::Readable => &shared.readable,
        What::Settled => &shared.settled,
    };
    moment.send_replace(Some(report.at));
    StatusCode::NO_CONTENT
}

/// Answers once the test has signalled this load.
async fn signal(State(shared): State<Arc<Shared>>, Query(visit): Query<Visit>) -> StatusCode {
    let mut signalled = shared.signalled.subscribe();
    loop {
        if !shared.is_newest(visit) {
            return StatusCode::GONE;
        }
        if *signalled.borrow_and_update() {
            return StatusCode::NO_CONTENT;
        }
        if signalled.changed().await.is_err() {
            return StatusCode::GONE;
        }
    }
}
