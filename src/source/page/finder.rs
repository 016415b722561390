//! [`TabFinder`]: finds a tab in a Chrome that another program drives, without disturbing it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::devtools::{DebuggerAddress, Tab};
use super::target::{NoTab, Target};
use crate::failure::ProtocolFailure;

/// Time between two lists of tabs while none matches.
const LIST_INTERVAL: Duration = Duration::from_millis(100);

/// Finds the tab of a Chrome that is read.
#[derive(Clone, Debug)]
pub(crate) struct TabFinder {
    pub(crate) target: Target,
    pub(crate) tab: Option<String>,
    /// `None` if only the driver can reach that Chrome.
    pub(crate) address: Option<DebuggerAddress>,
    /// The other tabs at the time of attaching. They may be other sessions', so they are not followed if
    /// they come to the target's origin.
    others: Vec<String>,
}

impl TabFinder {
    pub(crate) const fn new(
        target: Target,
        tab: Option<String>,
        address: Option<DebuggerAddress>,
    ) -> Self {
        Self {
            target,
            tab,
            address,
            others: Vec::new(),
        }
    }

    /// Waits until there is exactly one matching tab. Returns its id; `None` if only the driver can find it.
    pub(crate) async fn wait_for_tab(
        &mut self,
        until: Instant,
    ) -> Result<Option<String>, ProtocolFailure> {
        let Some(address) = self.address.clone() else {
            return Ok(None);
        };
        loop {
            let tabs = address.tabs().await?;
            let ids: Vec<_> = tabs.iter().map(|tab| tab.id.clone()).collect();
            match self.choose(tabs) {
                Ok(right) => {
                    self.others = ids.into_iter().filter(|id| *id != right).collect();
                    return Ok(Some(right));
                }
                Err(NoTab::None { .. }) if Instant::now() < until => sleep(LIST_INTERVAL).await,
                Err(reason) => return Err(self.target.failure(reason)),
            }
        }
    }

    /// Chooses the tab to read.
    pub(crate) fn choose(&self, tabs: Vec<Tab>) -> Result<String, NoTab> {
        let all = tabs.len();
        let is_named = |tab: &Tab| self.tab.as_ref().is_none_or(|id| *id == tab.id);
        let is_other = |tab: &Tab| self.others.contains(&tab.id);
        let candidates = tabs
            .into_iter()
            .filter(|tab| is_named(tab) && !is_other(tab))
            .map(|tab| (tab.id, tab.url));
        self.target
            .choose(candidates)
            .map_err(|reason| match reason {
                NoTab::None { .. } => NoTab::None { tabs: all },
                several => several,
            })
    }
}
