//! [`SessionService`]: sessions from their profile to their row.

mod builder;
mod error;
mod handle;
mod managed;
mod page;
mod profile;
mod profile_lock;
mod recorder;
mod resumed;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

pub use self::builder::SessionServiceBuilder;
pub use self::error::ServiceError;
pub use self::handle::SessionHandle;
use self::managed::{Managed, Opener};
pub use self::profile::profile_path;
pub use self::profile_lock::lock_profile;
use self::recorder::{Latest, Recorder};
pub use self::resumed::{Resumed, SkipReason, Skipped};
use super::{CurrentPage, PageMonitor};
use crate::event::{EventSink, SessionId, SessionKey};
use crate::retry::Backoff;
use crate::store::{SessionQuery, SessionRow, SessionStore, StatusChange, StoreError};
use crate::supervisor::{BoxError, Session, StartError, StopReport, Supervisor, SupervisorBuilder};

/// How often stuck sessions are given up.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// How long the page of a session that was given up may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs sessions, each from its browser profile to its row in a store. Cheap to clone; clones share their
/// sessions. Dropping the last one ends the sweep, but no session.
///
/// ```no_run
/// # #[cfg(feature = "sqlite")]
/// # async fn service() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use whatsapp_phone::event::SessionKey;
/// use whatsapp_phone::onboard::SessionService;
/// use whatsapp_phone::store::{StoreOptions, sqlite::SqliteStore};
///
/// let options = StoreOptions::default().create_tables();
/// let store = SqliteStore::connect("sqlite:sessions.db", options).await?;
/// let service = SessionService::builder(store).build()?;
/// service.resume().await?; // the sessions of the store
/// let key = SessionKey::new(7, "session-1")?;
/// let session = match service.session(&key.session_id) {
///     Some(resumed) => resumed,
///     None => service.start(&key).await?, // a new one
/// };
/// // Show `session.qr_code()` until there is a `session.number()`.
/// tokio::signal::ctrl_c().await?;
/// service.stop(Duration::from_secs(20)).await;
/// # Ok(())
/// # }
/// ```
///
/// Each session has a ChromeDriver, a browser and a page of its own, a [`PageMonitor`] that sends its events to the
/// store, and is restarted by a [`Backoff`] when page, browser or driver are lost. The service is made of public
/// parts: [`Supervisor`], [`CurrentPage`], [`PageMonitor`], [`profile_path`], [`lock_profile`],
/// [`Page`](crate::source::webdriver::Page) and [`StoreSink`](crate::store::StoreSink). If it does not fit,
/// combine them in another way.
///
/// # Status of a session whose page is not open
///
/// | what happens | row | then |
/// |---|---|---|
/// | page, browser or driver is lost | `disconnected`, reason `page_closed` or `browser_gone` | restarted on its profile; `connected` again when the page is |
/// | the page cannot be opened | `error`, code `page_not_opened`, `misconfigured` or `ambiguous_tab`, sent once | tried again by the backoff |
/// | the page does not answer for [5 minutes](PageMonitor::unresponsive_after) | `disconnected`, reason `unresponsive` | not restarted, since it is not lost: `connected` again when it answers. To open it again, end and start the session |
/// | [`stop`](Self::stop), or the process is killed | stays as it is: the phone is still linked | [`resume`](Self::resume) continues from there; nothing is sent unless the page shows another state |
/// | [`SessionHandle::end`] | `disconnected`, reason `ended` | it stays ended until it is started or resumed |
/// | the row was given up by a [sweep](SessionServiceBuilder::sweep) of this service | `failed`, soft-deleted | the page is closed; the session stays ended until it is started |
/// | the row was deleted, or given up by another program | soft-deleted | the page stays open until the session is ended |
///
/// A row of a service that does not run is therefore out of date. The reference system does the same.
///
/// If the sink is down, events wait in memory, in order and over restarts of the page, and a lost page is
/// opened again after at most 60 s. They are lost if the process is killed; the resumed session sends the
/// page's present state.
///
/// A browser of a service that was killed ends with it. Its lock on the profile does not stop the resumed
/// session, also if the host has another name, as a container that is made anew on the same volume has. Two
/// processes never open browsers on one profile; see [`lock_profile`].
#[derive(Clone)]
pub struct SessionService(Arc<Inner>);

