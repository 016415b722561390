//! [`SessionService::resume`], and its result: [`Resumed`].

use super::SessionService;
use super::error::ServiceError;
use super::handle::SessionHandle;
use crate::event::SessionKey;
use crate::store::{SessionQuery, SessionRow, Status, StoreError};

/// The result of [`SessionService::resume`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Resumed {
    /// The sessions that were started.
    pub started: Vec<SessionHandle>,
    /// The sessions that were not started.
    pub skipped: Vec<Skipped>,
}

/// A session that was not resumed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Skipped {
    /// The session.
    pub session: SessionKey,
    /// The status of its row.
    pub status: Status,
    /// The reason.
    pub reason: SkipReason,
}

/// Why a session was not resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// Its status is `failed`.
    #[error("the session was given up")]
    GivenUp,
    /// It has no profile directory, so no account can be linked to it here.
    #[error("the session has no browser profile in this service's storage")]
    NoProfile,
    /// It could not be started, for instance because it runs already.
    #[error(transparent)]
    NotStarted(ServiceError),
}

impl SessionService {
    /// Continues the sessions of the store after a restart of the process: starts every session whose row is
    /// neither soft-deleted nor `failed` and whose profile exists, and returns the others with the reason.
    /// Soft-deleted rows are not listed. `seq` continues after each row's `last_seq`.
    ///
    /// # Errors
    ///
    /// If the store fails; the sessions that were started until then run.
    pub async fn resume(&self) -> Result<Resumed, StoreError> {
        let (mut started, mut skipped) = (Vec::new(), Vec::new());
        let query = Status::ALL.iter();
        let mut query = query.fold(SessionQuery::default(), |query, it| query.status(*it));
        loop {
            let page = self.0.config.store.sessions(&query).await?;
            for row in page.rows {
                match self.resume_row(&row) {
                    Ok(handle) => started.push(handle),
                    Err(reason) => skipped.push(Skipped {
                        session: row.session,
                        status: row.status,
                        reason,
                    }),
                }
            }
            match page.next {
                Some(next) => query = query.after(next),
                None => return Ok(Resumed { started, skipped }),
            }
        }
    }

    fn resume_row(&self, row: &SessionRow) -> Result<SessionHandle, SkipReason> {
        if row.status == Status::Failed {
            return Err(SkipReason::GivenUp);
        }
        if !self.profile(&row.session).is_dir() {
            return Err(SkipReason::NoProfile);
        }
        let taken = self.take(&row.session.session_id);
        let started = taken.map_err(ServiceError::from);
        let started = started.and_then(|taken| self.start_row(&taken, row));
        started.map_err(SkipReason::NotStarted)
    }
}
