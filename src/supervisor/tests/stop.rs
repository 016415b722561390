//! The stop of a supervisor, and the end of its runtime.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn stop_ends_all_and_says_who_had_to_be_aborted() {
    let supervisor = Supervisor::new();
    let cooperative = supervisor.start("cooperative").unwrap();
    let ending = cooperative.ending();
    drop(cooperative.spawn("wait", async move {
        ending.await;
        Ok::<_, io::Error>(())
    }));
    let hanging = supervisor.start("hanging").unwrap();
    drop(hanging.spawn("hang", hang()));
    let start = Instant::now();
    let report = supervisor.stop(S(3)).await;
    assert_eq!(start.elapsed(), S(3));
    assert_eq!(report.sessions, 2);
    assert_eq!(
        (report.aborted, report.stuck),
        (vec![id("hanging")], vec![])
    );
    assert_eq!(supervisor.start("new").unwrap_err(), StartError::Stopped);
    assert!(supervisor.sessions().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_longest_times_are_valid() {
    let supervisor = Supervisor::builder().grace(Duration::MAX).build();
    let lost = supervisor.start("lost").unwrap();
    let ending = lost.ending();
    drop(lost.spawn("wait", async move {
        ending.await;
        Ok::<_, io::Error>(())
    }));
    let closed = ProtocolFailure::new(Site::WebDriverCommand, "gone").with_code("no such window");
    lost.handle_error("callback", &closed);
    let report = supervisor.stop(Duration::MAX).await;
    assert_eq!((report.aborted, report.stuck), (vec![], vec![]));
    assert!(lost.state().is_ended());
}

#[test]
fn a_task_that_does_not_yield_is_named_and_delays_no_other() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(3).enable_time().build().unwrap();
    runtime.block_on(async {
        let supervisor = Supervisor::new();
        let session = supervisor.start("busy").unwrap();
        let (go, gone) = mpsc::channel::<()>();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        drop(session.spawn("busy", async move {
            sender.send(()).unwrap_or_default();
            gone.recv()
        }));
        receiver.await.unwrap();
        let report = supervisor.stop(S(0)).await;
        assert_eq!(report.stuck, ["busy"]);
        assert_eq!(session.state().as_str(), "ending");
        go.send(()).unwrap();
        assert!(end_of(&session).await.is_ended());
    });
}

#[tokio::test]
async fn a_stop_waits_for_the_last_report() {
    let ((begin, begun), (go, gone)) = (mpsc::channel(), mpsc::channel::<()>());
    let gone = std::sync::Mutex::new(gone);
    let supervisor = Supervisor::builder().on_report(move |_| {
        begin.send(()).unwrap();
        gone.lock().unwrap().recv().unwrap();
    });
    let supervisor = supervisor.build();
    let session = supervisor.start("7").unwrap();
    let dropped = std::thread::spawn(move || drop(session));
    begun.recv().unwrap();
    // It is no longer open, but its observer has not returned.
    assert!(supervisor.sessions().is_empty());
    let mut stop = std::pin::pin!(supervisor.stop(S(60)));
    assert!(futures_util::poll!(&mut stop).is_pending());
    go.send(()).unwrap();
    dropped.join().unwrap();
    assert_eq!(stop.await.sessions, 0);
    assert!(supervisor.state("7").unwrap().is_ended());
}

#[test]
fn the_end_of_the_runtime_is_the_end_of_its_sessions() {
    for threads in [1, 3] {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads).enable_time();
        let runtime = runtime.build().unwrap();
        let supervisor = Supervisor::builder()
            .restart(RetryPolicy::eager().backoff().clone(), |_, _| hang())
            .build();
        let session = runtime.block_on(async { supervisor.start("7").unwrap() });
        let tasks: Vec<_> = (0..5).map(|_| session.spawn("hang", hang())).collect();
        drop(runtime);
        let state = supervisor.state("7").unwrap();
        assert!(state.is_ended());
        assert_eq!(state.reason().unwrap().kind(), ReasonKind::Stopped);
        assert_eq!((session.tasks(), tasks.len()), (0, 5));
    }
}
