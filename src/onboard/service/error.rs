//! [`ServiceError`]: why a service or a session was not started.

use std::io;

use crate::event::SessionKey;
use crate::store::StoreError;
use crate::supervisor::StartError;

/// Why a service was not built or a session was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The directory of the profiles cannot be used.
    #[error(
        "the directory for browser profiles cannot be used; set SESSION_STORAGE_PATH, or `storage`, to a directory that this user may write and whose path is UTF-8"
    )]
    Storage(#[source] io::Error),
    /// The profile directory of the session cannot be created.
    #[error("the profile directory of session {session} cannot be created")]
    Profile {
        /// The session.
        session: SessionKey,
        /// The reason.
        source: io::Error,
    },
    /// The store did not register the session.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session runs already, or the service was stopped.
    #[error(transparent)]
    Start(#[from] StartError),
}
