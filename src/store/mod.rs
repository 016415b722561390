//! Session rows, changed by events and reported to watchers: [`SessionStore`].
//!
//! | driver | keeps sessions in | notices other processes | feature |
//! |---|---|---|---|
//! | [`memory::MemoryStore`] | memory, for tests and one process | never | `events` |
//! | `sqlite::SqliteStore` | a file | by polling | `sqlite` |
//! | `postgres::PostgresStore` | PostgreSQL | by `LISTEN` and by polling | `postgres` |
//! | `mysql::MySqlStore` | MySQL or MariaDB | by polling | `mysql` |
//!
//! [`register`](SessionStore::register) makes a row; then every event of the session goes
//! through [`apply`](SessionStore::apply), one atomic step:
//!
//! 1. An event of an unknown kind is ignored. A session that is unknown, belongs to another workspace or
//!    was given up is an error.
//! 2. An event that was applied before is ignored: by its id, which is kept for 30 days, or by its
//!    `seq`, which is not above the session's last one. A repetition is distinguished from an
//!    [outdated](Ignored::OutOfOrder) event by its `seq`. Without `seq` the order is that of
//!    arrival, except that a late `qr_code_generated` or `session_authenticated` takes nothing back
//!    from a connected session. No sender's clock counts. Without id and `seq`, an event that would change
//!    nothing is a repetition.
//! 3. [`RebindPolicy`] decides about a `session_ready` with another number than the row is bound to,
//!    [`DuplicatePolicy`] about a number that another row of the workspace holds.
//! 4. Row, retired rows, `last_seq` and the event's id are written, together or not at all. Then
//!    watchers are notified.
//!
//! Events that are applied at the same time share a transaction, and its one write to the disk. Each
//! is applied for itself, after those before it, and a refusal stops no other. An event
//! whose row or number is locked by another transaction is retried, at most 0.1 s later, until the
//! deadline; the others continue. If the order of events matters, await each call before the next, or set `seq`.
//!
//! [`end`](SessionStore::end) marks a session as disconnected, [`delete`](SessionStore::delete) gives it up.
//! [`sessions`](SessionStore::sessions) lists sessions in pages, for instance those to resume when a service
//! starts; [`watch_workspace`](SessionStore::watch_workspace) reports the changes of all sessions of a
//! workspace. A store of your own uses [`effect`] and is tested by `testkit::contract::store`.
//!
//! # Tables
//!
//! The SQL stores use the table `whatsapp_accounts` of an existing service, or another one by
//! [`StoreOptions::table`]. When a store is made, it checks every column and index that it relies on, and
//! refuses a table on which it cannot keep its promises; the error names the column and the fix:
//!
//! - `id` (integer, text or `uuid`) as primary key, `workspace_id` (integer, text or `uuid`),
//!   `session_id` (text) with a unique index of its own;
//! - `phone_number`: text of at least 20 characters that may be `NULL`;
//! - `status`: text, or an enumeration of every [`Status`]. If `error` is missing there, `disconnected` is
//!   written, and the store remembers the error; until another program writes the row, reads and watchers
//!   say `error`;
//! - `metadata` (JSON or text), `last_connected_at`, `created_at`, `updated_at`, `deleted_at`.
//!
//! Create an index on `(workspace_id, id)` (in MySQL one on `workspace_id` is the same): the sessions of a
//! workspace are listed and watched by it.
//!
//! Create an index on `(workspace_id, phone_number)`: each event looks up the rows that hold its number.
//! It finds the forms `N`, `+N`, `N@c.us` and `N@s.whatsapp.net`. Other spellings, such as
//! `+62 811-000`, are found by a scan when the store is made and in each sweep: such a row counts from the
//! next scan on.
//!
//! A row that is given up or soft-deleted loses its `phone_number` before another row of the workspace is
//! written with that number, so that unique indexes never count it. Further columns keep their values.
//! `metadata` gets `last_error` and `error_message` if it is a JSON object or `NULL`, and is
//! never changed otherwise; the store keeps the error itself too.
//!
//! The store's own state is in two or three tables beside it: `whatsapp_phone_sessions`,
//! `whatsapp_phone_applied`, and on MySQL `whatsapp_phone_locks`. [`StoreOptions::create_tables`] creates
//! missing ones. Their rows belong to one row of the accounts table, by its id, `session_id` and
//! `created_at`; a new row with an old id starts fresh. Once an hour, while events are applied, and in each
//! sweep a store deletes those whose account is gone, and event ids that are older than 30 days.

pub mod effect;
mod error;
pub mod memory;
mod options;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql")))
)]
pub mod outbox;
mod query;
mod session_store;
mod sink;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod sql;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod watch_workspace;

pub use self::error::{StoreError, StoreErrorKind};
pub use self::options::{APPLIED_IDS_KEPT, DuplicatePolicy, RebindPolicy, RowValues, StoreOptions};
pub use self::query::{Cursor, SessionPage, SessionQuery};
pub use self::session_store::{Ignored, Outcome, SessionStore};
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
pub use self::status::{SessionError, SessionRow, Status, StatusChange};
pub use self::watch::StatusWatcher;
pub use self::watch_workspace::{WorkspaceSender, WorkspaceWatcher};
