//! How errors affect a session: one that is ending, and errors of extractions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::classify::{ErrorClass, Rule, Verdict};
use crate::extract::{ExtractError, Extractor};
use crate::source::mock::{Act, MockSource};
use crate::source::{Assurance, Look};

/// Fails in passing, and not as is to be expected of an ending session.
fn offline() -> ProtocolFailure {
    let text = "net::ERR_INTERNET_DISCONNECTED at https://web.whatsapp.com/";
    ProtocolFailure::new(Site::Cdp, text)
}

#[test]
fn the_last_error_of_an_ending_session_is_reported_however_it_was_run() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("7").unwrap();
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        for is_run in [false, true] {
            let (ending, begun) = (session.ending(), begun.clone());
            let work = async move {
                begun.send(()).unwrap();
                ending.await;
                fail(offline()).await
            };
            let mut once = Some(work);
            let policy = RetryPolicy::eager();
            drop(match is_run {
                false => session.spawn("number", once.take().unwrap()),
                true => session.run("number", policy.backoff(), move || once.take().unwrap()),
            });
        }
        for _ in 0..2 {
            begins.recv().await.unwrap();
        }
        session.end(Duration::MAX).await;
        let all: Vec<_> = reports.try_iter().collect();
        let failed = all
            .iter()
            .filter(|report| report.event == Event::TaskFailed);
        let class = |report: &Report| report.reason.class() == Some(ErrorClass::Network);
        assert_eq!(failed.filter(|report| class(report)).count(), 2, "{all:?}");
        assert_eq!((all.len(), session.suppressed()), (3, 0));
    });
}

#[tokio::test]
async fn each_run_may_wait_for_the_end() {
    let session = Supervisor::new().start("7").unwrap();
    let handle = session.clone();
    // The signal borrows nothing of the handle that each run shares.
    let task = session.run("wait", RetryPolicy::eager().backoff(), move || {
        let ending = handle.ending();
        async move {
            ending.await;
            Ok::<_, io::Error>(41)
        }
    });
    tokio::task::yield_now().await;
    session.end(S(5)).await;
    assert_eq!(task.await.unwrap(), 41);
}

/// The error of an extraction that lasts a second.
async fn extraction(source: MockSource, classifier: ProtocolErrorClassifier) -> ExtractError {
    let policy = RetryPolicy::builder().deadline(S(1)).build().unwrap();
    let extractor = Extractor::builder().source(source).policy(policy);
    let extractor = extractor.classifier(classifier).build().unwrap();
    extractor.extract().await.unwrap_err()
}

fn page(act: impl Into<Act>) -> MockSource {
    MockSource::new("page").at(S(0), act)
}

fn coded(code: &'static str) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code)
}

#[tokio::test(start_paused = true)]
async fn an_extraction_goes_by_its_kind() {
    let lid = |page: MockSource| {
        let found = page.look("123456789012345@lid".parse().unwrap(), Assurance::Confirmed);
        page.at(S(0), found)
    };
    let unknown = ProtocolFailure::new(Site::Unknown, "what is this");
    let retry = Verdict::Retry;
    for (source, code, rule, live) in [
        (MockSource::new("page"), "not_ready", "not_ready", retry),
        (page(unknown.clone()), "not_ready", "not_ready", retry),
        (page(Act::Hang), "not_ready", "look_timeout", retry),
        (lid(MockSource::new("page")), "lid_only", "lid_only", retry),
        (
            page(coded("unexpected alert open")),
            "blocked",
            "unexpected_alert_open",
            retry,
        ),
        (
            page(coded("no such window")),
            "page_closed",
            "no_such_window",
            Verdict::EndSession,
        ),
        (
            page(coded("connection lost")),
            "browser_gone",
            "connection_lost",
            Verdict::EndBrowser,
        ),
        (
            page(coded("misconfigured")),
            "misconfigured",
            "misconfigured",
            Verdict::Surface,
        ),
        (
            page(Look::Conflict),
            "sources_disagree",
            "sources_disagree",
            Verdict::Surface,
        ),
        (
            page(Act::Panic),
            "source_panicked",
            "source_panicked",
            Verdict::Surface,
        ),
    ] {
        let error = extraction(source, ProtocolErrorClassifier::new()).await;
        assert_eq!(error.code(), code);
        // Also where it is the cause of another.
        let wrapped = Wrapped(error.clone());
        for error in [&error as &(dyn Error + 'static), &wrapped] {
            let reason = Reason::failed("number".into(), &ProtocolErrorClassifier::new(), error);
            let seen = (reason.rule(), reason.verdict(crate::classify::Phase::Live));
            assert_eq!(seen, (Some(rule), live), "{code}");
        }
    }
    // An extraction that never began has only the text of its failure, and unknown failures are not retried.
    let never_began = ExtractError::from(unknown);
    assert_eq!(never_began.code(), "not_ready");
    let reason = Reason::failed(
        "number".into(),
        &ProtocolErrorClassifier::new(),
        &never_began,
    );
    assert_eq!(reason.rule(), Some("unlisted"));
}

#[derive(Debug, thiserror::Error)]
#[error("could not read the number")]
struct Wrapped(#[source] ExtractError);

#[tokio::test(start_paused = true)]
async fn an_extraction_that_was_too_early_is_run_again() {
    let session = Supervisor::new().start("7").unwrap();
    let page = MockSource::new("page").number_at(S(25), "628110000041@c.us");
    let extractor = Extractor::builder().source(page).build().unwrap();
    let policy = RetryPolicy::builder().interval(S(2)).deadline(S(60));
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let task = session.run("number", policy.build().unwrap().backoff(), move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let extractor = extractor.clone();
        async move { extractor.extract().await }
    });
    assert_eq!(task.await.unwrap().phone.reveal(), "628110000041");
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_of_the_extractor_s_own_classifier_ends_the_session() {
    let own = Rule::text("tenant_gone", ErrorClass::PageClosed, "tenant was deleted");
    let own = ProtocolErrorClassifier::builder()
        .before(own.orphan())
        .build();
    let gone = page(ProtocolFailure::new(Site::Cdp, "the tenant was deleted"));
    let error = extraction(gone.clone(), own.clone()).await;
    let cause = error.source().map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("the tenant was deleted"));

    let (builder, reports) = reported();
    let session = builder.build().start("7").unwrap();
    drop(session.spawn("number", fail(error.clone())));
    let state = end_of(&session).await;
    assert_eq!(state.reason().unwrap().rule(), Some("tenant_gone"));
    assert_eq!(
        state.reason().unwrap().class(),
        Some(ErrorClass::PageClosed)
    );
    assert_eq!(session.handle_error("late", &error), Verdict::Suppress);
    assert_eq!(reports.try_iter().count(), 1);
}
