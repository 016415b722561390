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
    /// Its status is `failed`, or it was deleted since it was listed.
    #[error("the session was given up")]
    GivenUp,
    /// It has no profile directory, so no account can be linked to it here.
    #[error("the session has no browser profile in this service's storage")]
    NoProfile,
    /// It could not be started, for instance because it runs already.
    #[error(transparent)]
    NotStarted(#[from] ServiceError),
}

impl SessionService {
    /// Continues the sessions of the store after a restart of the process: starts every session whose row is
    /// neither soft-deleted nor `failed` and whose profile exists, and returns the others with the reason.
    /// Soft-deleted rows are not listed. `seq` continues after each row's `last_seq`. For the sweep
    /// it is a sign of life.
    ///
    /// # Errors
    ///
    /// If the store does not list the sessions; those that were started until then run.
    pub async fn resume(&self) -> Result<Resumed, StoreError> {
        let (mut started, mut skipped) = (Vec::new(), Vec::new());
        let query = Status::ALL.iter();
        let mut query = query.fold(SessionQuery::default(), |query, it| query.status(*it));
        loop {
            let page = self.0.config.store.sessions(&query).await?;
            for row in page.rows {
                match self.resume_row(&row).await {
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

    async fn resume_row(&self, row: &SessionRow) -> Result<SessionHandle, SkipReason> {
        if row.status == Status::Failed {
            return Err(SkipReason::GivenUp);
        }
        if !self.profile(&row.session).is_dir() {
            return Err(SkipReason::NoProfile);
        }
        let taken = self.take(&row.session.session_id);
        let taken = taken.map_err(ServiceError::from)?;
        // The row may have changed since it was listed, and changes no more.
        let id = &row.session.session_id;
        let row = self.0.config.store.session(id).await;
        let row = row.map_err(ServiceError::from)?;
        let row = row.filter(|row| row.status != Status::Failed);
        let row = row.ok_or(SkipReason::GivenUp)?;
        // A sign of life, since a row may be too old for the next sweep.
        let row = self.0.config.store.register(&row.session).await;
        let row = row.map_err(ServiceError::from)?;
        Ok(self.start_row(&taken, &row)?)
    }
}
