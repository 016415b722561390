//! [`WebDriverSource`]: reads a [`Page`].

use super::page::Page;
use crate::source::page::source::page_source;

page_source! {
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
    pub struct WebDriverSource { page: Page, name: "webdriver" }
}
