//! [`SessionServiceBuilder`]: the settings of a service.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::error::ServiceError;
use super::managed::Opener;
#[cfg(feature = "cdp")]
use super::page::OwnChrome;
use super::page::{OpenPage, OwnBrowser, PageOptions};
use super::{Config, SessionService, create_private};
use crate::event::{EventSink, SessionKey};
use crate::onboard::PageMonitor;
use crate::retry::Backoff;
#[cfg(feature = "cdp")]
use crate::source::cdp::{self, ChromeProcessBuilder};
use crate::source::webdriver::{DriverProcess, DriverProcessBuilder, OpenOptions};
use crate::store::{SessionStore, StoreSink};
use crate::supervisor::{Supervisor, SupervisorBuilder};

/// The environment variable that names the directory of the profiles.
const STORAGE: &str = "SESSION_STORAGE_PATH";

/// Builds a [`SessionService`]; from [`SessionService::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct SessionServiceBuilder {
    store: Arc<dyn SessionStore>,
    sink: Arc<dyn EventSink>,
    storage: Option<PathBuf>,
    driver: DriverProcessBuilder,
    options: Box<PageOptions>,
    #[cfg(feature = "cdp")]
    chrome: Option<OwnChrome>,
    monitor: Box<dyn Fn(PageMonitor) -> PageMonitor + Send + Sync>,
    supervisor: SupervisorBuilder,
    restart: Backoff,
    opens_at_once: usize,
    pub(super) sweep: Option<Duration>,
}

impl SessionServiceBuilder {
    pub(super) fn new(store: impl SessionStore + 'static) -> Self {
        let store: Arc<dyn SessionStore> = Arc::new(store);
        let second = Duration::from_secs(1);
        // A unit test checks that it is valid.
        let restart = Backoff::builder()
            .initial_delay(second)
            .interval(second)
            .max_interval(60 * second)
            .jitter(0.5)
            .build();
        Self {
            sink: Arc::new(StoreSink::new(Arc::clone(&store))),
            store,
            storage: None,
            driver: DriverProcess::builder(),
            options: Box::new(|_| OpenOptions::default().headless(true)),
            #[cfg(feature = "cdp")]
            chrome: None,
            monitor: Box::new(|monitor| monitor),
            supervisor: Supervisor::builder(),
            restart: restart.unwrap_or_default(),
            opens_at_once: 4,
            sweep: Some(Duration::from_secs(60 * 60)),
        }
    }

    /// Sets the sink of all events. It must apply them to the store first, as
    /// [`FanOut::after`](crate::event::fan_out::FanOut::after)`(`[`StoreSink`]`)` does. Default: a
    /// [`StoreSink`] alone.
    pub fn sink(mut self, sink: impl EventSink + 'static) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// Sets the directory of the browser profiles; see [`profile_path`](super::profile_path). Each profile
    /// holds the keys of its account. New directories are accessible to this user alone. Default: the
    /// environment variable `SESSION_STORAGE_PATH`, or else `sessions` in the working directory.
    pub fn storage(mut self, root: impl Into<PathBuf>) -> Self {
        self.storage = Some(root.into());
        self
    }

    /// Sets the ChromeDriver that each session starts. Default: [`DriverProcess::builder`].
    pub fn driver(mut self, driver: DriverProcessBuilder) -> Self {
        self.driver = driver;
        self
    }

    /// Sets how the page of a session is opened. The argument `--user-data-dir` is added. Default: WhatsApp
    /// Web in a browser without a window.
    pub fn page(
        mut self,
        options: impl Fn(&SessionKey) -> OpenOptions + Send + Sync + 'static,
    ) -> Self {
        self.options = Box::new(options);
        self
    }

    /// Opens the page of each session in this browser, without ChromeDriver: in place of [`driver`](Self::driver) and
    /// [`page`](Self::page). The profile is set for each session.
    #[cfg(feature = "cdp")]
    #[cfg_attr(
        docsrs,
        doc(cfg(all(feature = "cdp", feature = "supervisor", feature = "webdriver")))
    )]
    pub fn chrome(
        mut self,
        chrome: ChromeProcessBuilder,
        page: impl Fn(&SessionKey) -> cdp::OpenOptions + Send + Sync + 'static,
    ) -> Self {
        let options = Box::new(page);
        self.chrome = Some(OwnChrome { chrome, options });
        self
    }

    /// Changes the monitor of each session: its extractor, its intervals, the number that it is bound to.
    pub fn monitor(
        mut self,
        change: impl Fn(PageMonitor) -> PageMonitor + Send + Sync + 'static,
    ) -> Self {
        self.monitor = Box::new(change);
        self
    }

    /// Changes the supervisor of the sessions: its classifier, its reports. Its restart hook is replaced.
    pub fn supervisor(
        mut self,
        change: impl FnOnce(SupervisorBuilder) -> SupervisorBuilder,
    ) -> Self {
        self.supervisor = change(self.supervisor);
        self
    }

    /// Sets when a session is restarted whose page could not be opened or was lost. Default: after 1 s,
    /// growing by 2 to 60 s, each delay up to half as long again at random; without limits.
    pub fn restart(mut self, backoff: Backoff) -> Self {
        self.restart = backoff;
        self
    }

    /// Sets how many pages may be opened at the same time, at least 1; others wait. Default: 4.
    pub fn opens_at_once(mut self, pages: usize) -> Self {
        self.opens_at_once = pages.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how long a session may be `qr_scanning` or `authenticated` without a sign of life, before it is
    /// [given up](SessionStore::sweep_stuck). It is checked every 5 minutes, for all sessions of the store; events
    /// that wait for the sink are signs of life, and after a failure of the store the next check is skipped.
    /// `None`: the service gives up none. Default: 1 hour.
    pub fn sweep(mut self, age: Option<Duration>) -> Self {
        self.sweep = age;
        self
    }

    /// Returns the service, on the current runtime.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Storage`] if the directory of the profiles cannot be used.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn build(mut self) -> Result<SessionService, ServiceError> {
        #[cfg(feature = "cdp")]
        if let Some(chrome) = self.chrome.take() {
            return self.build_with(chrome);
        }
        let options = std::mem::replace(&mut self.options, Box::new(|_| OpenOptions::default()));
        let driver = self.driver.clone();
        self.build_with(OwnBrowser { driver, options })
    }

    pub(super) fn build_with(
        self,
        pages: impl OpenPage + 'static,
    ) -> Result<SessionService, ServiceError> {
        let named = env::var_os(STORAGE).filter(|path| !path.is_empty());
        let root = self.storage.or(named.map(PathBuf::from));
        let root = root.unwrap_or_else(|| "sessions".into());
        let root = create_private(&root).and_then(|()| fs::canonicalize(&root));
        let is_utf8 = |root: PathBuf| match root.to_str() {
            Some(_) => Ok(root),
            None => Err(io::ErrorKind::InvalidFilename.into()),
        };
        let config = Config {
            store: self.store,
            sink: self.sink,
            root: root.and_then(is_utf8).map_err(ServiceError::Storage)?,
            monitor: self.monitor,
            opener: Arc::new(Opener {
                pages: Box::new(pages),
                permits: Semaphore::new(self.opens_at_once),
            }),
        };
        Ok(SessionService::new(
            config,
            self.supervisor,
            self.restart,
            self.sweep,
        ))
    }
}

impl fmt::Debug for SessionServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionServiceBuilder")
            .field("store", &self.store.name())
            .field("sink", &self.sink.name())
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
