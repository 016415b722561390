//! [`page_source!`]: the source of one driver's pages.

/// Defines the source that reads a driver's pages, which are a [`ReadPage`](super::wait::ReadPage).
macro_rules! page_source {
    ($(#[$docs:meta])* pub struct $source:ident { page: $page:ident, name: $name:literal }) => {
        use std::time::Duration;

        use crate::failure::ProtocolFailure;
        use crate::link::{LinkSource, LinkState, QrCode};
        use crate::source::page::readers::ReaderId;
        use crate::source::page::wait::{self, ReadPage};
        use crate::source::{Assurance, InfoSource, Look, PageState};

        $(#[$docs])*
        #[derive(Clone, Debug)]
        pub struct $source {
            page: $page,
            only: Option<ReaderId>,
        }

        impl $source {
            /// Asks all readers: the newest live one that answers gives the number, and two that disagree are a
            #[doc = concat!("conflict. The source's name is `", $name, "`.")]
            #[must_use]
            pub fn all(page: &$page) -> Self {
                Self {
                    page: page.clone(),
                    only: None,
                }
            }

            /// Asks one reader alone: a built-in one, or one of the page's
            #[doc = concat!("[overrides](", stringify!($page), "::set_overrides), without which every look is")]
            /// `misconfigured`. The source's name is the reader's, for instance `Store.Conn.me`.
            #[must_use]
            pub fn only(page: &$page, reader: ReaderId) -> Self {
                Self {
                    page: page.clone(),
                    only: Some(reader),
                }
            }
        }

        #[async_trait::async_trait]
        impl InfoSource for $source {
            fn name(&self) -> &str {
                self.only.as_ref().map_or($name, ReaderId::as_str)
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

        #[async_trait::async_trait]
        impl LinkSource for $source {
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
    };
}
pub(in crate::source) use page_source;
