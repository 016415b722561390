//! From an event to the row and to whoever watches it: [`SessionStore`].
//!
//! | driver | keeps sessions in | watchers in other processes | feature |
//! |---|---|---|---|
//! | [`memory::MemoryStore`] | memory, for tests and one process | none | `events` |
//! | `sqlite::SqliteStore` | a file | by polling | `sqlite` |
//! | `postgres::PostgresStore` | PostgreSQL | by `LISTEN`, and polling in case | `postgres` |
//! | `mysql::MySqlStore` | MySQL or MariaDB | by polling | `mysql` |
//!
//! A row is made by [`register`](SessionStore::register); then every event of the session goes
//! through [`apply`](SessionStore::apply), one atomic step:
//!
//! 1. An event of others is ignored. A session that is unknown, belongs to another workspace or was
//!    given up is an error.
//! 2. What was applied before is ignored: by the event's id, which is kept for 30 days, or by its
//!    `seq`, which is not above the session's last one, for ever. Without `seq` the order is that of
//!    arrival, except that a late `qr_code_generated` or `session_authenticated` takes nothing back
//!    from a connected session. No clock of a sender counts. Without id and `seq`, an event that would change nothing
//!    is a repetition.
//! 3. A `session_ready` with another number than the row is bound to goes by [`RebindPolicy`], a
//!    number that another row of the workspace holds by [`DuplicatePolicy`].
//! 4. Row, retired rows, `last_seq` and the event's id are written, together or not at all. Then
//!    watchers hear of it.
//!
//! In a database, events that are applied at once share a transaction, and its one write to the disk; each
//! is judged for itself, after those before it, and one that is refused stops no other. An event
//! that needs a row which another transaction holds is tried again, up to 0.1 s later, until the deadline,
//! and the others go on. So the order of events that are applied at once is kept only as long as nobody holds
//! their rows: whose order counts awaits one before the next, or numbers them.

mod decide;
mod error;
pub mod memory;
mod sink;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
mod status;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::error::{StoreError, StoreErrorKind};
pub use self::sink::StoreSink;
#[cfg(feature = "mysql")]
#[cfg_attr(docsrs, doc(cfg(feature = "mysql")))]
pub use self::sql::mysql;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::sql::postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::sql::sqlite;
pub use self::status::{SessionRow, Status, StatusChange, UnknownStatus};
pub use self::watch::StatusWatcher;
use crate::event::{SessionEvent, SessionId, SessionKey};

/// How long the ids of applied events are kept.
const APPLIED_IDS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What happens to other sessions of the workspace that hold the number of a `session_ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DuplicatePolicy {
    /// Those that are not live (`qr_scanning`, `authenticated`, `disconnected`) are given up: status
    /// `failed`, soft-deleted. Any other holds the number, and the event is refused:
    /// `number_already_connected`.
    #[default]
    RetireStale,
    /// Any other that is not given up holds the number, and the event is refused:
    /// `number_already_connected`.
    Refuse,
    /// Nothing: linking an account twice is legal. The table must have no unique index on workspace
    /// and number; where a store makes the table itself, it makes none.
    Companions,
}

/// What happens on a `session_ready` with another number than the session is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RebindPolicy {
    /// It is refused: `rebind_refused`. Somebody scanned with the wrong account.
    #[default]
    Refuse,
    /// The session is bound to the new number.
    Accept,
}

/// What the drivers have in common to choose. Each setting has a default, so set what differs.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::store::{DuplicatePolicy, StoreOptions};
///
/// let options = StoreOptions::default()
///     .duplicates(DuplicatePolicy::Refuse)
///     .deadline(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct StoreOptions {
    duplicates: DuplicatePolicy,
    rebind: RebindPolicy,
    deadline: Duration,
    poll_every: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            duplicates: DuplicatePolicy::default(),
            rebind: RebindPolicy::default(),
            deadline: Duration::from_secs(10),
            poll_every: Duration::from_secs(1),
        }
    }
}

impl StoreOptions {
    /// Default: [`DuplicatePolicy::RetireStale`].
    #[must_use]
    pub fn duplicates(mut self, policy: DuplicatePolicy) -> Self {
        self.duplicates = policy;
        self
    }

    /// Default: [`RebindPolicy::Refuse`].
    #[must_use]
    pub fn rebind(mut self, policy: RebindPolicy) -> Self {
        self.rebind = policy;
        self
    }

    /// How long one call may take, its waiting for connections, and for rows that others hold,
    /// included. At most 24 h; longer ones are cut to that. Default: 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        // A database client adds it to the present time, and a server counts it in milliseconds.
        self.deadline = deadline.min(Duration::from_hours(24));
        self
    }

    /// How often watched sessions are read, to notice what other processes wrote. At least 10 ms.
    /// Default: 1 s.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every.max(Duration::from_millis(10));
        self
    }
}

/// What [`SessionStore::apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The event was applied, and is never applied again.
    Applied {
        /// Where the session stands now.
        change: StatusChange,
        /// The sessions that were given up for it.
        retired: Vec<StatusChange>,
    },
    /// It changed nothing, and need not be sent again.
    Ignored(Ignored),
}

