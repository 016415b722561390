//! Sessions that end, and the limits of a service.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_end_on_purpose_closes_the_page_and_says_so() {
    let stage = Stage::new([]);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(5)).await;
    let state = session.end(secs(10)).await.unwrap();
    assert_eq!(state.to_string(), "ended: ended on purpose");
    let names = ["authenticated", "ready", "disconnected ended"];
    assert_eq!(stage.notes.names(), names);
    assert_eq!(stage.row("s").await.status, Status::Disconnected);
    sleep(secs(600)).await;
    assert_eq!((stage.browsers.opened(), stage.browsers.closed()), (1, 1));
    assert!(stage.service.session(&key("s").session_id).is_none());
    // Ending it again changes nothing.
    session.end(secs(10)).await;
    assert_eq!(stage.notes.names().len(), 3);

    drop(stage.service.start(&key("s")).await.unwrap());
    sleep(secs(5)).await;
    assert_eq!(stage.notes.names()[3..], ["authenticated", "ready"]);
    assert_eq!(stage.row("s").await.last_seq, Some(5));
}

#[tokio::test(start_paused = true)]
async fn an_end_during_the_delay_of_a_restart_cancels_it() {
    let stage = Stage::new([|| Ok(closes_after(secs(5)))] as [Script; 1]);
    let session = stage.service.start(&key("s")).await.unwrap();
    while session.state().unwrap().as_str() != "restarting" {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(session.end(secs(10)).await.unwrap().is_ended());
    sleep(secs(600)).await;
    assert_eq!(stage.browsers.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_given_up_as_stuck_loses_its_page() {
    // The page is still loading, so there is no sign of life.
    let stage = Stage::new([|| Ok(page(MockLink::new()))] as [Script; 1]);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(59 * 60)).await;
    assert_eq!(session.state().unwrap().as_str(), "live");
    sleep(secs(7 * 60)).await;
    assert!(session.state().unwrap().is_ended());
    assert_eq!(stage.browsers.closed(), 1);
    let id = key("s").session_id;
    assert_eq!(stage.store.session(&id).await.unwrap(), None);
    assert_eq!(stage.notes.names().len(), 0);
    assert!(stage.service.resume().await.unwrap().started.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_without_the_sweep() {
    let (store, root) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let builder = SessionService::builder(store.clone()).storage(root.path());
    let browsers = Browsers::new([|| Ok(page(MockLink::new()))] as [Script; 1]);
    let service = builder.sweep(None).build_with(browsers).unwrap();
    let session = service.start(&key("s")).await.unwrap();
    sleep(secs(24 * 60 * 60)).await;
    assert_eq!(session.state().unwrap().as_str(), "live");
}

/// Never ends to open a page, and counts those that it opens.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicUsize>);

#[async_trait]
impl OpenPage for Slow {
    async fn open(&self, _: &SessionKey, _: &Path, _: File) -> Result<OpenedPage, ProtocolFailure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn few_pages_are_opened_at_once_and_a_stop_does_not_wait_for_them() {
    let (slow, root) = (Slow::default(), tempfile::tempdir().unwrap());
    let builder = SessionService::builder(MemoryStore::default()).storage(root.path());
    let service = builder.build_with(slow.clone()).unwrap();
    for session in 0..20 {
        drop(service.start(&key(&session.to_string())).await.unwrap());
    }
    sleep(secs(60)).await;
    assert_eq!(slow.0.load(Ordering::Relaxed), 4);
    let start = Instant::now();
    let report = service.stop(secs(20)).await;
    assert_eq!((report.sessions, report.aborted.len()), (20, 0));
    assert!(start.elapsed() < secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_profile_is_in_use_delays_no_other() {
    let (slow, root) = (Slow::default(), tempfile::tempdir().unwrap());
    let builder = SessionService::builder(MemoryStore::default()).storage(root.path());
    let service = builder.opens_at_once(1).build_with(slow.clone()).unwrap();
    let profile = profile_path(root.path(), &key("in-use"));
    std::fs::create_dir_all(&profile).unwrap();
    let lock = lock_profile(&profile).await.unwrap();
    for session in ["in-use", "other"] {
        drop(service.start(&key(session)).await.unwrap());
    }
    sleep(secs(1)).await;
    assert_eq!(slow.0.load(Ordering::Relaxed), 1);
    drop(lock);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_cannot_be_made_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let builder = SessionService::builder(MemoryStore::default());
    let error = builder.storage(file.path()).build().unwrap_err();
    assert!(matches!(error, ServiceError::Storage(_)), "{error:?}");
    assert!(
        error.to_string().contains("SESSION_STORAGE_PATH"),
        "{error}"
    );
}

#[test]
fn a_debug_text_has_no_number() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let stage = Stage::new([]);
        let session = stage.service.start(&key("628110000041")).await.unwrap();
        sleep(secs(5)).await;
        assert!(session.number().is_some());
        let text = format!("{session:?} {:?} {:?}", stage.service, session.reason());
        assert!(!text.contains(NUMBER), "{text}");
    });
}
