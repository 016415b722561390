//! Tests without a real clock: on paused time, or, on several threads, by events alone.

mod ids;
mod isolation;
mod lifecycle;
mod panics;
mod restart;
mod stop;
mod transitions;
mod verdicts;

use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::classify::ProtocolErrorClassifier;
use crate::failure::{ProtocolFailure, Site};
use crate::retry::RetryPolicy;

const S: fn(u64) -> Duration = Duration::from_secs;

/// Runs it on a runtime of one thread with paused time, and on one of several threads.
fn on_both<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let mut single = tokio::runtime::Builder::new_current_thread();
    let single = single.enable_time().start_paused(true).build().unwrap();
    single.block_on(test());
    let mut multi = tokio::runtime::Builder::new_multi_thread();
    let multi = multi.worker_threads(3).enable_time().build().unwrap();
    multi.block_on(test());
}

fn page_closed() -> ProtocolFailure {
    ProtocolFailure::new(
        Site::WebDriverCommand,
        "no such window: target window already closed",
    )
    .with_code("no such window")
}

fn passing() -> ProtocolFailure {
    ProtocolFailure::new(
        Site::Unknown,
        "the source did not answer in time; its browser or service may hang",
    )
    .with_code("look timeout")
}

async fn hang() -> Result<(), io::Error> {
    pending().await
}

async fn fail(error: impl Into<BoxError>) -> Result<(), BoxError> {
    Err(error.into())
}

/// A builder whose reports can be read.
fn reported() -> (SupervisorBuilder, mpsc::Receiver<Report>) {
    let (sender, reports) = mpsc::channel();
    let builder = Supervisor::builder()
        .on_report(move |report| sender.send(report.clone()).unwrap_or_default());
    (builder, reports)
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// The last state, once it is there.
async fn end_of(session: &Session) -> SessionState {
    let mut states = session.states();
    let mut last = session.state();
    while let Some(state) = states.next().await {
        last = state;
    }
    last
}