struct Inner {
    config: Config,
    supervisor: Supervisor,
    sessions: Arc<Sessions>,
    sweep: Option<JoinHandle<()>>,
}

/// The settings that each session needs.
struct Config {
    store: Arc<dyn SessionStore>,
    sink: Arc<dyn EventSink>,
    root: PathBuf,
    monitor: Box<dyn Fn(PageMonitor) -> PageMonitor + Send + Sync>,
    opener: Arc<Opener>,
}

/// The sessions that have not ended, and those with events that still wait. Others are removed by the next
/// start.
#[derive(Default)]
struct Sessions(Mutex<HashMap<SessionId, Arc<Managed>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Managed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Option<Arc<Managed>> {
        let id = SessionId::new(id).ok()?;
        self.lock().get(&id).cloned()
    }

    /// Registers the sessions again whose events wait: a sign of life that the store could not be given.
    async fn refresh(&self, store: &dyn SessionStore) -> Result<(), StoreError> {
        let sessions: Vec<_> = self.lock().values().cloned().collect();
        for session in sessions.iter().filter(|session| session.has_events()) {
            let row = store.session(&session.key.session_id).await?;
            let is_waiting =
                |row: &SessionRow| row.session == session.key && row.status.is_waiting();
            if row.as_ref().is_some_and(is_waiting) {
                store.register(&session.key).await?;
            }
        }
        Ok(())
    }
}

impl SessionService {
    /// Returns a builder with every default. The store has the rows, and gets all events.
    pub fn builder(store: impl SessionStore + 'static) -> SessionServiceBuilder {
        SessionServiceBuilder::new(store)
    }

    fn new(
        config: Config,
        supervisor: SupervisorBuilder,
        restart: Backoff,
        sweep: Option<Duration>,
    ) -> Self {
        let sessions = Arc::<Sessions>::default();
        let restarted = Arc::clone(&sessions);
        let supervisor = supervisor.restart(restart, move |session, _| {
            let managed = restarted.get(session.id());
            async move {
                if let Some(managed) = managed {
                    managed.run_in(&session);
                }
                Ok::<_, BoxError>(())
            }
        });
        let supervisor = supervisor.build();
        let sweep = sweep.map(|age| {
            let (store, supervisor) = (Arc::clone(&config.store), supervisor.clone());
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { run_sweeps(&*store, &sessions, &supervisor, age).await })
        });
        Self(Arc::new(Inner {
            config,
            supervisor,
            sessions,
            sweep,
        }))
    }

    /// Registers the session, opens its page on its profile and watches it. Returns before the page is open.
    ///
    /// A table that needs values for further columns has the row already, or the caller makes it by
    /// [`register_with`](SessionStore::register_with) first.
    ///
    /// # Errors
    ///
    /// If the session runs already, the service was stopped, the store does not register the session, or its
    /// profile directory cannot be created.
    pub async fn start(&self, session: &SessionKey) -> Result<SessionHandle, ServiceError> {
        // Taken before the row is read, so that the row has all events of an earlier start.
        let taken = self.take(&session.session_id)?;
        let row = self.0.config.store.register(session).await?;
        self.start_row(&taken, &row)
    }

    /// Takes the id of a session that does not run. Removes others that have ended.
    fn take(&self, id: &SessionId) -> Result<Session, StartError> {
        let mut sessions = self.0.sessions.lock();
        sessions.retain(|id, managed| self.is_open(id) || managed.has_events());
        self.0.supervisor.start(id.as_str())
    }

    fn start_row(&self, taken: &Session, row: &SessionRow) -> Result<SessionHandle, ServiceError> {
        let (config, key) = (&self.0.config, &row.session);
        let profile = self.profile(key);
        create_private(&profile).map_err(|source| ServiceError::Profile {
            session: key.clone(),
            source,
        })?;
        // One whose events still wait continues with its queue.
        let known = self.0.sessions.get(key.session_id.as_str());
        let managed = known.unwrap_or_else(|| Arc::new(config.managed(row, profile)));
        let mut sessions = self.0.sessions.lock();
        sessions.insert(key.session_id.clone(), Arc::clone(&managed));
        drop(sessions);
        managed.run_in(taken);
        Ok(self.handle(managed))
    }

    fn is_open(&self, id: &SessionId) -> bool {
        let state = self.0.supervisor.state(id.as_str());
        state.is_some_and(|state| !state.is_ended())
    }

    /// Returns the profile directory of a session, whether it exists or not.
    #[must_use]
    pub fn profile(&self, session: &SessionKey) -> PathBuf {
        profile_path(&self.0.config.root, session)
    }

    /// Returns a handle of the session under this id that has not ended.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<SessionHandle> {
        let managed = self.0.sessions.get(id.as_str());
        let managed = managed.filter(|_| self.is_open(id));
        managed.map(|managed| self.handle(managed))
    }

    /// Returns handles of all sessions that have not ended, sorted by id.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionHandle> {
        let open = self.0.supervisor.sessions();
        let managed = open.iter().filter_map(|it| self.0.sessions.get(it.id()));
        managed.map(|managed| self.handle(managed)).collect()
    }

    fn handle(&self, managed: Arc<Managed>) -> SessionHandle {
        SessionHandle {
            managed,
            sessions: Arc::clone(&self.0.sessions),
            supervisor: self.0.supervisor.clone(),
        }
    }

    /// Ends all sessions and the sweep, and starts none from then on. Closes pages, browsers and drivers, in
    /// this order, within up to 10 s, and waits up to 5 s for events that wait for the sink. Tasks that
    /// still run after `within` are ended by force. The rows stay as they are.
    pub async fn stop(&self, within: Duration) -> StopReport {
        if let Some(sweep) = &self.0.sweep {
            sweep.abort();
        }
        self.0.supervisor.stop(within).await
    }
}

