//! Under paused time, over mocks in place of browsers. `tests/service.rs` has real ones.

mod ending;
mod handles;
mod outages;

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::time::Instant;

use super::page::{OpenPage, OpenedPage};
use super::*;
use crate::event::fan_out::FanOut;
use crate::event::{EventKind, QrCode, SessionEvent, SinkError};
use crate::failure::{ProtocolFailure, Site};
use crate::link::mock::MockLink;
use crate::link::{LinkSource, LinkState};
use crate::source::mock::MockSource;
use crate::source::{Assurance, InfoSource, Look};
use crate::store::memory::MemoryStore;
use crate::store::{Status, StoreSink};

const ME: &str = "628110000041@c.us";
const NUMBER: &str = "628110000041";

/// A session in a workspace of its own, since all have one number.
fn key(session: &str) -> SessionKey {
    SessionKey::new(session, session).unwrap()
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The state of a page and its number.
struct MockPage(MockLink, MockSource);

#[async_trait]
impl InfoSource for MockPage {
    fn name(&self) -> &str {
        "mock"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.1.probe().await
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.1.wait(min, max).await
    }
}

#[async_trait]
impl LinkSource for MockPage {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        self.0.link().await
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        self.0.qr().await
    }
}

fn page(link: MockLink) -> MockPage {
    MockPage(link, MockSource::new("page").number_at(secs(0), ME))
}

/// A page that is linked from the start.
fn linked() -> MockPage {
    page(MockLink::new().at(secs(0), LinkState::Linked))
}

/// A page that shows a QR code, and is linked after 10 s.
fn scanned() -> MockPage {
    let link = MockLink::new().qr_at(secs(0), "2@code");
    page(link.at(secs(10), LinkState::Linked))
}

/// A linked page whose browser crashes after this time.
fn closes_after(after: Duration) -> MockPage {
    let link = MockLink::new().at(secs(0), LinkState::Linked);
    let gone = ProtocolFailure::new(Site::WebDriverCommand, "gone");
    page(link.failing_at(after, gone.with_code("connection lost")))
}

fn no_browser() -> ProtocolFailure {
    let text = "`chromedriver` was not found";
    ProtocolFailure::new(Site::WebDriverCommand, text).with_code("misconfigured")
}

type Script = fn() -> Result<MockPage, ProtocolFailure>;

/// Opens these pages one after another, then linked ones.
#[derive(Clone)]
struct Browsers {
    script: Arc<Mutex<VecDeque<Script>>>,
    opened: Arc<Mutex<Vec<(Instant, PathBuf)>>>,
    closed: Arc<AtomicUsize>,
}

impl Browsers {
    fn new(script: impl IntoIterator<Item = Script>) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            opened: Arc::default(),
            closed: Arc::default(),
        }
    }

    fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }

    fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl OpenPage for Browsers {
    async fn open(
        &self,
        _: &SessionKey,
        profile: &Path,
        _: File,
    ) -> Result<OpenedPage, ProtocolFailure> {
        let at = (Instant::now(), profile.to_owned());
        self.opened.lock().unwrap().push(at);
        let next = self.script.lock().unwrap().pop_front();
        let page = next.map_or_else(|| Ok(linked()), |make| make())?;
        let closed = Arc::clone(&self.closed);
        Ok(OpenedPage {
            source: Arc::new(page),
            close: Box::pin(async move {
                closed.fetch_add(1, Ordering::Relaxed);
            }),
        })
    }
}

/// The name of an event, its id and its `seq`.
type Note = (String, String, Option<u64>);

/// Notes the events that the store has accepted. Fails while it is `down`.
#[derive(Clone)]
struct Notes {
    store: StoreSink,
    is_down: Arc<AtomicBool>,
    sent: Arc<Mutex<Vec<(String, String)>>>,
    accepted: Arc<Mutex<Vec<Note>>>,
}

impl Notes {
    fn names(&self) -> Vec<String> {
        let accepted = self.accepted.lock().unwrap();
        let names = accepted.iter().map(|(name, _, _)| name.clone());
        names.collect()
    }
}

#[async_trait]
impl EventSink for Notes {
    fn name(&self) -> &str {
        "notes"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let more = match event.kind() {
            EventKind::SessionError(failed) => format!(" {}", failed.code().unwrap()),
            EventKind::SessionDisconnected { reason } => format!(" {reason}"),
            _ => String::new(),
        };
        let name = format!("{}{more}", event.name().trim_start_matches("session_"));
        let id = event.id().unwrap().to_string();
        self.sent.lock().unwrap().push((name.clone(), id.clone()));
        if self.is_down.load(Ordering::Relaxed) {
            return Err(SinkError::transient("down", "the sink is down"));
        }
        self.store.send(event).await?;
        self.accepted.lock().unwrap().push((name, id, event.seq()));
        Ok(())
    }
}

