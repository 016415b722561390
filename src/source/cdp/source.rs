//! [`CdpSource`]: reads a [`CdpPage`].

use super::page::CdpPage;
use crate::source::page::source::page_source;

page_source! {
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
    pub struct CdpSource { page: CdpPage, name: "cdp" }
}