impl Config {
    fn managed(&self, row: &SessionRow, profile: PathBuf) -> Managed {
        let latest = Arc::new(Mutex::new(Latest::from(row)));
        let recorder = Recorder {
            sink: Arc::clone(&self.sink),
            latest: Arc::clone(&latest),
        };
        let page = CurrentPage::new("webdriver");
        let monitor = PageMonitor::new(row.session.clone(), page.clone(), recorder);
        let monitor = monitor.resume(row).store(Arc::clone(&self.store));
        Managed {
            key: row.session.clone(),
            profile,
            opener: Arc::clone(&self.opener),
            page,
            monitor: (self.monitor)(monitor),
            latest,
            is_ending: AtomicBool::new(false),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(sweep) = &self.sweep {
            sweep.abort();
        }
    }
}

/// Gives up stuck sessions, and ends their pages.
async fn run_sweeps(
    store: &dyn SessionStore,
    sessions: &Sessions,
    supervisor: &Supervisor,
    age: Duration,
) {
    let mut has_failed = false;
    loop {
        sleep(SWEEP_INTERVAL).await;
        let swept = sweep(store, sessions, age, has_failed).await;
        has_failed = swept.is_err();
        let swept = swept.inspect_err(|error| {
            tracing::warn!(%error, "stuck sessions were not given up");
        });
        for change in swept.unwrap_or_default() {
            tracing::info!(session = %change.session, "a stuck session was given up");
            if let Some(session) = supervisor.session(change.session.session_id.as_str()) {
                session.end(CLOSE_TIMEOUT).await;
            }
        }
    }
}

/// Gives up stuck sessions, unless the latest sweep `has_failed`: then sessions of other services get an interval
/// to write the signs of life that have waited for the store.
async fn sweep(
    store: &dyn SessionStore,
    sessions: &Sessions,
    age: Duration,
    has_failed: bool,
) -> Result<Vec<StatusChange>, StoreError> {
    sessions.refresh(store).await?;
    if has_failed {
        store.sessions(&SessionQuery::default().limit(1)).await?;
        return Ok(Vec::new());
    }
    store.sweep_stuck(age).await
}

/// Creates a directory that is accessible to this user alone, and those above it.
fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl fmt::Debug for SessionService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("supervisor", &self.0.supervisor)
            .finish_non_exhaustive()
    }
}
