//! A WhatsApp Web page in a real browser, read through ChromeDriver.
//!
//! ```text
//! DriverProcess -> Page -> WebDriverSource -> PhoneExtractor
//!  ChromeDriver    a tab    some or all readers
//! ```
//!
//! Every reader of the table is asked in one round trip; what they say is judged in Rust, without
//! the page. What is read of a page is bounded in size whatever the page does.

mod attach;
mod connector;
mod decide;
mod devtools;
mod driver;
mod envelope;
mod error;
mod evaluate;
mod link;
mod open;
mod page;
mod probe;
mod readers;
mod session;
mod target;
#[cfg(feature = "webdriver-rustls")]
mod tls;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use self::attach::AttachOptions;
pub use self::devtools::DebuggerAddress;
pub use self::driver::{DriverProcess, DriverProcessBuilder};
pub use self::open::OpenOptions;
pub use self::page::Page;
pub use self::readers::ReaderId;
pub use self::target::Target;
use super::{Assurance, InfoSource, Look};
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState};

/// Longer waits are cut to this: no clock overflows, and the caller asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The number that a [`Page`] shows.
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
    /// All readers: the newest live one that answers is believed, and two that disagree are a
    /// conflict. Its name is `webdriver`.
    #[must_use]
    pub fn all(page: &Page) -> Self {
        Self {
            page: page.clone(),
            only: None,
        }
    }

    /// One reader alone. Its name is the reader's, for instance `client.info.wid`.
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
        self.only.map_or("webdriver", ReaderId::name)
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        let envelope = self.page.look().await?;
        Ok(decide::decide(&envelope, self.only))
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        let end = Instant::now() + max.min(LONGEST_WAIT);
        // What was seen last is never an answer, only where to go on from.
        let seen = self.page.seen();
        let seen = seen.filter(|seen| !decide::decide(seen, self.only).is_awaited(min));
        let first = match seen {
            Some(seen) => self.page.change(&seen, end).await,
            None => None,
        };
        let mut known = match first {
            Some(answer) => answer?,
            None => self.page.now().await?,
        };
        loop {
            let look = decide::decide(&known, self.only);
            if look.is_awaited(min) || Instant::now() >= end {
                return Ok(look);
            }
            let Some(answer) = self.page.change(&known, end).await else {
                return Ok(look);
            };
            known = answer?;
        }
    }
}

#[async_trait]
impl LinkSource for WebDriverSource {
    /// Asks all readers, also where the source has only one.
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        let envelope = self.page.look().await?;
        Ok(decide::link(&envelope))
    }
}