/// Why an event was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// It was applied before, or says what is so already.
    Repeated,
    /// Something later was applied before.
    OutOfOrder,
    /// It is none of ours.
    Foreign,
    /// It is a QR code that has expired. It changes nothing and is no sign of life.
    Expired,
}

/// Keeps where every session stands.
///
/// # Contract
///
/// - `apply` is one atomic step, as the [module](self) says, also beside other stores over the same
///   storage. Of several sessions of a workspace that connect with one number at the same moment,
///   exactly one does, unless the policy is [`DuplicatePolicy::Companions`].
/// - `Ok` from `apply` means that it is stored as durably as the storage stores. After an error, a
///   dropped call or a crash the same event may be applied again: one with an id or a `seq` has effect once.
/// - A connected session has a number, in every answer and for every watcher.
/// - Every call ends within its deadline; `sweep_stuck` and `watch`, which take several steps, keep it
///   in each. Conflicts between transactions (deadlocks, busy files) are
///   tried again inside, and are no errors of the caller.
/// - A watcher sees what this store wrote, in order, and in the end where the session stands, however
///   slow it is and whoever wrote.
///
/// `testkit::contract::store` holds any store to these rules (feature `testkit`).
///
/// ```
/// use whatsapp_phone::PhoneNumber;
/// use whatsapp_phone::event::{SessionEvent, SessionKey};
/// use whatsapp_phone::store::{SessionStore, Status, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// let session = SessionKey::new(7, "session-1")?;
/// store.register(&session).await?;
///
/// let phone: PhoneNumber = "628110000041".parse()?;
/// store.apply(&SessionEvent::session_ready(session.clone(), phone.clone())).await?;
/// let row = store.session(&session.session_id).await?.unwrap();
/// assert_eq!((row.status, row.phone), (Status::Connected, Some(phone)));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// A short name for logs and errors: `memory`, `postgres`, ...
    fn name(&self) -> &str;

    /// Makes the row of a session, in status `qr_scanning`, and returns it. One that is there stays
    /// as it is; where it waits to be linked, this is a sign of life. One that was given up begins anew,
    /// without a number; its `last_seq` stays.
    ///
    /// # Errors
    ///
    /// When the session's id belongs to another workspace, or the storage fails.
    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError>;

    /// Applies an event.
    ///
    /// # Errors
    ///
    /// When the event is refused; nothing is written then. When the storage fails, or does not answer in
    /// time; where it may have written all the same, the error says so. After a transient error it may
    /// be applied again.
    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError>;

    /// Where a session stands; `None` where there is none, or it was given up.
    ///
    /// # Errors
    ///
    /// When the storage fails.
    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError>;

    /// Gives up the sessions that are `qr_scanning` or `authenticated` and have shown no sign of life for
    /// this long, by the storage's clock, and returns them. Also forgets the ids of events that were
    /// applied more than 30 days ago. To be called now and then by the service; the usual age is an
    /// hour.
    ///
    /// # Errors
    ///
    /// When the storage fails. What was given up until then stays so.
    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError>;

    /// Watches a session from now on.
    ///
    /// # Errors
    ///
    /// When there is no such session, or the storage fails.
    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError>;
}

macro_rules! forward {
    ($($owner:ty),*) => {$(
        #[async_trait]
        impl<S: SessionStore + ?Sized> SessionStore for $owner {
            fn name(&self) -> &str {
                (**self).name()
            }

            async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError> {
                (**self).register(session).await
            }

            async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError> {
                (**self).apply(event).await
            }

            async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
                (**self).session(id).await
            }

            async fn sweep_stuck(
                &self,
                older_than: Duration,
            ) -> Result<Vec<StatusChange>, StoreError> {
                (**self).sweep_stuck(older_than).await
            }

            async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError> {
                (**self).watch(id).await
            }
        }
    )*};
}

forward!(Arc<S>, Box<S>, &S);

const _: fn(&dyn SessionStore) = |store| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(store);
};
