//! The state machine alone, without a clock, tasks or a supervisor.

use tokio::time::Instant;

use super::*;
use crate::classify::Verdict;
use crate::retry::Backoff;
use crate::supervisor::lifecycle::{Action, Lifecycle, Now, STABLE_AFTER};

const REQUESTED: Reason = Reason::plain(ReasonKind::Requested);
const STOPPED: Reason = Reason::plain(ReasonKind::Stopped);

const fn now(at: Instant, has_tasks: bool) -> Now {
    Now { at, has_tasks }
}

fn lost() -> Reason {
    Reason::failed(
        "watch".into(),
        &ProtocolErrorClassifier::new(),
        &page_closed(),
    )
}

#[test]
fn without_tasks_the_end_closes_the_session_once() {
    let start = Instant::now();
    let mut session = Lifecycle::default();
    let action = session.end(REQUESTED, S(5), now(start, false));
    assert!(matches!(action, Some(Action::Close(reason, None)) if reason == REQUESTED));
    assert!(session.end(STOPPED, S(0), now(start, false)).is_none());
    assert!(session.close_if_done(now(start, false)).is_none());
    assert_eq!(session.state, SessionState::Ending(REQUESTED));
}

#[test]
fn with_tasks_the_first_reason_and_the_earliest_deadline_count() {
    let start = Instant::now();
    let mut session = Lifecycle::default();
    let mut stop = |reason, grace| match session.end(reason, grace, now(start, true)) {
        Some(Action::Stop(at)) => at.map(|at| at - start),
        other => panic!("{other:?}"),
    };
    assert_eq!(stop(REQUESTED, Duration::MAX), None);
    assert_eq!(stop(STOPPED, S(5)), Some(S(5)));
    assert_eq!(stop(STOPPED, S(9)), None);
    assert_eq!(stop(STOPPED, S(2)), Some(S(2)));
    assert!(session.close_if_done(now(start, true)).is_none());
    let action = session.close_if_done(now(start, false));
    assert!(matches!(action, Some(Action::Close(reason, None)) if reason == REQUESTED));
}

#[test]
fn a_failed_session_that_is_ended_on_purpose_is_not_restarted() {
    let start = Instant::now();
    for (reason, is_restarted) in [(lost(), true), (REQUESTED, false), (STOPPED, false)] {
        let mut session = Lifecycle {
            live_since: Some(start),
            backoff: Some(Backoff::default()),
            ..Lifecycle::default()
        };
        session.end(lost(), S(5), now(start, true));
        session.end(reason, S(5), now(start, true));
        let action = session.close_if_done(now(start, false));
        let Some(Action::Close(kept, restart)) = action else {
            panic!("it closes");
        };
        assert_eq!((kept, restart.is_some()), (lost(), is_restarted));
    }
}

#[test]
fn a_failure_acts_by_its_verdict_and_by_the_phase() {
    let start = Instant::now();
    let unknown = Reason::failed(
        "a".into(),
        &ProtocolErrorClassifier::new(),
        &io::Error::other("x"),
    );
    let mut session = Lifecycle::default();
    let (found, action) = session.task_failed(&unknown, false, S(5), now(start, true));
    assert_eq!(found, (Verdict::Surface, false));
    assert!(action.is_none() && session.state == SessionState::Live);
    let (found, action) = session.task_failed(&lost(), false, S(5), now(start, true));
    assert_eq!(found, (Verdict::EndSession, true));
    assert!(matches!(action, Some(Action::Stop(Some(_)))));
    let (found, action) = session.task_failed(&lost(), false, S(5), now(start, true));
    assert_eq!((found, session.suppressed), ((Verdict::Suppress, false), 1));
    assert!(action.is_none());

    let mut session = Lifecycle::default();
    let (found, action) = session.task_failed(&unknown, true, S(5), now(start, true));
    assert_eq!(found, (Verdict::Surface, true));
    assert!(matches!(action, Some(Action::Stop(Some(_)))));
}

#[test]
fn a_stable_session_starts_a_new_series_of_restarts() {
    let backoff = Backoff::builder().attempts(3).interval(S(1));
    let backoff = backoff.build().unwrap();
    let (mut series, mut at) = (None, Instant::now());
    let mut delays = Vec::new();
    for lives in [S(0), S(60), STABLE_AFTER, S(60), S(60), S(60)] {
        let mut session = Lifecycle {
            live_since: Some(at),
            backoff: Some(backoff.clone()),
            series,
            ..Lifecycle::default()
        };
        at += lives;
        let Some(Action::Close(_, restart)) = session.end(lost(), S(0), now(at, false)) else {
            panic!("it closes");
        };
        let Some((delay, left)) = restart else {
            break;
        };
        delays.push(delay);
        series = Some(left);
    }
    assert_eq!(delays, [S(0), S(1), S(0), S(1), S(2)]);
}

#[test]
fn only_a_session_that_waits_is_started_again() {
    let start = Instant::now();
    let mut session = Lifecycle {
        state: SessionState::Restarting(lost()),
        ..Lifecycle::default()
    };
    // It is about to get a task, so nothing closes it.
    assert!(session.close_if_done(now(start, false)).is_none());
    assert!(session.start_again(now(start, false)).0 && !session.start_again(now(start, false)).0);
    assert_eq!(session.state, SessionState::Live);
    let action = session.close_if_done(now(start, false));
    assert!(
        matches!(action, Some(Action::Close(reason, None)) if reason.kind() == ReasonKind::Finished)
    );
}
