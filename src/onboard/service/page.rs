//! Opens and closes the page of a session: [`OpenPage`].

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::event::SessionKey;
use crate::failure::ProtocolFailure;
use crate::link::LinkSource;
use crate::source::InfoSource;
#[cfg(feature = "cdp")]
use crate::source::cdp::{self, CdpPage, CdpSource, ChromeProcess, ChromeProcessBuilder};
use crate::source::webdriver::{
    DriverProcess, DriverProcessBuilder, OpenOptions, Page, WebDriverSource,
};

/// A page to monitor.
pub(super) trait PageSource: InfoSource + LinkSource {}

impl<P: InfoSource + LinkSource> PageSource for P {}

/// A page that is open. Dropping it ends its browser at once.
pub(super) struct OpenedPage {
    pub(super) source: Arc<dyn PageSource>,
    /// Closes the page, its browser and its driver, in this order.
    pub(super) close: BoxFuture<'static, ()>,
}

#[async_trait]
pub(super) trait OpenPage: Send + Sync {
    /// Opens the page of this session on this profile, and keeps the profile's lock until it is closed. May be
    /// dropped at any time.
    async fn open(
        &self,
        session: &SessionKey,
        profile: &Path,
        lock: File,
    ) -> Result<OpenedPage, ProtocolFailure>;
}

pub(super) type PageOptions = dyn Fn(&SessionKey) -> OpenOptions + Send + Sync;

/// Opens each page in a browser of its own, with a ChromeDriver of its own.
pub(super) struct OwnBrowser {
    pub(super) driver: DriverProcessBuilder,
    pub(super) options: Box<PageOptions>,
}

#[async_trait]
impl OpenPage for OwnBrowser {
    async fn open(
        &self,
        session: &SessionKey,
        profile: &Path,
        lock: File,
    ) -> Result<OpenedPage, ProtocolFailure> {
        let lock = Arc::new(lock);
        let driver = self.driver.clone().lock(Arc::clone(&lock));
        let driver = driver.start().await?;
        let argument = format!("--user-data-dir={}", profile.display());
        let options = (self.options)(session).browser_arg(argument);
        let page = match Page::open(&driver, options).await {
            Ok(page) => page,
            Err(failure) => {
                stop(driver).await;
                return Err(failure);
            }
        };
        Ok(OpenedPage {
            source: Arc::new(WebDriverSource::all(&page)),
            close: Box::pin(async move {
                page.close().await;
                stop(driver).await;
                drop(lock);
            }),
        })
    }
}

#[cfg(feature = "cdp")]
pub(super) type CdpOptions = dyn Fn(&SessionKey) -> cdp::OpenOptions + Send + Sync;

/// Opens each page in a browser of its own, without ChromeDriver.
#[cfg(feature = "cdp")]
pub(super) struct OwnChrome {
    pub(super) chrome: ChromeProcessBuilder,
    pub(super) options: Box<CdpOptions>,
}

#[cfg(feature = "cdp")]
#[async_trait]
impl OpenPage for OwnChrome {
    async fn open(
        &self,
        session: &SessionKey,
        profile: &Path,
        lock: File,
    ) -> Result<OpenedPage, ProtocolFailure> {
        let lock = Arc::new(lock);
        let chrome = self.chrome.clone().profile(profile).lock(Arc::clone(&lock));
        let chrome = chrome.start().await?;
        let page = match CdpPage::open(&chrome, (self.options)(session)).await {
            Ok(page) => page,
            Err(failure) => {
                stop_chrome(chrome).await;
                return Err(failure);
            }
        };
        Ok(OpenedPage {
            source: Arc::new(CdpSource::all(&page)),
            close: Box::pin(async move {
                stop_chrome(chrome).await;
                drop((page, lock));
            }),
        })
    }
}

#[cfg(feature = "cdp")]
async fn stop_chrome(chrome: ChromeProcess) {
    if let Err(error) = chrome.stop().await {
        tracing::warn!(%error, "a browser is still ending");
    }
}

async fn stop(driver: DriverProcess) {
    if let Err(error) = driver.stop().await {
        tracing::warn!(%error, "a driver is still ending");
    }
}
