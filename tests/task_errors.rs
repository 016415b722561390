//! An error keeps its class, however a task of a supervisor returns it.
//!
//! `cargo test --test task_errors --all-features -- --nocapture` prints the table.
#![cfg(all(feature = "events", feature = "supervisor", feature = "webdriver"))]
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::error::Error;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey, SinkError};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::fantoccini::error::{CmdError, ErrorStatus, WebDriver};
use whatsapp_phone::onboard::{OnboardError, Onboarding};
use whatsapp_phone::source::Assurance;
use whatsapp_phone::source::mock::{Act, MockSource};
use whatsapp_phone::store::{StoreError, StoreErrorKind};
use whatsapp_phone::supervisor::BoxError;
use whatsapp_phone::{Backoff, ExtractError, Extractor, RetryPolicy, Supervisor};

#[derive(Debug, thiserror::Error)]
enum Own<E: Error + 'static> {
    #[error(transparent)]
    Transparent(E),
    #[error("the task of the service failed")]
    Caused(#[source] E),
    #[error("the task of the service failed: {0}")]
    Printed(E),
}

type MakeError<E> = fn(E) -> BoxError;

/// The ways in which a task returns an error.
fn ways<E: Error + Send + Sync + 'static>() -> [(&'static str, MakeError<E>); 11] {
    [
        ("itself", |error| error.into()),
        ("boxed", |error| Box::new(error)),
        ("anyhow", |error| anyhow::Error::from(error).into()),
        ("anyhow with context", |error| {
            let result = Err::<(), _>(error).context("reading the page");
            result.unwrap_err().into()
        }),
        ("anyhow with two contexts", |error| {
            let result = Err::<(), _>(error).context("reading the page");
            result.context("session 7").unwrap_err().into()
        }),
        ("anyhow of a box", |error| {
            anyhow::Error::from_boxed(error.into()).into()
        }),
        ("anyhow message", |error| anyhow::Error::msg(error).into()),
        ("io::Error::other", |error| io::Error::other(error).into()),
        ("transparent", |error| Own::Transparent(error).into()),
        ("source", |error| Own::Caused(error).into()),
        ("printed only", |error| Own::Printed(error).into()),
    ]
}

/// Has tasks return the error in every way, and checks class and action.
async fn check<E: Error + Send + Sync + 'static>(
    name: &str,
    make: impl Fn() -> E + Clone + Send + 'static,
    class: &str,
    action: &str,
) {
    for (way, wrap) in ways::<E>() {
        let session = Supervisor::new().start("7").unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let (make, counted) = (make.clone(), Arc::clone(&runs));
        let backoff = Backoff::builder().attempts(2).build().unwrap();
        let task = session.run("task", &backoff, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            ready(Err::<(), _>(wrap(make())))
        });
        let error = task.await.unwrap_err();
        let reason = error.reason();
        // The session ends when its task has left it.
        tokio::task::yield_now().await;
        let did = match (runs.load(Ordering::Relaxed), session.state().is_ended()) {
            (2, false) => "run again",
            (1, true) => "session ended",
            (1, false) => "reported",
            other => panic!("{name}, {way}: {other:?}"),
        };
        let found = reason.class().unwrap();
        println!(
            "| {name} | {way} | {found} | {} | {did} |",
            reason.rule().unwrap()
        );
        assert_eq!((found.as_str(), did), (class, action), "{name}, {way}");
    }
}

async fn extraction(source: MockSource) -> ExtractError {
    let policy = RetryPolicy::builder().deadline(Duration::from_secs(1));
    let extractor = Extractor::builder().source(source);
    let extractor = extractor.policy(policy.build().unwrap()).build().unwrap();
    extractor.extract().await.unwrap_err()
}

fn coded(code: &'static str) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, "it did not work").with_code(code)
}

fn page(act: impl Into<Act>) -> MockSource {
    MockSource::new("page").at(Duration::ZERO, act)
}

/// Refuses every event.
struct Refuse(SinkError);

#[async_trait]
impl EventSink for Refuse {
    fn name(&self) -> &str {
        "refuse"
    }

    async fn send(&self, _: &SessionEvent) -> Result<(), SinkError> {
        Err(self.0.clone())
    }
}

