//! [`CdpPage`]: one tab, shared by all its sources.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::tab::Tab;
use crate::failure::{ProtocolFailure, Site};
use crate::link::QrCode;
use crate::source::page::command::{Command, CommandResult};
use crate::source::page::decision::Observation;
use crate::source::page::diagnosis::Diagnosis;
use crate::source::page::overrides::Overrides;
use crate::source::page::scripts::Extra;
use crate::source::page::target::Target;
use crate::source::page::wait::{self, LOOK_INTERVAL, MAX_SILENCE, MAX_SOCKET_SLICE, ReadPage};

/// Longest time for leaving a page.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One WhatsApp Web page, read by [`CdpSource`](super::CdpSource)s. Cheap to clone; all clones and all their sources
/// share one DevTools socket. When the last clone is dropped, the page is left in the background, as by
/// [`close`](Self::close).
///
/// A page remembers what its document has shown so far, until the page is dropped. Some evidence needs
/// that: if WhatsApp renames a piece of it, a number is still given once everything else has stayed unchanged
/// for 5 or 20 seconds. A deadline of 45 s outlasts every such time; with a shorter one, a later extraction
/// on the same page gives the number.
///
/// ```no_run
/// use whatsapp_phone::source::cdp::{AttachOptions, CdpPage};
///
/// # async fn example() -> Result<(), whatsapp_phone::ProtocolFailure> {
/// let page = CdpPage::attach("127.0.0.1:9222".parse()?, AttachOptions::default()).await?;
/// println!("{}", page.target());
/// page.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "dropping its last clone leaves the page"]
pub struct CdpPage(Arc<LastClone>);

/// Leaves the page when its last clone is dropped, even if a slice still runs.
struct LastClone(Arc<Tab>);

impl CdpPage {
    pub(super) fn new(tab: Tab) -> Self {
        Self(Arc::new(LastClone(Arc::new(tab))))
    }

    pub(super) fn tab(&self) -> &Arc<Tab> {
        &self.0.0
    }

    /// Leaves the page: removes our hooks from it, closes the socket, and the tab if `open` opened it. Waits up to two
    /// seconds; if it takes longer, the rest is done in the background. Hooks in a page that is busy stay until the
    /// present slice ends: at most 10 seconds, or longer in a page whose timers are delayed. Other clones of this page, and
    /// their sources, can read nothing afterwards.
    pub async fn close(self) {
        let _ = timeout(CLOSE_TIMEOUT, self.tab().end()).await;
    }

    /// Reads the page with these names and readers of the caller's from the next look on, in all clones of
    /// this page and all their sources. They replace all earlier ones. Expressions of readers run in the account's
    /// page, with all its rights.
    ///
    /// ```no_run
    /// # use whatsapp_phone::source::cdp::{CdpPage, Guard, Overrides};
    /// # async fn example(page: CdpPage) -> Result<(), whatsapp_phone::ProtocolFailure> {
    /// let overrides = Overrides::default().guard(Guard::SocketSynced, "isSynced");
    /// page.set_overrides(&overrides).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if a name is not plain or an expression is not JavaScript; else as a look. The page is
    /// then read as before.
    pub async fn set_overrides(&self, overrides: &Overrides) -> Result<(), ProtocolFailure> {
        self.tab().set_overrides(overrides).await
    }

    /// Finds out which readers and guards work on this page, and what follows. Looks until the page has
    /// settled, at most for this long: 45 s outlast every time that a page must stay unchanged.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use whatsapp_phone::source::cdp::CdpPage;
    /// # async fn example(page: CdpPage) -> Result<(), whatsapp_phone::ProtocolFailure> {
    /// println!("{}", page.diagnose(Duration::from_secs(45)).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the page cannot be read: as a look.
    pub async fn diagnose(&self, deadline: Duration) -> Result<Diagnosis, ProtocolFailure> {
        wait::diagnose(self, deadline).await
    }

    /// Returns the QR code that the page shows now. `None`: the page shows none, since it is linked, blocked or still
    /// loading. Takes at most 5 seconds, and starts nothing on the page.
    ///
    /// The code is the page's text (`data-ref`), or else its canvas's data as a [picture](QrCode::is_picture), or else
    /// [`QrCode::unknown`]. The page renews it every 20 to 60 seconds, so look again, for instance once a second. Text
    /// and picture may be hostile: draw the text as a QR code, and do not put it into markup.
    ///
    /// ```no_run
    /// # use whatsapp_phone::source::cdp::CdpPage;
    /// # async fn example(page: CdpPage) -> Result<(), whatsapp_phone::ProtocolFailure> {
    /// let is_shown = page.qr().await?.is_some();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the page cannot be read: as a look.
    pub async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        wait::qr(self).await
    }

    /// Returns which tab this is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.tab().finder().target
    }

    /// Returns the running slice, or a new one; `None` if no slice is possible.
    fn slice(&self, known: &Arc<Observation>) -> Option<Command> {
        let mut state = self.tab().state();
        if let Some(command) = &state.record.slice
            && !command.has_ended()
        {
            return Some(command.clone());
        }
        if state.record.avoids_slices() {
            return None;
        }
        let until_due = known
            .due()
            .map(|due| due.saturating_duration_since(Instant::now()));
        let length = until_due.map_or(MAX_SOCKET_SLICE, |left| left.min(MAX_SOCKET_SLICE));
        let (tab, known) = (Arc::clone(self.tab()), Arc::clone(known));
        let command = Command::start(length, async move { tab.slice(&known, length).await });
        state.record.slice = Some(command.clone());
        Some(command)
    }
}

impl ReadPage for CdpPage {
    const SITE: Site = Site::Cdp;

    async fn look(&self) -> CommandResult {
        self.tab().look(Extra::None).await
    }

    async fn look_in_detail(&self) -> CommandResult {
        self.tab().look(Extra::Details).await
    }

    async fn read_qr(&self) -> CommandResult<Option<QrCode>> {
        self.tab().read_qr().await
    }

    fn last(&self) -> Option<Arc<Observation>> {
        self.tab().last()
    }

    async fn change(&self, known: &Arc<Observation>, end: Instant) -> Option<CommandResult> {
        let until = known.due().map_or(end, |due| due.min(end));
        let now = Instant::now();
        if until <= now {
            return Some(self.look().await);
        }
        let Some(command) = self.slice(known) else {
            sleep(LOOK_INTERVAL.min(until - now)).await;
            return Some(self.look().await);
        };
        let mut result = pin!(command.result());
        loop {
            let silent_at = self.tab().state().record.answered_at + MAX_SILENCE;
            if let Ok(result) = timeout_at(until.min(silent_at), &mut result).await {
                return Some(result);
            }
            if Instant::now() >= end {
                return None;
            }
            if Instant::now() >= until {
                return Some(self.look().await);
            }
            if let Some(result) = self.tab().check().await {
                return Some(result);
            }
        }
    }

    /// Returns the known observation: the slice that still runs would have reported a change.
    async fn unchanged(&self, known: Arc<Observation>) -> CommandResult {
        Ok(known)
    }

    async fn versions(&self) -> (Option<String>, Option<String>) {
        (None, self.tab().browser_version().await)
    }
}

impl Drop for LastClone {
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

impl fmt::Debug for CdpPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdpPage")
            .field("target", self.target())
            .finish_non_exhaustive()
    }
}
