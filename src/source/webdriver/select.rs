//! Selects a tab in a session, without disturbing the others.

use fantoccini::Client;
use fantoccini::wd::WindowHandle;

use super::error::command;
use crate::failure::ProtocolFailure;
use crate::source::page::finder::TabFinder;
use crate::source::page::target::{NoTab, Target};

/// The reason for which no tab was selected.
enum SelectError {
    NoTab(NoTab),
    Failed(ProtocolFailure),
}

impl From<ProtocolFailure> for SelectError {
    fn from(failure: ProtocolFailure) -> Self {
        Self::Failed(failure)
    }
}

impl TabFinder {
    /// Makes the right tab the session's current one.
    pub(super) async fn select(&self, client: &Client) -> Result<(), ProtocolFailure> {
        self.try_select(client).await.map_err(|error| match error {
            SelectError::NoTab(reason) => self.target.failure(reason),
            SelectError::Failed(failure) => failure,
        })
    }

    /// Selects the tab that has replaced a closed one. Returns whether there is one.
    ///
    /// # Errors
    ///
    /// If there are several.
    pub(super) async fn follow(&self, client: &Client) -> Result<bool, ProtocolFailure> {
        if self.address.is_none() {
            // A new tab may be another session's, and looking at each raises it.
            return Ok(false);
        }
        match self.try_select(client).await {
            Ok(()) => Ok(true),
            Err(SelectError::NoTab(reason @ NoTab::Several { .. })) => {
                Err(self.target.failure(reason))
            }
            Err(_) => Ok(false),
        }
    }

    async fn try_select(&self, client: &Client) -> Result<(), SelectError> {
        let id = match (&self.address, &self.tab) {
            (Some(address), _) => self
                .choose(address.tabs().await?)
                .map_err(SelectError::NoTab)?,
            (None, Some(id)) => id.clone(),
            (None, None) => return Ok(select_by_driver(&self.target, client).await?),
        };
        let is_current = || async {
            client
                .window()
                .await
                .is_ok_and(|current| String::from(current) == id)
        };
        // ChromeDriver raises the tab that it switches to, so it switches only if it must.
        if !is_current().await {
            let handle = WindowHandle::try_from(id.clone())
                .map_err(|_| SelectError::NoTab(NoTab::None { tabs: 0 }))?;
            let switched = client.switch_to_window(handle).await;
            switched.map_err(|error| command(&error))?;
        }
        if self.address.is_none() {
            let url = client
                .current_url()
                .await
                .map_err(|error| command(&error))?;
            if !self.target.matches(url.as_str()) {
                return Err(SelectError::NoTab(NoTab::None { tabs: 1 }));
            }
        }
        Ok(())
    }
}

/// Switches to the one tab that matches. Only for a browser that this crate started, or one that only the driver can reach:
/// reading a tab's URL raises the tab.
pub(super) async fn select_by_driver(
    target: &Target,
    client: &Client,
) -> Result<(), ProtocolFailure> {
    let failed = |error| command(&error);
    let mut tabs = Vec::new();
    for tab in client.windows().await.map_err(failed)? {
        client.switch_to_window(tab.clone()).await.map_err(failed)?;
        let url = client.current_url().await.map_err(failed)?;
        tabs.push((tab, url.to_string()));
    }
    let tab = target
        .choose(tabs)
        .map_err(|reason| target.failure(reason))?;
    client.switch_to_window(tab).await.map_err(failed)
}
