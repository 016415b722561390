//! [`WebDriverSource`]: reads a [`Page`].

use std::time::Duration;

use async_trait::async_trait;

use super::page::Page;
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState, QrCode};
use crate::source::page::readers::ReaderId;
use crate::source::page::wait::{self, ReadPage};
use crate::source::{Assurance, InfoSource, Look, PageState};

/// Reads the number that a [`Page`] shows.
///
/// ```no_run
/// use std::sync::Arc;
/// use whatsapp_phone::extract::extract_phone_safely;
/// use whatsapp_phone::retry::RetryPolicy;
/// use whatsapp_phone::source::InfoSource;
/// use whatsapp_phone::source::webdriver::{DriverProcess, OpenOptions, Page, WebDriverSource};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let driver = DriverProcess::start().await?;
/// let page = Page::open(&driver, OpenOptions::default()).await?;
/// let sources: Vec<Arc<dyn InfoSource>> = vec![Arc::new(WebDriverSource::all(&page))];
/// let found = extract_phone_safely(&sources, &RetryPolicy::eager()).await?;
/// println!("{} by {}", found.phone, found.reader);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WebDriverSource {
    page: Page,
    only: Option<ReaderId>,
}

impl WebDriverSource {
    /// Asks all readers: the newest live one that answers gives the number, and two that disagree are a
    /// conflict. The source's name is `webdriver`.
    #[must_use]
    pub fn all(page: &Page) -> Self {
        Self {
            page: page.clone(),
            only: None,
        }
    }

    /// Asks one reader alone: a built-in one, or one of the page's
    /// [overrides](Page::set_overrides), without which every look is `misconfigured`. The source's name is the reader's, for instance `Store.Conn.me`.
    #[must_use]
    pub fn only(page: &Page, reader: ReaderId) -> Self {
        Self {
            page: page.clone(),
            only: Some(reader),
        }
    }
}

#[async_trait]
impl InfoSource for WebDriverSource {
    fn name(&self) -> &str {
        self.only.as_ref().map_or("webdriver", ReaderId::as_str)
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        wait::give(&*self.page.look().await?, self.only.as_ref())
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        wait::wait(&self.page, self.only.as_ref(), min, max).await
    }

    fn page_state(&self) -> Option<PageState> {
        self.page.tab().page_state()
    }
}

#[async_trait]
impl LinkSource for WebDriverSource {
    /// Asks all readers, even if the source has only one.
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        Ok(self.page.look().await?.link())
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        self.page.qr().await
    }

    fn document(&self) -> Option<String> {
        self.page.tab().document()
    }
}
