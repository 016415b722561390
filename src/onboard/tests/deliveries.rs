//! Events that wait for their sink.

use super::*;

#[tokio::test(start_paused = true)]
async fn after_a_transient_error_the_event_is_sent_again_under_its_id() {
    let busy = || SinkError::transient("sink_full", "full");
    let sink = Script::refusing([busy(), busy(), busy()]);
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink.clone());
    assert!(matches!(onboarding.run().await, Ok(Onboarded::Ready(_))));
    let sent = sink.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|one| *one == sent[0]));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_never_accepted_is_in_the_error() {
    let always = std::iter::repeat_with(|| SinkError::transient("sink_full", "full"));
    let sink = Script::refusing(always.take(10_000));
    let onboarding = Onboarding::new(key(), ready_at(Duration::ZERO, ME), sink.clone());
    let start = Instant::now();
    let error = onboarding.run().await.unwrap_err();
    assert!(error.is_transient() && error.code() == "sink_full");
    assert!(matches!(error.event().kind(), EventKind::SessionReady(_)));
    assert!(start.elapsed() <= secs(61));
    assert!(!format!("{error:?} {error}").contains("628110000041"));
    // The event is unconfirmed, so the next run sends it.
    sink.answers.lock().unwrap().clear();
    assert!(matches!(onboarding.run().await, Ok(Onboarded::Ready(_))));
}

/// Accepts nothing until this time.
struct HangsUntil(Instant, Script);

#[async_trait::async_trait]
impl EventSink for HangsUntil {
    fn name(&self) -> &str {
        "hangs"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        tokio::time::sleep_until(self.0).await;
        self.1.send(event).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_does_not_wait_behind_a_delivery() {
    let sink = Script::default();
    let hangs = HangsUntil(Instant::now() + secs(30), sink.clone());
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), hangs);
    let start = Instant::now();
    let run = tokio::spawn({
        let onboarding = onboarding.clone();
        async move { onboarding.run().await }
    });
    sleep(secs(5)).await;
    drop(onboarding.disconnected("logout"));
    assert_eq!(start.elapsed(), secs(5));
    assert_eq!(onboarding.delivery_state().waiting, 2);
    // The number was queued before, so it arrives before.
    assert!(matches!(run.await.unwrap(), Ok(Onboarded::Ready(_))));
    sleep(secs(1)).await;
    assert_eq!(sink.names(), ["session_ready", "session_disconnected"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_delivered_although_no_caller_waits_for_it() {
    let sink = Script::refusing([SinkError::transient("sink_full", "full")]);
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), sink.clone());
    drop(onboarding.authenticated());
    drop(onboarding.disconnected("logout"));
    assert!(sink.names().is_empty());
    sleep(secs(1)).await;
    let expected = [
        "session_authenticated",
        "session_authenticated",
        "session_disconnected",
    ];
    assert_eq!(sink.names(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_an_error_and_its_events_are_kept() {
    let sink = Script::default();
    let hangs = HangsUntil(Instant::now() + secs(8), sink.clone());
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), hangs);
    for _ in 0..pending::MAX_PENDING {
        drop(onboarding.disconnected("logout"));
    }
    let error = onboarding.authenticated().await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("queue_full", true));
    let dropped = onboarding.run().await.unwrap_err();
    assert_eq!(dropped.code(), "queue_full");
    // A disconnect waits beside them, the latest one alone.
    let replaced = onboarding.disconnected("one");
    let last = onboarding.disconnected("two");
    assert_eq!(replaced.await.unwrap_err().code(), "superseded");
    assert_eq!(
        onboarding.delivery_state().waiting,
        pending::MAX_PENDING + 1
    );
    last.await.unwrap();
    assert_eq!(sink.names().len(), pending::MAX_PENDING + 1);
}

/// Takes this long for each event.
struct Slow(Duration, Script);

#[async_trait::async_trait]
impl EventSink for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        sleep(self.0).await;
        self.1.send(event).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_wait_for_events_that_were_queued_after_its_number() {
    let sink = Slow(secs(8), Script::default());
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), sink);
    let start = Instant::now();
    let later = async {
        sleep(secs(1)).await;
        for _ in 0..5 {
            drop(onboarding.disconnected("logout"));
        }
    };
    // Its event is queued, and delivered although the run is dropped.
    assert!(
        tokio::time::timeout(secs(0), onboarding.run())
            .await
            .is_err()
    );
    let (outcome, ()) = tokio::join!(onboarding.run(), later);
    assert!(
        matches!(outcome, Ok(Onboarded::Disconnected)),
        "{outcome:?}"
    );
    assert!(start.elapsed() < secs(9), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_leaves_the_state_from_before_it() {
    let mut row = crate::store::SessionRow::new(key());
    (row.status, row.phone) = (Status::Connected, Some("628110000041".parse().unwrap()));
    let invalid = SinkError::permanent("invalid_event", "the id is too long");
    let sink = Script::refusing([invalid.clone(), invalid]);
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), sink.clone()).resume(&row);
    // Both wait when the first one is refused.
    let (first, second) = tokio::join!(onboarding.authenticated(), onboarding.disconnected("x"));
    assert!(first.is_err() && second.is_err());
    assert!(matches!(onboarding.run().await, Ok(Onboarded::Ready(_))));
    assert_eq!(
        sink.names(),
        ["session_authenticated", "session_disconnected"]
    );
}

#[test]
fn an_event_that_was_queued_outside_of_a_runtime_is_sent_in_the_next_one() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().build().unwrap()
    };
    let sink = Script::default();
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), sink.clone());
    let delivery = onboarding.authenticated();
    runtime().block_on(delivery).unwrap();
    assert_eq!(sink.names(), ["session_authenticated"]);
    // This runtime ends before the delivery, and its task with it.
    runtime().block_on(async { drop(onboarding.disconnected("logout")) });
    assert_eq!(onboarding.delivery_state().waiting, 1);
    runtime().block_on(onboarding.authenticated()).unwrap();
    let expected = ["session_disconnected", "session_authenticated"];
    assert_eq!(sink.names()[1..], expected);
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_onboarding_was_dropped_does_not_retry() {
    let busy = || SinkError::transient("sink_full", "full");
    let sink = Script::refusing(std::iter::repeat_with(busy).take(1_000_000));
    let onboarding = Onboarding::new(key(), ready_at(secs(0), ME), sink.clone());
    let onboarding = onboarding.delivery(Backoff::default());
    drop(onboarding.authenticated());
    drop(onboarding.disconnected("logout"));
    sleep(secs(100)).await;
    drop(onboarding);
    sleep(secs(10)).await;
    let sent = sink.names().len();
    sleep(secs(1000)).await;
    assert_eq!(sink.names().len(), sent);
    assert_eq!(sink.names().last().unwrap(), "session_disconnected");
}
