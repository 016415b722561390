//! [`Feeds`]: the changes of workspaces, for the readers of their streams.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::sse::Event;
use futures_util::stream::{Stream, unfold};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::STORE_TIMEOUT;
use super::log::{Log, Place};
use super::problem::{Problem, STORAGE, TOO_MANY_STREAMS};
use crate::event::WorkspaceId;
use crate::store::{SessionStore, WorkspaceWatcher};

/// The least time for which a workspace is watched after its last reader has gone, so that a reader that connects
/// again can resume.
const LINGER: Duration = Duration::from_secs(60);

/// The workspaces that are watched: one watcher of the store for each, whatever the number of its readers.
pub(super) struct Feeds {
    store: Arc<dyn SessionStore>,
    feeds: Mutex<HashMap<WorkspaceId, Arc<Feed>>>,
    permits: Arc<Semaphore>,
    max_readers: usize,
}

#[derive(Default)]
struct Feed {
    log: Mutex<Log>,
    is_started: OnceCell<()>,
    /// How many readers have been opened.
    opened: AtomicU64,
    /// Wakes the readers. They end when it is true.
    has_ended: watch::Sender<bool>,
}

struct Reader {
    feed: Arc<Feed>,
    has_ended: watch::Receiver<bool>,
    place: Place,
    /// Whether the next event is `reset`.
    needs_reset: bool,
    _permit: OwnedSemaphorePermit,
}

impl Feeds {
    /// Makes the feeds for at most this many readers, each workspace with at most a quarter of them.
    pub(super) fn new(store: Arc<dyn SessionStore>, max_readers: usize) -> Arc<Self> {
        Arc::new(Self {
            store,
            feeds: Mutex::default(),
            permits: Arc::new(Semaphore::new(max_readers)),
            max_readers: max_readers.div_ceil(4),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Arc<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the states of a workspace's sessions after the one with this id, then every change.
    pub(super) async fn read(
        self: &Arc<Self>,
        workspace: &WorkspaceId,
        last_id: Option<&str>,
    ) -> Result<impl Stream<Item = Event> + Send + use<>, Problem> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.try_acquire_owned().map_err(|_| TOO_MANY_STREAMS)?;
        let (feed, has_ended) = {
            let mut feeds = self.lock();
            let feed = feeds.entry(workspace.clone()).or_default();
            if feed.has_ended.receiver_count() >= self.max_readers {
                return Err(TOO_MANY_STREAMS);
            }
            feed.opened.fetch_add(1, Ordering::Relaxed);
            (Arc::clone(feed), feed.has_ended.subscribe())
        };
        let start = async || self.start(workspace, &feed).await;
        feed.is_started.get_or_try_init(start).await?;
        let resumed = last_id.and_then(|id| feed.log().resume(id));
        let reader = Reader {
            place: resumed.unwrap_or_else(|| feed.log().start()),
            needs_reset: resumed.is_none(),
            feed,
            has_ended,
            _permit: permit,
        };
        Ok(unfold(reader, Reader::next))
    }

    async fn start(self: &Arc<Self>, id: &WorkspaceId, feed: &Arc<Feed>) -> Result<(), Problem> {
        let watcher = timeout(STORE_TIMEOUT, self.store.watch_workspace(id)).await;
        let watcher = watcher.map_err(|_| STORAGE)??;
        let (feeds, id, feed) = (Arc::clone(self), id.clone(), Arc::clone(feed));
        tokio::spawn(async move {
            tokio::select! {
                () = feed.follow(watcher) => {}
                () = feed.unread(&feeds, &id) => {}
            }
            let mut feeds = feeds.lock();
            if feeds.get(&id).is_some_and(|one| Arc::ptr_eq(one, &feed)) {
                feeds.remove(&id);
            }
            feed.has_ended.send_replace(true);
        });
        Ok(())
    }
}

impl Feed {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the changes until the store ends.
    async fn follow(&self, mut watcher: WorkspaceWatcher) {
        while let Some(change) = watcher.changed().await {
            self.log().push(&change);
            self.has_ended.send_replace(false);
        }
    }

    /// Waits until the workspace has had no reader for once or twice `LINGER`, and removes the feed.
    async fn unread(&self, feeds: &Feeds, id: &WorkspaceId) {
        loop {
            self.has_ended.closed().await;
            let opened = self.opened.load(Ordering::Relaxed);
            sleep(LINGER).await;
            let mut feeds = feeds.lock();
            // No reader comes while the lock is held.
            if opened == self.opened.load(Ordering::Relaxed) && self.has_ended.is_closed() {
                feeds.remove(id);
                return;
            }
        }
    }
}

impl Reader {
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            let next = {
                let log = self.feed.log();
                if log.has_forgotten(self.place) {
                    (self.place, self.needs_reset) = (log.start(), true);
                }
                log.next(self.place)
            };
            if std::mem::take(&mut self.needs_reset) {
                // Without data a browser would not dispatch it.
                return Some((Event::default().event("reset").data("{}"), self));
            }
            if let Some((number, id, json)) = next {
                self.place.last = number;
                let event = Event::default().event("status").id(id).data(&*json);
                return Some((event, self));
            }
            self.has_ended.changed().await.ok()?;
            if *self.has_ended.borrow() {
                return None;
            }
        }
    }
}
