//! A session's way from start to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use super::*;
use crate::classify::Verdict;

#[test]
fn an_id_is_taken_until_its_session_has_ended() {
    on_both(async || {
        let supervisor = Supervisor::new();
        let session = supervisor.start("7").unwrap();
        let error = supervisor.start("7").unwrap_err();
        assert_eq!(error, StartError::Taken { id: id("7") });
        assert!(error.to_string().contains("`7` has not ended"));
        session.end(S(0)).await;
        supervisor.start("7").unwrap().end(S(0)).await;
    });
}

#[test]
#[should_panic(expected = "timers are disabled")]
fn without_a_clock_no_session_starts() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        drop(Supervisor::new().start("7"));
    });
}

#[test]
fn a_task_gives_its_answer() {
    on_both(async || {
        let session = Supervisor::new().start("7").unwrap();
        let once = session.spawn("once", async { Ok::<_, io::Error>(1) });
        let run = session.run("run", RetryPolicy::eager().backoff(), || async {
            Ok::<_, io::Error>(2)
        });
        assert_eq!((once.await.unwrap(), run.await.unwrap()), (1, 2));
    });
}

#[test]
fn a_transient_error_is_run_again_by_the_policy() {
    on_both(async || {
        let session = Supervisor::new().start("7").unwrap();
        let runs = AtomicU32::new(0);
        let policy = RetryPolicy::builder().interval(Duration::from_millis(10));
        let policy = policy.attempts(3).build().unwrap();
        let task = session.run("run", policy.backoff(), move || {
            let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
            async move { if run < 3 { Err(passing()) } else { Ok(run) } }
        });
        assert_eq!(task.await.unwrap(), 3);
        assert_eq!(session.state(), SessionState::Live);
    });
}

#[tokio::test(start_paused = true)]
async fn exhausted_runs_are_reported_and_the_session_goes_on() {
    let (builder, reports) = reported();
    let session = builder.build().start("7").unwrap();
    let policy = RetryPolicy::classic();
    let start = Instant::now();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let task = session.run("run", policy.backoff(), move || {
        counted.fetch_add(1, Ordering::Relaxed);
        fail(passing())
    });
    let TaskError::Failed { error, reason } = task.await.unwrap_err() else {
        panic!("it failed");
    };
    assert!(error.downcast_ref::<ProtocolFailure>().is_some());
    assert_eq!(start.elapsed(), Duration::from_millis(9_500));
    assert_eq!(runs.load(Ordering::Relaxed), 15);
    let report = reports.try_recv().unwrap();
    assert_eq!((report.event, &report.reason), (Event::TaskFailed, &reason));
    assert_eq!(session.state(), SessionState::Live);
}

#[tokio::test(start_paused = true)]
async fn runs_end_by_the_deadline_however_long_each_takes() {
    let session = Supervisor::new().start("7").unwrap();
    for (takes, ends) in [(0, 10), (3, 11), (10, 10)] {
        let start = Instant::now();
        let policy = RetryPolicy::builder().interval(S(1)).build().unwrap();
        let task = session.run("run", policy.backoff(), move || async move {
            tokio::time::sleep(S(takes)).await;
            fail(passing()).await
        });
        task.await.unwrap_err();
        assert_eq!(start.elapsed(), S(ends), "{takes}");
    }
}

#[test]
fn a_lost_page_ends_its_session_and_the_first_reason_stays() {
    on_both(async || {
        let (builder, reports) = reported();
        let supervisor = builder.build();
        let session = supervisor.start("7").unwrap();
        let ending = session.ending();
        let other = session.spawn("other", async move {
            ending.await;
            let text = "invalid session id";
            fail(ProtocolFailure::new(Site::WebDriverCommand, text).with_code(text)).await
        });
        let first = session.spawn("first", fail(page_closed()));
        let error = first.await.unwrap_err();
        assert!(matches!(error, TaskError::Failed { .. }), "{error:?}");
        let reason = error.reason().clone();
        assert_eq!(reason.task(), Some("first"));
        assert_eq!(reason.rule(), Some("no_such_window"));
        // The other one only says what is to be expected.
        let error = other.await.unwrap_err();
        assert!(matches!(error, TaskError::Ended(_)) && *error.reason() == reason);
        assert_eq!(end_of(&session).await, SessionState::Ended(reason.clone()));
        assert_eq!((session.suppressed(), supervisor.suppressed()), (1, 1));
        let all: Vec<_> = reports.try_iter().collect();
        let event = Event::SessionEnded { restart_in: None };
        assert_eq!(
            all,
            [Report {
                session: id("7"),
                event,
                reason
            }]
        );
    });
}

#[test]
fn an_unknown_error_surfaces_in_any_phase() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("7").unwrap();
        let task = session.spawn("import", fail("duplicate key"));
        task.await.unwrap_err();
        assert_eq!(session.state(), SessionState::Live);
        let ending = session.ending();
        let task = session.spawn("late", async move {
            ending.await;
            fail("Protocol error, got \"H\" as reply type byte").await
        });
        session.end(Duration::MAX).await;
        task.await.unwrap_err();
        let names: Vec<_> = reports
            .try_iter()
            .map(|report| report.reason.task().map(str::to_owned))
            .collect();
        assert_eq!(
            names,
            [Some("import".to_owned()), Some("late".to_owned()), None]
        );
        assert_eq!(session.suppressed(), 0);
    });
}

