//! A panic stays in its session, wherever it comes from.

use super::*;
use crate::classify::Verdict;

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a drop of +62 811-0000-041");
    }
}

/// An error whose words panic.
#[derive(Debug)]
struct FailsToPrint;

impl fmt::Display for FailsToPrint {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("printing panics")
    }
}

impl Error for FailsToPrint {}

/// A panic payload that panics again when it is dropped.
struct Thrown;

impl Drop for Thrown {
    fn drop(&mut self) {
        std::panic::panic_any(PanicsOnDrop);
    }
}

async fn assert_panicked(session: &Session, reports: &mpsc::Receiver<Report>, words: &str) {
    let state = end_of(session).await;
    let reason = state.reason().unwrap();
    assert_eq!(reason.kind(), ReasonKind::Panicked);
    assert_eq!(reason.task(), Some("bad"));
    assert_eq!(reason.failure().unwrap().message(), words);
    let events: Vec<_> = reports.try_iter().map(|report| report.event).collect();
    let ended = Event::SessionEnded { restart_in: None };
    assert_eq!(events, [Event::TaskPanicked, ended]);
    let debug = format!("{state:?} {state}");
    assert!(!debug.contains("0000"), "{debug}");
}

#[test]
fn a_panic_is_reported_and_ends_its_session() {
    on_both(async || {
        let (builder, reports) = reported();
        let supervisor = builder.build();
        let (bad, good) = (
            supervisor.start("a").unwrap(),
            supervisor.start("b").unwrap(),
        );
        let answer = good.spawn("good", async {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(41)
        });
        let task = bad.spawn("bad", async {
            if true {
                panic!("no chat with 628110000041");
            }
            Ok::<_, io::Error>(())
        });
        let error = task.await.unwrap_err();
        assert!(matches!(error, TaskError::Panicked(_)));
        let words = "task `bad` panicked: no chat with 62********41";
        assert_eq!(error.to_string(), words);
        assert_panicked(&bad, &reports, "no chat with 62********41").await;
        assert_eq!(answer.await.unwrap(), 41);
        assert_eq!(good.state(), SessionState::Live);
    });
}

#[test]
fn when_what_was_thrown_is_dropped() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("a").unwrap();
        let task = session.spawn("bad", async {
            if true {
                std::panic::panic_any(Thrown);
            }
            Ok::<_, io::Error>(())
        });
        assert!(matches!(task.await.unwrap_err(), TaskError::Panicked(_)));
        assert_panicked(&session, &reports, "no message").await;
    });
}

#[test]
fn when_what_the_observer_threw_is_dropped() {
    on_both(async || {
        let builder = Supervisor::builder().on_report(|_| std::panic::panic_any(Thrown));
        let supervisor = builder.build();
        let session = supervisor.start("a").unwrap();
        session.spawn("surfaces", fail("what")).await.unwrap_err();
        assert!(session.end(S(0)).await.is_ended());
        assert!(supervisor.state("a").unwrap().is_ended());
    });
}

#[test]
fn when_a_run_is_made() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("a").unwrap();
        let run = false;
        let task = session.run("bad", RetryPolicy::eager().backoff(), move || {
            assert!(run, "no run");
            fail("never")
        });
        assert!(matches!(task.await.unwrap_err(), TaskError::Panicked(_)));
        assert_panicked(&session, &reports, "no run").await;
    });
}

#[test]
fn when_the_work_is_dropped() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("a").unwrap();
        let panics = PanicsOnDrop;
        let ending = session.ending();
        drop(session.spawn("bad", async move {
            let _held = panics;
            ending.await;
            hang().await
        }));
        // The task holds it once it runs; it is aborted here, and the first reason stays.
        tokio::task::yield_now().await;
        let state = session.end(S(0)).await;
        assert_eq!(state.reason().unwrap().kind(), ReasonKind::Requested);
        let all: Vec<_> = reports.try_iter().collect();
        assert_eq!(all[0].event, Event::TaskPanicked);
        assert_eq!(
            all[0].reason.failure().unwrap().message(),
            "a drop of +62 ***-****-*41"
        );
        assert_eq!(all.len(), 2);
    });
}

// On one thread, where the handle is surely dropped before the answer is there.
#[tokio::test]
async fn when_an_unused_result_is_dropped() {
    let (builder, reports) = reported();
    let session = builder.build().start("a").unwrap();
    drop(session.spawn("bad", async { Ok::<_, io::Error>(PanicsOnDrop) }));
    assert_panicked(&session, &reports, "a drop of +62 ***-****-*41").await;
}

#[test]
fn when_an_error_is_put_into_words() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("a").unwrap();
        let task = session.spawn("bad", fail(FailsToPrint));
        assert!(matches!(task.await.unwrap_err(), TaskError::Panicked(_)));
        assert_panicked(&session, &reports, "printing panics").await;
    });
}

#[test]
fn when_an_error_from_elsewhere_is_put_into_words() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("a").unwrap();
        assert_eq!(
            session.handle_error("bad", &FailsToPrint),
            Verdict::EndSession
        );
        assert_panicked(&session, &reports, "printing panics").await;
        assert_eq!(session.handle_error("bad", &FailsToPrint), Verdict::Surface);
    });
}

#[test]
fn of_the_observer() {
    on_both(async || {
        let supervisor = Supervisor::builder()
            .on_report(|report| panic!("{report:?}"))
            .build();
        let (bad, good) = (
            supervisor.start("a").unwrap(),
            supervisor.start("b").unwrap(),
        );
        bad.spawn("surfaces", fail("what")).await.unwrap_err();
        bad.spawn("lost", fail(page_closed())).await.unwrap_err();
        assert!(end_of(&bad).await.is_ended());
        assert_eq!(good.state(), SessionState::Live);
        assert!(good.end(S(0)).await.is_ended());
    });
}

#[test]
fn nothing_that_is_printed_shows_a_number() {
    on_both(async || {
        let session = Supervisor::new().start("7").unwrap();
        let task = session.spawn("send", fail("no chat with 628110000041@c.us"));
        let error = task.await.unwrap_err();
        let said = format!("{error} {error:?} {session:?}");
        assert!(
            said.contains("62********41@c.us") && !said.contains("628110000041"),
            "{said}"
        );
    });
}
