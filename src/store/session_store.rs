//! [`SessionStore`]: the trait, and the results of its calls.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use super::options::RowValues;
use super::query::{SessionPage, SessionQuery};
use super::status::{SessionRow, StatusChange};
use super::watch::StatusWatcher;
use super::watch_workspace::WorkspaceWatcher;
use crate::event::{SessionEvent, SessionId, SessionKey, WorkspaceId};
use crate::text::stable_names;

/// The result of [`SessionStore::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The event was applied, and is never applied again.
    Applied {
        /// The session's new status.
        change: StatusChange,
        /// The sessions that were given up for it.
        retired: Vec<StatusChange>,
    },
    /// The event changed nothing, and need not be sent again.
    Ignored(Ignored),
}

/// Why an event was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// It was applied before, and its `seq`, if it has one, is still the last; or the row has its effect
    /// already.
    Repeated,
    /// A later event was applied before, or it is an expired QR code of a session that is connected.
    OutOfOrder,
    /// It is of a kind that stores do not know.
    Foreign,
    /// It is a QR code that has expired. It changes nothing and is no sign of life.
    Expired,
}

stable_names!(Ignored, "a reason to ignore an event", as_str {
    Repeated = "repeated",
    OutOfOrder = "out_of_order",
    Foreign = "foreign",
    Expired = "expired",
});

/// Keeps the status and the number of every session.
///
/// # Contract
///
/// - `apply` is one atomic step, as the [module](super) says, also beside other stores over the same
///   storage. Of several sessions of a workspace that connect with one number at the same moment,
///   exactly one does, unless the policy is [`Companions`](super::DuplicatePolicy::Companions).
/// - `Ok` from `apply` means that the event is stored as durably as the storage stores. After an error, a
///   dropped call or a crash the same event may be applied again: one with an id or a `seq` has effect once.
/// - A connected session has a number, in every answer and for every watcher.
/// - Every call ends within its deadline; `sweep_stuck`, `watch` and `watch_workspace`, which take several
///   steps, keep it in each. Conflicts between transactions (deadlocks, busy files) are
///   retried inside, and are no errors of the caller.
/// - A watcher sees the changes of this store in order, and the final state in any case: however slow it
///   is, and whichever program wrote it.
/// - A list that is read page by page has each session once that is there from the first page to the last.
///   A page costs the same at the beginning and at the end.
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
    /// Returns a short name for logs and errors: `memory`, `postgres`, ...
    fn name(&self) -> &str;

    /// Makes the row of a session, in status `qr_scanning`, and returns it. An existing row stays
    /// as it is; if it waits to be linked, this is a sign of life. A row that was given up is made as new,
    /// without a number; its `last_seq` stays.
    ///
    /// # Errors
    ///
    /// If the session's id belongs to another workspace, the table needs values that only
    /// [`register_with`](Self::register_with) gives (`misconfigured`), or the storage fails.
    async fn register(&self, session: &SessionKey) -> Result<SessionRow, StoreError>;

    /// Registers a session as [`register`](Self::register) does, with values for further columns of a new
    /// row: those that are `NOT NULL`, have no default, and mean nothing to this crate. A store without
    /// such columns ignores them.
    ///
    /// # Errors
    ///
    /// As `register`; `misconfigured` if the table lacks one of the columns.
    async fn register_with(
        &self,
        session: &SessionKey,
        _values: &RowValues,
    ) -> Result<SessionRow, StoreError> {
        self.register(session).await
    }

    /// Applies an event.
    ///
    /// # Errors
    ///
    /// If the event is refused; then nothing is written. An event of a row that was given up is refused by
    /// [`StoreError::given_up`]. If the storage fails, or does not answer in
    /// time; the error says so if the event may have been written. After a transient error it may
    /// be applied again.
    async fn apply(&self, event: &SessionEvent) -> Result<Outcome, StoreError>;

    /// Returns a session's row; `None` if there is none, or it was given up.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    async fn session(&self, id: &SessionId) -> Result<Option<SessionRow>, StoreError>;

    /// Lists sessions, one page at a time: by workspace, by status, after a cursor. Soft-deleted sessions are
    /// never listed.
    ///
    /// # Errors
    ///
    /// `invalid_cursor` if the cursor is not this store's; if the storage fails.
    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError>;

    /// Ends a session on request of the program: its status is `disconnected`, and its number stays. It may be
    /// linked again. This applies a `session_disconnected` with the reason `ended`; the caller has ended the
    /// page before, since a later event of the page would connect the session again.
    ///
    /// # Errors
    ///
    /// `unknown_session` if there is no such session in that workspace, or it was given up; if the storage
    /// fails.
    async fn end(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        let event = SessionEvent::session_disconnected(session.clone(), "ended");
        match self.apply(&event).await? {
            Outcome::Applied { change, .. } => Ok(change),
            // A new id and no `seq`: only a store that breaks the contract ignores it.
            Outcome::Ignored(_) => Err(StoreError::unknown(session)),
        }
    }

    /// Deletes a session on request of the program: it is given up (status `failed`, soft-deleted, without its
    /// number), whatever its status. Its later events are refused. [`register`](Self::register) makes it as new.
    ///
    /// # Errors
    ///
    /// `unknown_session` if there is no such session in that workspace, or it was given up before; if the
    /// storage fails.
    async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError>;

    /// Gives up the sessions that are `qr_scanning` or `authenticated` and have shown no sign of life for
    /// this long, and returns them. Call it now and then; the usual age is an hour.
    ///
    /// The age counts from the moment at which this crate wrote the row, or a sweep first saw its
    /// present `updated_at`: times that other programs write are compared for equality alone. A session that the
    /// database refuses to change, by a constraint or a trigger of another program, is skipped with a warning.
    ///
    /// # Errors
    ///
    /// If the storage fails. Sessions that were given up until then stay so.
    async fn sweep_stuck(&self, older_than: Duration) -> Result<Vec<StatusChange>, StoreError>;

    /// Watches a session from now on.
    ///
    /// # Errors
    ///
    /// If there is no such session, or the storage fails.
    async fn watch(&self, id: &SessionId) -> Result<StatusWatcher, StoreError>;

    /// Watches all sessions of a workspace, also those that are registered later: first their present
    /// status, then every change. A workspace without sessions may be watched too. A change by another
    /// program is seen after the poll interval plus the time for listing all watched workspaces, or after five times that
    /// listing time if that is longer.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    async fn watch_workspace(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<WorkspaceWatcher, StoreError>;
}

