//! For programs that open a page again for the same [`PageMonitor`]: its end as an error, and the events
//! that no page shows.

use std::error::Error;
use std::fmt;

use super::error::OnboardError;
use super::last_event::LastEvent;
use super::monitor::{Ended, PageMonitor};
use super::onboarding::Onboarding;
use crate::event::{Failed, SessionEvent};
use crate::failure::{ProtocolFailure, Site, disclose};

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::PageClosed => "the watched page was closed",
            Self::BrowserGone => "the browser of the watched page, or its driver, is gone",
        };
        disclose(|| ProtocolFailure::new(Site::Unknown, text).with_code(self.as_str()));
        f.write_str(text)
    }
}

/// A task of a supervisor returns it as its error: its class is `page_closed` or `browser_gone`, so the
/// session ends for that reason, and is restarted if it has a restart hook.
///
/// ```
/// # #[cfg(feature = "supervisor")]
/// # fn example(session: whatsapp_phone::Session, monitor: whatsapp_phone::onboard::PageMonitor) {
/// drop(session.spawn("monitor", async move { Err::<(), _>(monitor.run().await) }));
/// # }
/// ```
impl Error for Ended {}

impl Onboarding {
    /// Queues `session_error`, unless the last event was one with the same code.
    fn failed(&self, failed: Failed) {
        let last = LastEvent::Failed(failed.code().map(str::to_owned));
        if self.last() != last {
            let event = SessionEvent::session_error(self.session().clone(), failed);
            drop(self.queue(event, last));
        }
    }
}

impl PageMonitor {
    /// Queues `session_error`: the page could not be opened. If the last event was a `session_error` with
    /// the same code, nothing is sent.
    pub fn failed(&self, failed: Failed) {
        self.onboarding.failed(failed);
    }

    /// Queues `session_disconnected`, after the page was closed on purpose and no [`run`](Self::run) is
    /// under way. Await the result to know that the sink has accepted it, or drop it: it is delivered in
    /// any case.
    ///
    /// # Errors
    ///
    /// If the sink did not accept it.
    pub fn disconnected(
        &self,
        reason: &str,
    ) -> impl Future<Output = Result<(), OnboardError>> + use<> {
        self.onboarding.disconnected(reason)
    }
}
