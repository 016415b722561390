//! [`Managed`]: one session of a service, which outlives its restarts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::page::{OpenPage, OpenedPage, PageSource};
use super::profile_lock::lock_profile;
use super::recorder::Latest;
use crate::codes;
use crate::event::{Failed, SessionKey};
use crate::failure::ProtocolFailure;
use crate::onboard::{CurrentPage, PageMonitor};
use crate::supervisor::{BoxError, Session, Supervisor};

/// How long the end of a session waits for the sink to accept the events that wait.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is checked whether events wait.
const DELIVERY_INTERVAL: Duration = Duration::from_millis(20);

/// The codes of a failure to open a page that an event keeps. Any other is `page_not_opened`.
const KEPT_CODES: [&str; 2] = [codes::MISCONFIGURED, codes::AMBIGUOUS_TAB];

/// How all sessions of a service open their pages.
pub(super) struct Opener {
    pub(super) pages: Box<dyn OpenPage>,
    /// One permit for each page that may be opened at the same time.
    pub(super) permits: Semaphore,
}

pub(super) struct Managed {
    pub(super) key: SessionKey,
    pub(super) profile: PathBuf,
    pub(super) opener: Arc<Opener>,
    /// The page of `monitor`.
    pub(super) page: CurrentPage<dyn PageSource>,
    /// It has the queue of events, so it is the same one for all pages.
    pub(super) monitor: PageMonitor,
    pub(super) latest: Arc<Mutex<Latest>>,
    /// Whether it is being ended on purpose, and the event of that is not queued yet.
    pub(super) is_ending: AtomicBool,
}

impl Managed {
    pub(super) fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether it has events that the sink has not accepted.
    pub(super) fn has_events(&self) -> bool {
        self.is_ending.load(Ordering::Acquire) || self.has_events_waiting()
    }

    fn has_events_waiting(&self) -> bool {
        self.monitor.delivery_state().waiting > 0
    }

    /// Ends the session on purpose, and then sends the event, once if several callers end it.
    pub(super) async fn end(&self, supervisor: &Supervisor, within: Duration) {
        let Some(session) = supervisor.session(self.key.session_id.as_str()) else {
            return;
        };
        let is_first = !self.is_ending.swap(true, Ordering::AcqRel);
        session.end(within).await;
        if is_first {
            let accepted = self.monitor.disconnected("ended");
            self.is_ending.store(false, Ordering::Release);
            // If the sink is down, the event waits for it.
            drop(timeout(DELIVERY_TIMEOUT, accepted).await);
        }
    }

    /// Runs it as the task of a session of the supervisor.
    pub(super) fn run_in(self: &Arc<Self>, session: &Session) {
        let (managed, ending) = (Arc::clone(self), session.ending());
        drop(session.spawn_required("page", async move { managed.run(ending).await }));
    }

    /// Opens the page and watches it, until the session is to end or the page is lost, which is an error.
    async fn run(&self, ending: impl Future<Output = ()>) -> Result<(), BoxError> {
        let mut ending = std::pin::pin!(ending);
        let opened = tokio::select! {
            biased;
            () = &mut ending => return Ok(()),
            opened = self.open() => opened,
        };
        let page = opened.inspect_err(|failure| self.monitor.failed(not_opened(failure)))?;
        self.page.replace(Some(page.source));
        let result = tokio::select! {
            biased;
            () = &mut ending => Ok(()),
            ended = self.monitor.run() => Err(ended.into()),
        };
        self.page.replace(None);
        page.close.await;
        if result.is_ok() {
            drop(timeout(DELIVERY_TIMEOUT, self.delivered()).await);
        }
        result
    }

    async fn open(&self) -> Result<OpenedPage, ProtocolFailure> {
        // Another process may hold it for seconds, in which other sessions open their pages.
        let lock = lock_profile(&self.profile).await?;
        // The semaphore is never closed.
        let _permit = self.opener.permits.acquire().await;
        let pages = &self.opener.pages;
        pages.open(&self.key, &self.profile, lock).await
    }

    async fn delivered(&self) {
        while self.has_events_waiting() {
            sleep(DELIVERY_INTERVAL).await;
        }
    }
}

fn not_opened(failure: &ProtocolFailure) -> Failed {
    let code = failure.code().filter(|code| KEPT_CODES.contains(code));
    let text = format!("the page could not be opened: {failure}");
    Failed::new(code.unwrap_or("page_not_opened"), text)
}