async fn onboarding(refusal: SinkError) -> OnboardError {
    let extractor = Extractor::builder().source(MockSource::new("page"));
    let key = SessionKey::new(42, 7).unwrap();
    let onboarding = Onboarding::new(key, extractor.build().unwrap(), Refuse(refusal));
    onboarding.authenticated().await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn an_error_keeps_its_class_however_a_task_returns_it() {
    let (retry, end, report) = ("run again", "session ended", "reported");
    println!("| error | returned as | class | rule | action |\n|---|---|---|---|---|");

    for (code, class, action) in [
        ("no such window", "page_closed", end),
        ("invalid session id", "page_closed", end),
        ("connection lost", "browser_gone", end),
        ("look timeout", "timeout", retry),
        ("unexpected alert open", "blocked", retry),
        ("misconfigured", "setup", report),
        // The codes of extractions, in an error of a service's own source or sidecar.
        ("page_closed", "page_closed", end),
        ("browser_gone", "browser_gone", end),
        ("not_ready", "timeout", retry),
    ] {
        let name = format!("ProtocolFailure `{code}`");
        check(&name, move || coded(code), class, action).await;
    }
    // Text from the page is not read, whatever wraps it.
    let said =
        || ProtocolFailure::new(Site::Script, "Error: Page crashed!").with_code("javascript error");
    check("ProtocolFailure of a script", said, "page_script", report).await;

    let lid =
        MockSource::new("page").look("123456789012345@lid".parse().unwrap(), Assurance::Confirmed);
    for (source, class, action) in [
        (page(coded("no such window")), "page_closed", end),
        (page(coded("connection lost")), "browser_gone", end),
        (page(coded("unexpected alert open")), "blocked", retry),
        (MockSource::new("page"), "timeout", retry),
        (page(lid), "timeout", retry),
        (page(coded("misconfigured")), "setup", report),
        (page(Act::Panic), "unrelated", report),
    ] {
        let error = extraction(source).await;
        let name = format!("ExtractError `{}`", error.code());
        check(&name, move || error.clone(), class, action).await;
    }

    // A database or webhook that is "closed" or "gone" is not the page.
    let words = "Connection closed.";
    for (refusal, class, action) in [
        (SinkError::transient("sink_full", words), "network", retry),
        (
            SinkError::permanent("sink_closed", words),
            "unrelated",
            report,
        ),
    ] {
        let kind = if action == retry {
            "transient"
        } else {
            "permanent"
        };
        let onboard = onboarding(refusal.clone()).await;
        check(
            &format!("SinkError, {kind}"),
            move || refusal.clone(),
            class,
            action,
        )
        .await;
        check(
            &format!("OnboardError, {kind}"),
            move || onboard.clone(),
            class,
            action,
        )
        .await;
    }
    // A code of drivers means something else in a sink.
    for (code, class, action) in [
        ("disconnected", "unrelated", report),
        ("no such window", "unrelated", report),
        ("page_closed", "page_closed", end),
        ("browser_gone", "browser_gone", end),
    ] {
        let refusal = SinkError::permanent(code, words);
        let name = format!("SinkError `{code}`");
        check(&name, move || refusal.clone(), class, action).await;
    }
    let storage = StoreError::new(StoreErrorKind::Storage, words);
    let refused = StoreError::new(StoreErrorKind::RebindRefused, words);
    let unknown = StoreError::new(StoreErrorKind::UnknownSession, words);
    for (error, class, action) in [
        (storage.clone().transient(), "network", retry),
        (storage, "unrelated", report),
        (refused, "unrelated", report),
        (unknown, "unrelated", report),
    ] {
        let name = format!(
            "StoreError `{}`, transient: {}",
            error.code(),
            error.is_transient()
        );
        check(&name, move || error.clone(), class, action).await;
    }

    let closed = || {
        let text = "no such window: target window already closed";
        CmdError::Standard(WebDriver::new(ErrorStatus::NoSuchWindow, text))
    };
    check("fantoccini CmdError", closed, "page_closed", end).await;
    let disk = || io::Error::other("disk full");
    check("io::Error", disk, "unrelated", report).await;
}

/// A task that awaits another session's task passes on what happened there.
#[tokio::test(start_paused = true)]
async fn the_error_of_another_task_keeps_its_class() {
    let supervisor = Supervisor::new();
    let (a, b) = (
        supervisor.start("a").unwrap(),
        supervisor.start("b").unwrap(),
    );
    let lost = a.spawn("page", ready(Err::<(), _>(coded("no such window"))));
    let follows = b.spawn("follow", async move { lost.await.context("session a") });
    let error = follows.await.unwrap_err();
    assert_eq!(error.reason().class().unwrap().as_str(), "page_closed");
}
