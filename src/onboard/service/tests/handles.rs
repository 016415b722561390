//! Handles, starts and ends of one session at the same time; panics; long lists.

use super::*;

/// Waits until the session is connected in its row and in this handle.
async fn connected(stage: &Stage, session: &SessionHandle) {
    sleep(secs(30)).await;
    assert_eq!(session.number().unwrap().reveal(), NUMBER);
    assert_eq!(stage.row("s").await.status, Status::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_handle_from_before_an_end_is_one_of_the_session_that_was_started_again() {
    let stage = Stage::new([|| Ok(linked()), || Ok(scanned())] as [Script; 2]);
    let old = stage.service.start(&key("s")).await.unwrap();
    connected(&stage, &old).await;
    old.end(secs(10)).await;
    let new = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(5)).await;
    assert!(old.qr_code().is_some());
    connected(&stage, &new).await;
    connected(&stage, &old).await;
    old.end(secs(10)).await;
    assert!(new.state().unwrap().is_ended());
    assert_eq!(stage.row("s").await.status, Status::Disconnected);
    assert_eq!(new.number(), None);
}

#[tokio::test(start_paused = true)]
async fn an_end_goes_on_if_its_caller_gives_up() {
    let stage = Stage::new([]);
    let session = stage.service.start(&key("s")).await.unwrap();
    connected(&stage, &session).await;
    let end = session.end(secs(10));
    assert!(tokio::time::timeout(Duration::ZERO, end).await.is_err());
    sleep(secs(30)).await;
    assert!(session.state().unwrap().is_ended());
    assert_eq!(stage.row("s").await.status, Status::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn two_ends_at_the_same_time_send_one_event() {
    let stage = Stage::new([]);
    let session = stage.service.start(&key("s")).await.unwrap();
    connected(&stage, &session).await;
    let start = Instant::now();
    tokio::join!(session.end(secs(10)), session.end(secs(10)));
    assert!(start.elapsed() < secs(1));
    sleep(secs(30)).await;
    let names = ["authenticated", "ready", "disconnected ended"];
    assert_eq!(stage.notes.names(), names);
}

#[tokio::test(start_paused = true)]
async fn a_start_at_the_report_of_an_end_sends_its_events_after_that_end() {
    let mut stage = Stage::new([]);
    let (reports, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let builder = SessionService::builder(stage.store.clone()).storage(stage.root.path());
    let builder = builder.sink(FanOut::after(stage.notes.clone()));
    let builder = builder.supervisor(|supervisor| {
        supervisor.on_report(move |report| reports.send(report.event).unwrap())
    });
    stage.service = builder.build_with(stage.browsers.clone()).unwrap();
    let session = stage.service.start(&key("s")).await.unwrap();
    connected(&stage, &session).await;
    let (service, notes) = (stage.service.clone(), stage.notes.clone());
    let start = tokio::spawn(async move {
        ends.recv().await;
        // The end has not sent its event yet.
        assert_eq!(notes.names(), ["authenticated", "ready"]);
        service.start(&key("s")).await.unwrap()
    });
    session.end(secs(10)).await;
    let again = start.await.unwrap();
    connected(&stage, &again).await;
    let accepted = stage.notes.accepted.lock().unwrap().clone();
    let seqs: Vec<_> = accepted.iter().map(|(_, _, seq)| seq.unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5], "{accepted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_start_changes_nothing() {
    let stage = Stage::new([]);
    let session = stage.service.start(&key("s")).await.unwrap();
    stage.store.delete(&key("s")).await.unwrap();
    stage.service.start(&key("s")).await.unwrap_err();
    let id = key("s").session_id;
    assert_eq!(stage.store.session(&id).await.unwrap(), None);
    assert_eq!(session.state().unwrap().as_str(), "live");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_page_opens_restarts_the_session() {
    let stage = Stage::new([|| panic!("options of a session")] as [Script; 1]);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(session.state().unwrap().as_str(), "restarting");
    connected(&stage, &session).await;
    assert_eq!(stage.browsers.opened(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_sessions_are_resumed_than_a_page_of_the_list_has() {
    let stage = Stage::new([]);
    for session in 0..250 {
        let key = key(&session.to_string());
        stage.store.register(&key).await.unwrap();
        if session % 2 == 0 {
            std::fs::create_dir_all(stage.service.profile(&key)).unwrap();
        }
    }
    let resumed = stage.service.resume().await.unwrap();
    assert_eq!((resumed.started.len(), resumed.skipped.len()), (125, 125));
    sleep(secs(60)).await;
    assert_eq!(stage.browsers.opened(), 125);
}