/// Implements the trait by the store in an owner, whose method `$inner` returns it.
macro_rules! forward {
    ([$($generics:tt)*] $owner:ty, $inner:ident) => {
        $crate::store::session_store::forward! {
            [$($generics)*] $owner, $inner,
            fn register(session: &SessionKey) -> Result<SessionRow, StoreError>;
            fn register_with(session: &SessionKey, values: &RowValues) -> Result<SessionRow, StoreError>;
            fn apply(event: &SessionEvent) -> Result<Outcome, StoreError>;
            fn session(id: &SessionId) -> Result<Option<SessionRow>, StoreError>;
            fn sessions(query: &SessionQuery) -> Result<SessionPage, StoreError>;
            fn end(session: &SessionKey) -> Result<StatusChange, StoreError>;
            fn delete(session: &SessionKey) -> Result<StatusChange, StoreError>;
            fn sweep_stuck(older_than: Duration) -> Result<Vec<StatusChange>, StoreError>;
            fn watch(id: &SessionId) -> Result<StatusWatcher, StoreError>;
            fn watch_workspace(workspace: &WorkspaceId) -> Result<WorkspaceWatcher, StoreError>;
        }
    };
    (
        [$($generics:tt)*] $owner:ty, $inner:ident,
        $(fn $method:ident($($name:ident: $type:ty),*) -> $answer:ty;)*
    ) => {
        #[allow(suspicious_double_ref_op, reason = "the store that a reference owns is its referent")]
        const _: () = {
            use std::time::Duration;

            use $crate::event::{SessionEvent, SessionId, SessionKey, WorkspaceId};
            use $crate::store::{
                Outcome, RowValues, SessionPage, SessionQuery, SessionRow, SessionStore,
                StatusChange, StatusWatcher, StoreError, WorkspaceWatcher,
            };

            #[async_trait::async_trait]
            impl<$($generics)*> SessionStore for $owner {
                fn name(&self) -> &str {
                    self.$inner().name()
                }

                $(async fn $method(&self, $($name: $type),*) -> $answer {
                    self.$inner().$method($($name),*).await
                })*
            }
        };
    };
}
pub(super) use forward;

forward!([S: SessionStore + ?Sized] Arc<S>, deref);
forward!([S: SessionStore + ?Sized] Box<S>, deref);
forward!([S: SessionStore + ?Sized] &S, deref);

const _: fn(&dyn SessionStore) = |store| {
    fn is_send_and_sync<T: Send + Sync + ?Sized>(_: &T) {}
    is_send_and_sync(store);
};
