//! The waits and the diagnosis of any page: [`ReadPage`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::command::CommandResult;
use super::decision::Observation;
use super::diagnosis::Diagnosis;
use super::error::LookError;
use super::readers::ReaderId;
use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};
use crate::link::QrCode;
use crate::source::{Assurance, Look, PageState};

/// Longer waits are cut to this, so that no instant overflows; the caller waits again.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time that a diagnosis waits for the page to settle.
const MAX_DIAGNOSIS: Duration = Duration::from_secs(60 * 60);

/// Longest time that a look for a QR code takes.
const QR_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that a diagnosis waits longer for the answer of a page or driver.
const DIAGNOSIS_GRACE: Duration = Duration::from_secs(5);

/// Time between two looks if slices are not used.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Longest slice of a wait on the page's own socket. If the socket is cut, its hooks stay in the page until the slice ends.
pub(crate) const MAX_SOCKET_SLICE: Duration = Duration::from_secs(10);

/// Longest time without an answer of the page until a wait looks whether it is still there.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(4);

/// The time that a slice on the page's own socket may end late.
pub(crate) const SOCKET_SLICE_GRACE: Duration = Duration::from_secs(1);

/// The time for which a page that did not end a script by itself is read without slices.
pub(crate) const NO_SLICES_TIME: Duration = Duration::from_secs(5);

/// One page of any driver, as its sources and its diagnosis read it.
pub(crate) trait ReadPage: Sync {
    /// The site of a timeout.
    const SITE: Site;

    /// Looks once, with every reader in one round trip.
    fn look(&self) -> impl Future<Output = CommandResult> + Send;

    /// Looks once, with the details of a diagnosis.
    fn look_in_detail(&self) -> impl Future<Output = CommandResult> + Send;

    /// Looks once, for the QR code of a page that shows one.
    fn read_qr(&self) -> impl Future<Output = CommandResult<Option<QrCode>>> + Send;

    /// Returns the last observation, if a slice can continue from there.
    fn last(&self) -> Option<Arc<Observation>>;

    /// Returns the present state, for a wait that has no observation to continue from.
    fn now(&self) -> impl Future<Output = CommandResult> + Send {
        self.look()
    }

    /// Returns the next observation that differs from this one, or the present one when a slice ends; `None`
    /// if `end` comes first. Waits at the same time share one slice.
    fn change(
        &self,
        known: &Arc<Observation>,
        end: Instant,
    ) -> impl Future<Output = Option<CommandResult>> + Send;

    /// Returns the present state after a [`change`](Self::change) that found none.
    fn unchanged(&self, known: Arc<Observation>) -> impl Future<Output = CommandResult> + Send;

    /// Returns the versions of the driver, if there is one, and of the browser.
    fn versions(&self) -> impl Future<Output = (Option<String>, Option<String>)> + Send;
}

/// Returns the look for an observation, by one reader or by all.
pub(crate) fn give(
    observation: &Observation,
    only: Option<&ReaderId>,
) -> Result<Look, ProtocolFailure> {
    match only.filter(|reader| !observation.has_reader(reader)) {
        None => Ok(observation.look(only)),
        Some(reader) => {
            let text = format!(
                "the page has no reader named `{}`; give it one by its overrides",
                reader.as_str()
            );
            Err(ProtocolFailure::new(Site::Unknown, text).with_code(MISCONFIGURED))
        }
    }
}

/// Waits as [`InfoSource::wait`](crate::source::InfoSource::wait).
pub(crate) async fn wait(
    page: &impl ReadPage,
    only: Option<&ReaderId>,
    min: Assurance,
    max: Duration,
) -> Result<Look, ProtocolFailure> {
    let end = Instant::now() + max.min(MAX_WAIT);
    // The last observation is never an answer, only the point from which to continue.
    let last = page.last().filter(|last| {
        let look = give(last, only);
        look.is_ok_and(|look| !look.is_awaited(min))
    });
    let mut known = match last {
        Some(last) => match page.change(&last, end).await {
            Some(answer) => answer?,
            None => page.unchanged(last).await?,
        },
        None => page.now().await?,
    };
    loop {
        let look = give(&known, only)?;
        if look.is_awaited(min) || Instant::now() >= end {
            return Ok(look);
        }
        let Some(answer) = page.change(&known, end).await else {
            return Ok(look);
        };
        known = answer?;
    }
}

/// Returns the QR code that the page shows.
pub(crate) async fn qr<P: ReadPage>(page: &P) -> CommandResult<Option<QrCode>> {
    let read = async {
        // Other callers may share this look, and it gives up a command that is stuck.
        match page.look().await?.page_state() {
            Some(PageState::QrShown) => page.read_qr().await,
            Some(PageState::QrExpired) => Ok(Some(QrCode::expired())),
            _ => Ok(None),
        }
    };
    let read = timeout(QR_TIMEOUT, read).await;
    read.unwrap_or_else(|_| Err(LookError::timeout(P::SITE).failure))
}

/// Diagnoses the page: looks until it has settled, at most for this long.
pub(crate) async fn diagnose<P: ReadPage>(
    page: &P,
    deadline: Duration,
) -> Result<Diagnosis, ProtocolFailure> {
    let deadline = deadline.min(MAX_DIAGNOSIS);
    let diagnosed = diagnose_by(page, Instant::now() + deadline);
    let diagnosed = timeout(deadline + DIAGNOSIS_GRACE, diagnosed).await;
    diagnosed.unwrap_or_else(|_| Err(LookError::timeout(P::SITE).failure))
}

async fn diagnose_by(page: &impl ReadPage, end: Instant) -> Result<Diagnosis, ProtocolFailure> {
    let classifier = ProtocolErrorClassifier::default();
    let may_pass = |failure: &ProtocolFailure| {
        classifier.classify(failure).verdict(Phase::Live) == Verdict::Retry
    };
    loop {
        let is_over = Instant::now() >= end;
        let is_done = |look: &CommandResult| {
            let observation = look.as_ref();
            observation.is_ok_and(|observation| is_over || observation.is_settled())
        };
        let mut look = page.look().await;
        if is_done(&look) {
            // The page may have moved on since.
            look = page.look_in_detail().await;
        }
        let is_done = is_done(&look);
        match look {
            Ok(observation) if is_done => {
                let (driver, browser) = page.versions().await;
                return Ok(Diagnosis::new(&observation, driver, browser));
            }
            Err(failure) if is_over || !may_pass(&failure) => return Err(failure),
            _ => sleep(LOOK_INTERVAL).await,
        }
    }
}