#[test]
fn any_error_of_a_required_task_ends_its_session() {
    on_both(async || {
        let (builder, reports) = reported();
        let session = builder.build().start("7").unwrap();
        let task = session.spawn_required("page", fail("no browser could be started"));
        let error = task.await.unwrap_err();
        assert!(matches!(error, TaskError::Failed { .. }), "{error:?}");
        let state = end_of(&session).await;
        assert_eq!(state, SessionState::Ended(error.reason().clone()));
        assert!(state.reason().unwrap().is_failure());
        assert_eq!(reports.try_iter().count(), 1);
    });
}

#[test]
fn causes_are_classified_too() {
    #[derive(Debug, thiserror::Error)]
    #[error("could not read the number")]
    struct Wrapped(#[source] ProtocolFailure);
    on_both(async || {
        let session = Supervisor::new().start("7").unwrap();
        let task = session.spawn("watch", fail(Wrapped(page_closed())));
        let error = task.await.unwrap_err();
        assert_eq!(
            error.source().unwrap().to_string(),
            page_closed().to_string()
        );
        assert!(end_of(&session).await.is_ended());
    });
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_is_aborted_at_the_deadline_and_not_before() {
    let session = Supervisor::new().start("7").unwrap();
    let hangs = session.spawn("hang", hang());
    let ending = session.ending();
    let cooperative = session.spawn("cooperative", async move {
        ending.await;
        tokio::time::sleep(S(4)).await;
        Ok::<_, io::Error>("in time")
    });
    let start = Instant::now();
    assert!(session.end(S(5)).await.is_ended());
    assert_eq!(start.elapsed(), S(5));
    assert_eq!(cooperative.await.unwrap(), "in time");
    let error = hangs.await.unwrap_err();
    assert_eq!(error.reason().kind(), ReasonKind::Requested);
    assert!(matches!(error, TaskError::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn the_earlier_deadline_counts() {
    let session = Supervisor::new().start("7").unwrap();
    drop(session.spawn("hang", hang()));
    let start = Instant::now();
    tokio::join!(session.end(S(50)), session.end(S(5)), session.end(S(20)));
    assert_eq!(start.elapsed(), S(5));
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_page_the_grace_counts() {
    let supervisor = Supervisor::builder().grace(S(2)).build();
    let session = supervisor.start("7").unwrap();
    drop(session.spawn("hang", hang()));
    drop(session.spawn("watch", fail(page_closed())));
    let start = Instant::now();
    end_of(&session).await;
    assert_eq!(start.elapsed(), S(2));
}

#[test]
fn in_an_ending_session_no_task_begins() {
    on_both(async || {
        let session = Supervisor::new().start("7").unwrap();
        let ending = session.ending();
        let (held, hold) = tokio::sync::oneshot::channel::<()>();
        drop(session.spawn("hold", async move {
            ending.await;
            hold.await
        }));
        let handle = session.clone();
        let ended = tokio::spawn(async move { handle.end(Duration::MAX).await });
        session.ending().await;
        let late = session.spawn("late", async { Ok::<_, io::Error>(()) });
        assert!(matches!(late.await.unwrap_err(), TaskError::Ended(_)));
        let run = session.run("late", RetryPolicy::eager().backoff(), || fail(passing()));
        assert!(matches!(run.await.unwrap_err(), TaskError::Ended(_)));
        assert_eq!(session.state().as_str(), "ending");
        held.send(()).unwrap();
        assert!(ended.await.unwrap().is_ended());
    });
}

#[test]
fn a_session_without_handles_ends_with_its_last_task() {
    on_both(async || {
        let supervisor = Supervisor::new();
        let session = supervisor.start("7").unwrap();
        let mut states = session.states();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let task = session.spawn("work", gone);
        drop(session);
        let again = supervisor.session("7").unwrap();
        assert_eq!((again.state(), again.tasks()), (SessionState::Live, 1));
        drop(again);
        drop(supervisor.clone());
        go.send(()).unwrap();
        task.await.unwrap();
        while states.next().await.is_some() {}
        let state = supervisor.state("7").unwrap();
        assert_eq!(state.reason().unwrap().kind(), ReasonKind::Finished);
        assert!(supervisor.session("7").is_none());
        // Without any task it ends with its last handle.
        drop(supervisor.start("8").unwrap());
        assert!(supervisor.state("8").unwrap().is_ended());
    });
}

#[test]
fn errors_from_elsewhere_are_classified_by_the_session_s_phase() {
    on_both(async || {
        let (builder, reports) = reported();
        let supervisor = builder.build();
        let session = supervisor.start("7").unwrap();
        session.end(S(0)).await;
        assert_eq!(reports.try_iter().count(), 1);
        assert_eq!(
            session.handle_error("callback", &page_closed()),
            Verdict::Suppress
        );
        assert_eq!((session.suppressed(), reports.try_iter().count()), (1, 0));
        let unknown = io::Error::other("disk full");
        assert_eq!(session.handle_error("callback", &unknown), Verdict::Surface);
        assert_eq!(reports.try_iter().count(), 1);
    });
}

#[test]
fn the_last_state_is_never_missed() {
    on_both(async || {
        let supervisor = Supervisor::new();
        let session = supervisor.start("7").unwrap();
        let (mut slow, mut late) = (session.states(), session.states());
        assert_eq!(slow.next().await, Some(SessionState::Live));
        drop(session.spawn("watch", fail(page_closed())));
        drop((session, supervisor));
        let mut last = None;
        while let Some(state) = slow.next().await {
            last = Some(state);
        }
        assert!(last.unwrap().is_ended());
        // One that has not looked before is still notified, after all else has been dropped.
        let end = late.next().await.unwrap();
        assert_eq!(end.reason().unwrap().rule(), Some("no_such_window"));
        assert_eq!((late.next().await, late.next().await), (None, None));
    });
}
