//! Sessions that come back.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use super::*;
use crate::supervisor::lifecycle::Lifecycle;

/// When the hook was called, in milliseconds from the start, and for which reason.
type Calls = Arc<Mutex<Vec<(u128, ReasonKind)>>>;

/// A supervisor whose hook notes its calls and then does this.
fn restarting<F: Future<Output = Result<(), BoxError>> + Send + 'static>(
    policy: &RetryPolicy,
    hook: impl Fn(Session) -> F + Send + Sync + 'static,
) -> (Supervisor, Calls, mpsc::Receiver<Report>) {
    let (builder, reports) = reported();
    let (calls, start) = (Calls::default(), Instant::now());
    let noted = Arc::clone(&calls);
    let supervisor = builder.restart(policy.backoff().clone(), move |session, reason| {
        let at = start.elapsed().as_millis();
        noted.lock().unwrap().push((at, reason.kind()));
        hook(session)
    });
    (supervisor.build(), calls, reports)
}

fn ends(reports: &mpsc::Receiver<Report>) -> Vec<Option<Duration>> {
    let ends = reports.try_iter().filter_map(|report| match report.event {
        Event::SessionEnded { restart_in } => Some(restart_in),
        _ => None,
    });
    ends.collect()
}

fn at(times: &[u128]) -> Vec<(u128, ReasonKind)> {
    times.iter().map(|at| (*at, ReasonKind::Failed)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_ends_with_the_attempts() {
    let policy = RetryPolicy::builder().initial_delay(S(1)).attempts(3);
    let policy = policy.interval(S(2)).build().unwrap();
    let (supervisor, calls, reports) = restarting(&policy, |session| async move {
        drop(session.spawn("watch", fail(page_closed())));
        Ok(())
    });
    let first = supervisor.start("7").unwrap();
    drop(first.spawn("watch", fail(page_closed())));
    tokio::time::sleep(S(60)).await;
    assert_eq!(*calls.lock().unwrap(), at(&[1_000, 3_000, 5_000]));
    let secs = |s| Some(S(s));
    assert_eq!(ends(&reports), [secs(1), secs(2), secs(2), None]);
    assert!(supervisor.state("7").unwrap().is_ended());
    assert!(first.state().is_ended() && supervisor.sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_restarts_unless_a_session_ran_long_enough() {
    let lives = Arc::new(Mutex::new(vec![0, 25, 0, 0]));
    let (supervisor, calls, _reports) = restarting(
        &RetryPolicy::builder()
            .interval(S(4))
            .deadline(S(10))
            .build()
            .unwrap(),
        move |session| {
            let life = lives.lock().unwrap().pop().unwrap_or(0);
            async move {
                drop(session.spawn("watch", async move {
                    tokio::time::sleep(S(life)).await;
                    fail(page_closed()).await
                }));
                Ok(())
            }
        },
    );
    let first = supervisor.start("7").unwrap();
    drop(first.spawn("watch", fail(page_closed())));
    tokio::time::sleep(S(300)).await;
    // 0, 4, 8: the third runs for 25 s, until 33; then 37 and 41 again, and 45 would be too late.
    let expected = at(&[0, 4_000, 8_000, 33_000, 37_000, 41_000]);
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[test]
fn a_session_ended_on_purpose_stays_ended() {
    on_both(async || {
        let (supervisor, calls, _reports) =
            restarting(&RetryPolicy::eager(), |_| fail("never called"));
        supervisor.start("a").unwrap().end(S(0)).await;
        drop(supervisor.start("b").unwrap());
        let held = supervisor.start("c").unwrap();
        supervisor.stop(S(0)).await;
        assert!(held.state().is_ended() && calls.lock().unwrap().is_empty());
    });
}

#[test]
fn it_comes_back_under_its_id_and_others_do_not_notice() {
    on_both(async || {
        let (supervisor, calls, reports) =
            restarting(&RetryPolicy::eager(), |session| async move {
                drop(session.spawn("answer", hang()));
                Ok(())
            });
        let other = supervisor.start("other").unwrap();
        let first = supervisor.start("7").unwrap();
        drop(first.spawn("watch", async {
            if true {
                panic!("first");
            }
            Ok::<_, io::Error>(())
        }));
        end_of(&first).await;
        // After the end is seen, the id is already taken again.
        assert!(matches!(
            supervisor.start("7"),
            Err(StartError::Taken { .. })
        ));
        let second = supervisor.session("7").unwrap();
        let mut states = second.states();
        while states.next().await.unwrap() != SessionState::Live {}
        while second.tasks() == 0 || calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(calls.lock().unwrap()[0].1, ReasonKind::Panicked);
        assert_eq!(ends(&reports), [Some(S(0))]);
        assert_eq!(other.state(), SessionState::Live);
        supervisor.stop(S(0)).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_restart_can_be_called_off_and_stop_calls_off_all() {
    for by_stop in [false, true] {
        let policy = RetryPolicy::builder().initial_delay(S(5)).build().unwrap();
        let (supervisor, calls, _reports) = restarting(&policy, |_| fail("never called"));
        let first = supervisor.start("7").unwrap();
        drop(first.spawn("watch", fail(page_closed())));
        end_of(&first).await;
        let waiting = supervisor.session("7").unwrap();
        let SessionState::Restarting(reason) = waiting.state() else {
            panic!("{:?}", waiting.state());
        };
        assert_eq!(reason.task(), Some("watch"));
        let start = Instant::now();
        if by_stop {
            supervisor.stop(S(60)).await;
        } else {
            waiting.end(S(60)).await;
        }
        assert_eq!(start.elapsed(), S(0));
        assert!(calls.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_or_panics_takes_its_turn_in_the_row() {
    for panics in [false, true] {
        let policy = RetryPolicy::builder().attempts(3).build().unwrap();
        let (supervisor, calls, reports) = restarting(&policy, move |_| async move {
            assert!(!panics, "the hook");
            fail("no browser could be started").await
        });
        let other = supervisor.start("other").unwrap();
        let first = supervisor.start("7").unwrap();
        drop(first.spawn("watch", fail(page_closed())));
        tokio::time::sleep(S(60)).await;
        assert_eq!(calls.lock().unwrap().len(), 3);
        let state = supervisor.state("7").unwrap();
        assert_eq!(state.reason().unwrap().task(), Some("restart"));
        assert!(state.is_ended() && other.state() == SessionState::Live);
        // No session continues without its hook, and no log line says that one does.
        let mut events = reports.try_iter().map(|report| report.event);
        assert!(events.all(|event| event != Event::TaskFailed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ended_while_it_waited_does_not_come_back() {
    let policy = RetryPolicy::builder().initial_delay(S(5)).build().unwrap();
    let (supervisor, calls, _reports) = restarting(&policy, |_| fail("never called"));
    let first = supervisor.start("7").unwrap();
    drop(first.spawn("watch", fail(page_closed())));
    end_of(&first).await;
    let waiting = Arc::clone(&supervisor.0.lock().open["7"]);
    waiting.end(Reason::plain(ReasonKind::Requested), S(60));
    // As the restart would, had its delay ended a moment before.
    assert!(!waiting.change(Lifecycle::start_again));
    assert_eq!(waiting.state().as_str(), "ending");
    waiting.ended(S(60)).await;
    assert!(!waiting.change(Lifecycle::start_again) && waiting.state().is_ended());
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_takes_tasks_and_keeps_them() {
    let policy = RetryPolicy::builder().initial_delay(S(5)).build().unwrap();
    let (supervisor, _calls, _reports) = restarting(&policy, |_| async { Ok(()) });
    let first = supervisor.start("7").unwrap();
    drop(first.spawn("watch", fail(page_closed())));
    end_of(&first).await;
    let waiting = supervisor.session("7").unwrap();
    let task = waiting.spawn("early", async { Ok::<_, io::Error>(41) });
    assert_eq!(task.await.unwrap(), 41);
    assert_eq!(waiting.state().as_str(), "restarting");
    let mut states = waiting.states();
    while states.next().await.unwrap() != SessionState::Live {}
}
