//! When a [`PageMonitor`] sends again what the sink has refused, although the page has not changed.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{LOOK_TIMEOUT, PageMonitor};
use crate::onboard::state::Refusal;
use crate::phone::PhoneNumber;
use crate::store::{SessionRow, Status};

/// How often the row is read after a refusal.
const ROW_INTERVAL: Duration = Duration::from_secs(10);

/// The pause before a read that has failed is repeated.
const READ_PAUSE: Duration = Duration::from_secs(1);

/// How long after a refusal the event is sent again, since the reason may be gone: no row or page shows that
/// another session has ended.
const RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// The latest row that was read since the sink has refused an event; `None` in it: there was none.
#[derive(Default)]
struct Known {
    at: Option<Instant>,
    row: Option<Option<(Status, Option<PhoneNumber>)>>,
}

impl PageMonitor {
    /// Allows refused events to be sent again when the session's row has changed, and every five minutes.
    pub(super) async fn retry_refused(&self) -> Infallible {
        let mut known = Known::default();
        loop {
            sleep(READ_PAUSE).await;
            let (refusal, queued) = {
                let mut state = self.onboarding.deliveries.lock();
                if state.blocking().is_some_and(is_old) && state.is_empty() {
                    state.try_again();
                }
                (state.refusal.clone(), state.queued)
            };
            let Some(refusal) = refusal else {
                known = Known::default();
                continue;
            };
            if known.at.is_some_and(|at| at.elapsed() < ROW_INTERVAL) {
                continue;
            }
            let Some(store) = &self.store else {
                continue;
            };
            let id = &self.onboarding.session().session_id;
            let Ok(Ok(row)) = timeout(LOOK_TIMEOUT, store.session(id)).await else {
                continue;
            };
            {
                // An event that was sent meanwhile changes the row too.
                let state = self.onboarding.deliveries.lock();
                if state.queued != queued || !state.is_empty() {
                    continue;
                }
            }
            known.at = Some(Instant::now());
            let seen = row.as_ref().map(|row| (row.status, row.phone.clone()));
            let is_changed = match known.row.replace(seen.clone()) {
                Some(before) => before != seen && !is_report(row.as_ref(), &refusal),
                // It may have changed since the refusal.
                None => is_accepted(row.as_ref(), &refusal),
            };
            if is_changed {
                self.onboarding.row_changed(row.as_ref());
            }
        }
    }
}

fn is_old(refusal: &Refusal) -> bool {
    refusal.at.elapsed() >= RETRY_AFTER
}

/// Returns whether the row shows the refusal: it was changed by our `session_error`.
fn is_report(row: Option<&SessionRow>, refusal: &Refusal) -> bool {
    let error = row.and_then(|row| row.error.as_ref());
    error.is_some_and(|error| error.code == refusal.error.code())
}

/// Returns whether the refusal cannot be due to this row.
fn is_accepted(row: Option<&SessionRow>, refusal: &Refusal) -> bool {
    match (refusal.error.code(), row) {
        ("unknown_session", row) => row.is_some(),
        ("rebind_refused", Some(row)) => row.phone.is_none() || row.phone == refusal.phone,
        _ => false,
    }
}
