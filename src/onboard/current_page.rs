//! [`CurrentPage`]: the page of a session, which is replaced when it was lost.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::codes;
use crate::failure::{ProtocolFailure, Site};
use crate::link::{LinkSource, LinkState, QrCode};
use crate::source::{Assurance, InfoSource, Look, PageState};

/// Forwards each look to the page that is open now, so that one [`PageMonitor`](super::PageMonitor) with its queue of
/// events outlives pages that are lost and opened again. Clones share their page.
///
/// Without a page, every look fails with the code `page_closed`.
pub struct CurrentPage<P: ?Sized> {
    name: Cow<'static, str>,
    page: Arc<RwLock<Option<Arc<P>>>>,
}

impl<P: ?Sized> CurrentPage<P> {
    /// Makes one without a page. The name is the source's in logs and extractions.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            page: Arc::new(RwLock::new(None)),
        }
    }

    /// Replaces the page; `None` if none is open. Looks that have begun end on the page before.
    pub fn replace(&self, page: Option<Arc<P>>) {
        *self.page.write().unwrap_or_else(PoisonError::into_inner) = page;
    }

    fn current(&self) -> Option<Arc<P>> {
        self.page
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn open(&self) -> Result<Arc<P>, ProtocolFailure> {
        let closed = || ProtocolFailure::new(Site::Unknown, "no page is open");
        self.current()
            .ok_or_else(|| closed().with_code(codes::PAGE_CLOSED))
    }
}

#[async_trait]
impl<P: InfoSource + ?Sized> InfoSource for CurrentPage<P> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.open()?.probe().await
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.open()?.wait(min, max).await
    }

    fn page_state(&self) -> Option<PageState> {
        self.current()?.page_state()
    }
}

#[async_trait]
impl<P: LinkSource + ?Sized> LinkSource for CurrentPage<P> {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        self.open()?.link().await
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        self.open()?.qr().await
    }

    fn document(&self) -> Option<String> {
        self.current()?.document()
    }
}

impl<P: ?Sized> Clone for CurrentPage<P> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            page: Arc::clone(&self.page),
        }
    }
}

impl<P: ?Sized> fmt::Debug for CurrentPage<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentPage")
            .field("is_open", &self.current().is_some())
            .finish()
    }
}
