//! [`AttachOptions`]: which tab of a running Chrome to attach to.

use std::time::Duration;

use tokio::time::Instant;

use super::target::Target;

/// Longest deadline; a longer one is cut to it, because an [`Instant`] cannot be any time ahead.
const MAX_DEADLINE: Duration = Duration::from_hours(24 * 365);

/// How `webdriver::Page::attach` and `cdp::CdpPage::attach` attach to a running Chrome. `Default` looks for the one tab at
/// `https://web.whatsapp.com`, within 10 seconds.
///
/// ```
/// use whatsapp_phone::source::webdriver::AttachOptions;
///
/// // Puppeteer: `page.target()._targetId`; CDP: `targetId`.
/// let options = AttachOptions::default().tab("5E0A0F5B3C2B4A7E9D1F");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a page is attached with them"]
pub struct AttachOptions {
    pub(crate) target: Target,
    pub(crate) tab: Option<String>,
    /// The WebDriver server is on another machine, whatever its URL says.
    #[cfg(feature = "webdriver")]
    pub(crate) is_elsewhere: bool,
    pub(crate) deadline: Duration,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self {
            target: Target::default(),
            tab: None,
            #[cfg(feature = "webdriver")]
            is_elsewhere: false,
            deadline: Duration::from_secs(10),
        }
    }
}

impl AttachOptions {
    /// Sets which page to read. Default: the one at `https://web.whatsapp.com`.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Names the tab, by its WebDriver window handle, which is also its DevTools target id. Needed if
    /// several sessions share one Chrome. It still has to be at the target's origin. Default: the only
    /// tab that is.
    pub fn tab(mut self, id: impl Into<String>) -> Self {
        self.tab = Some(id.into());
        self
    }

    /// Sets how long attaching may take in all; up to half of it is spent waiting for a tab that is not
    /// there yet. Default: 10 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the moment until which a tab that is not there yet is waited for.
    pub(crate) fn wait_until(&self) -> Instant {
        Instant::now() + self.deadline.min(MAX_DEADLINE) / 2
    }
}