struct Stage {
    service: SessionService,
    store: MemoryStore,
    notes: Notes,
    browsers: Browsers,
    root: Arc<TempDir>,
}

impl Stage {
    fn new(script: impl IntoIterator<Item = Script>) -> Self {
        let (store, root) = (MemoryStore::default(), tempfile::tempdir().unwrap());
        Self::over(store, Arc::new(root), script)
    }

    fn over(
        store: MemoryStore,
        root: Arc<TempDir>,
        script: impl IntoIterator<Item = Script>,
    ) -> Self {
        let browsers = Browsers::new(script);
        let notes = Notes {
            store: StoreSink::new(store.clone()),
            is_down: Arc::default(),
            sent: Arc::default(),
            accepted: Arc::default(),
        };
        let builder = SessionService::builder(store.clone());
        let builder = builder.sink(FanOut::after(notes.clone()));
        let service = builder.storage(root.path().join("profiles"));
        Self {
            service: service.build_with(browsers.clone()).unwrap(),
            store,
            notes,
            browsers,
            root,
        }
    }

    /// A new process over the same store and directory.
    fn restarted(&self, script: impl IntoIterator<Item = Script>) -> Self {
        Self::over(self.store.clone(), Arc::clone(&self.root), script)
    }

    async fn row(&self, session: &str) -> SessionRow {
        let id = key(session).session_id;
        self.store.session(&id).await.unwrap().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_from_its_code_to_its_number() {
    let stage = Stage::new([|| Ok(scanned())] as [Script; 1]);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(5)).await;
    let code = session.qr_code().unwrap();
    assert_eq!(code.reveal().as_deref(), Some("2@code"));
    assert_eq!((session.number(), session.reason()), (None, None));
    sleep(secs(10)).await;
    assert!(session.qr_code().is_none());
    assert_eq!(session.number().unwrap().reveal(), NUMBER);
    assert_eq!(session.state().unwrap().as_str(), "live");
    assert_eq!(stage.row("s").await.status, Status::Connected);
    let profile = stage.browsers.opened.lock().unwrap()[0].1.clone();
    assert!(profile.is_dir() && profile.ends_with("profiles/s/s"));
    assert_eq!(profile, stage.service.profile(&key("s")));
    // The directories hold the keys of accounts.
    use std::os::unix::fs::PermissionsExt;
    let mode = profile.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let again = stage.service.start(&key("s")).await.unwrap_err();
    assert!(matches!(again, ServiceError::Start(_)), "{again}");
    assert_eq!(stage.service.sessions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_browser_is_restarted_on_its_profile() {
    let stage = Stage::new([|| Ok(closes_after(secs(30)))] as [Script; 1]);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(31)).await;
    assert_eq!(session.number(), None);
    assert_eq!(session.state().unwrap().as_str(), "restarting");
    let reason = session.reason().unwrap();
    assert_eq!(reason.class().unwrap().as_str(), "browser_gone");
    assert_eq!(stage.row("s").await.status, Status::Disconnected);
    assert_eq!(stage.browsers.closed(), 1);
    sleep(secs(10)).await;
    assert_eq!(session.number().unwrap().reveal(), NUMBER);
    let linked = ["authenticated", "ready"];
    let lost = ["disconnected browser_gone"];
    let names = [&linked[..], &lost, &linked].concat();
    assert_eq!(stage.notes.names(), names);
    let accepted = stage.notes.accepted.lock().unwrap().clone();
    let order: Vec<_> = accepted.iter().map(|(_, _, seq)| seq.unwrap()).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
    let opened = stage.browsers.opened.lock().unwrap().clone();
    assert_eq!((opened.len(), &opened[0].1), (2, &opened[1].1));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_cannot_be_opened_is_reported_once_and_tried_again() {
    let script: [Script; 4] = [
        || Err(no_browser()),
        || Err(no_browser()),
        || Err(ProtocolFailure::new(Site::WebDriverCommand, "what")),
        || Ok(linked()),
    ];
    let stage = Stage::new(script);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(1)).await;
    let row = stage.row("s").await;
    assert_eq!(row.status, Status::Error);
    let message = row.error.unwrap().message;
    assert!(
        message.contains("could not be opened: `chromedriver`"),
        "{message}"
    );
    sleep(secs(60)).await;
    assert_eq!(session.number().unwrap().reveal(), NUMBER);
    let errors = ["error misconfigured", "error page_not_opened", "ready"];
    assert_eq!(stage.notes.names(), errors);
    // The delays grow: 1 s, 1 s, 2 s, each up to half as long again.
    let opened = stage.browsers.opened.lock().unwrap().clone();
    let delays: Vec<_> = opened.windows(2).map(|two| two[1].0 - two[0].0).collect();
    for (delay, least) in delays.iter().zip([1, 1, 2]) {
        let range = secs(least)..=secs(least).mul_f64(1.51);
        assert!(range.contains(delay), "{delays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_the_pages_and_the_next_process_resumes_them() {
    let stage = Stage::new([]);
    for session in ["a", "b", "deleted"] {
        drop(stage.service.start(&key(session)).await.unwrap());
    }
    sleep(secs(10)).await;
    assert_eq!(stage.notes.names().len(), 6);
    stage.store.delete(&key("deleted")).await.unwrap();
    stage.store.register(&key("no-profile")).await.unwrap();
    let before = stage.row("a").await;
    assert_eq!(before.status, Status::Connected);

    let report = stage.service.stop(secs(20)).await;
    assert_eq!((report.sessions, report.aborted.len()), (3, 0));
    assert_eq!((stage.browsers.opened(), stage.browsers.closed()), (3, 3));
    assert_eq!(stage.notes.names().len(), 6);
    assert_eq!(stage.row("a").await, before);
    let stopped = stage.service.start(&key("a")).await.unwrap_err();
    assert!(matches!(stopped, ServiceError::Start(_)), "{stopped}");

    let next = stage.restarted([|| Ok(linked()), || Ok(closes_after(secs(60)))] as [Script; 2]);
    let resumed = next.service.resume().await.unwrap();
    let mut started: Vec<_> = resumed.started.iter().map(SessionHandle::key).collect();
    started.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    assert_eq!(started, [&key("a"), &key("b")]);
    assert_eq!(resumed.started[0].number().unwrap().reveal(), NUMBER);
    assert_eq!(resumed.skipped.len(), 1);
    assert_eq!(resumed.skipped[0].session, key("no-profile"));
    assert!(matches!(resumed.skipped[0].reason, SkipReason::NoProfile));
    let again = next.service.resume().await.unwrap();
    assert!(again.started.is_empty());
    assert!(
        again
            .skipped
            .iter()
            .any(|it| matches!(it.reason, SkipReason::NotStarted(_)))
    );
    // The pages are connected as before, so there is nothing to send, until one is lost.
    sleep(secs(30)).await;
    assert_eq!(next.notes.names().len(), 0);
    sleep(secs(60)).await;
    let accepted = next.notes.accepted.lock().unwrap().clone();
    let (name, _, seq) = &accepted[0];
    assert_eq!(name, "disconnected browser_gone");
    assert_eq!(*seq, before.last_seq.map(|seq| seq + 1));
    assert_eq!(next.notes.names()[1..], ["authenticated", "ready"]);
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_for_the_sink_outlive_restarts_under_their_ids() {
    let script: [Script; 2] = [|| Ok(closes_after(secs(30))), || Ok(closes_after(secs(30)))];
    let stage = Stage::new(script);
    let session = stage.service.start(&key("s")).await.unwrap();
    sleep(secs(5)).await;
    stage.notes.is_down.store(true, Ordering::Relaxed);
    // The first two browsers crash, and the third one runs on.
    sleep(secs(300)).await;
    assert_eq!(stage.browsers.opened(), 3);
    let waiting = session.delivery_state().waiting;
    assert!(waiting >= 2, "{waiting}");
    assert_eq!(stage.row("s").await.status, Status::Connected);
    stage.notes.is_down.store(false, Ordering::Relaxed);
    sleep(secs(60)).await;
    let lost = ["disconnected browser_gone", "authenticated", "ready"];
    assert_eq!(stage.notes.names(), [&lost[1..], &lost, &lost].concat());
    assert_eq!(stage.row("s").await.status, Status::Connected);
    let accepted = stage.notes.accepted.lock().unwrap().clone();
    let seqs: Vec<_> = accepted.iter().map(|(_, _, seq)| seq.unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7, 8]);
    // Each event was sent under one id, however often.
    let mut ids: Vec<_> = stage.notes.sent.lock().unwrap().clone();
    assert!(ids.len() > 20);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
}
