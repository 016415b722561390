//! [`CdpSource`]: reads a [`CdpPage`].

use std::time::Duration;

use async_trait::async_trait;

use super::page::CdpPage;
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState, QrCode};
use crate::source::page::readers::ReaderId;
use crate::source::page::wait::{self, ReadPage};
use crate::source::{Assurance, InfoSource, Look, PageState};

/// Reads the number that a [`CdpPage`] shows.
///
/// ```no_run
/// use std::sync::Arc;
/// use whatsapp_phone::extract::extract_phone_safely;
/// use whatsapp_phone::retry::RetryPolicy;
/// use whatsapp_phone::source::InfoSource;
/// use whatsapp_phone::source::cdp::{AttachOptions, CdpPage, CdpSource};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let page = CdpPage::attach("127.0.0.1:9222".parse()?, AttachOptions::default()).await?;
/// let sources: Vec<Arc<dyn InfoSource>> = vec![Arc::new(CdpSource::all(&page))];
/// let found = extract_phone_safely(&sources, &RetryPolicy::eager()).await?;
/// println!("{} by {}", found.phone, found.reader);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CdpSource {
    page: CdpPage,
    only: Option<ReaderId>,
}

impl CdpSource {
    /// Asks all readers: the newest live one that answers is believed, and two that disagree are a
    /// conflict. The source's name is `cdp`.
    ///
    /// ```no_run
    /// # use whatsapp_phone::source::cdp::{CdpPage, CdpSource};
    /// # fn example(page: &CdpPage) {
    /// let source = CdpSource::all(page);
    /// # }
    /// ```
    #[must_use]
    pub fn all(page: &CdpPage) -> Self {
        Self {
            page: page.clone(),
            only: None,
        }
    }

    /// Asks one reader alone: a built-in one, or one of the page's
    /// [overrides](CdpPage::set_overrides), without which every look is `misconfigured`. The source's name is
    /// the reader's, for instance `Store.Conn.me`.
    ///
    /// ```no_run
    /// # use whatsapp_phone::source::cdp::{CdpPage, CdpSource, ReaderId};
    /// # fn example(page: &CdpPage) {
    /// let source = CdpSource::only(page, ReaderId::MeUser);
    /// # }
    /// ```
    #[must_use]
    pub fn only(page: &CdpPage, reader: ReaderId) -> Self {
        Self {
            page: page.clone(),
            only: Some(reader),
        }
    }
}

#[async_trait]
impl InfoSource for CdpSource {
    fn name(&self) -> &str {
        self.only.as_ref().map_or("cdp", ReaderId::as_str)
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
impl LinkSource for CdpSource {
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
