//! The settings of a store: [`StoreOptions`] and its policies, and [`RowValues`].

use std::fmt;
use std::time::Duration;

use crate::text::stable_names;

/// How long a store keeps the ids of applied events at least: 30 days.
pub const APPLIED_IDS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The table of accounts unless another is named.
pub(super) const DEFAULT_TABLE: &str = "whatsapp_accounts";

/// Decides about other sessions of the workspace that hold the number of a `session_ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum DuplicatePolicy {
    /// Sessions that are not live (`qr_scanning`, `authenticated`, `disconnected`) are given up: status
    /// `failed`, soft-deleted, without the number. A session with another status holds the number, and the
    /// event is refused: `number_already_connected`.
    #[default]
    RetireStale,
    /// Every session that is not given up holds its number, and the event is refused:
    /// `number_already_connected`.
    Refuse,
    /// Nothing: linking an account twice is legal. The table must have no unique index on workspace
    /// and number; a store that creates the table creates none.
    Companions,
}

stable_names!(DuplicatePolicy, "a policy for duplicates", as_str {
    RetireStale = "retire_stale",
    Refuse = "refuse",
    Companions = "companions",
});

/// Decides about a `session_ready` with another number than the session is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum RebindPolicy {
    /// The event is refused: `rebind_refused`. The user scanned with the wrong account.
    #[default]
    Refuse,
    /// The session is bound to the new number.
    Accept,
}

stable_names!(RebindPolicy, "a policy for other numbers", as_str {
    Refuse = "refuse",
    Accept = "accept",
});

/// The settings that all stores share. Each has a default.
///
/// ```
/// use std::time::Duration;
/// use whatsapp_phone::store::{DuplicatePolicy, StoreOptions};
///
/// let options = StoreOptions::default()
///     .duplicates(DuplicatePolicy::Refuse)
///     .deadline(Duration::from_secs(2));
/// assert_eq!(options.call_deadline(), Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    pub(super) duplicates: DuplicatePolicy,
    pub(super) rebind: RebindPolicy,
    pub(super) deadline: Duration,
    pub(super) poll_every: Duration,
    pub(super) table: String,
    pub(super) create_tables: bool,
    pub(super) outboxes: Vec<String>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            duplicates: DuplicatePolicy::default(),
            rebind: RebindPolicy::default(),
            deadline: Duration::from_secs(10),
            poll_every: Duration::from_secs(1),
            table: DEFAULT_TABLE.to_owned(),
            create_tables: false,
            outboxes: Vec::new(),
        }
    }
}

impl StoreOptions {
    /// Sets the policy for duplicates. Default: [`DuplicatePolicy::RetireStale`].
    #[must_use]
    pub fn duplicates(mut self, policy: DuplicatePolicy) -> Self {
        self.duplicates = policy;
        self
    }

    /// Sets the policy for another number in a bound session. Default: [`RebindPolicy::Refuse`].
    #[must_use]
    pub fn rebind(mut self, policy: RebindPolicy) -> Self {
        self.rebind = policy;
        self
    }

    /// Sets how long one call may take, including its waiting for connections and locks. Default: 10 s.
    ///
    /// At most 24 h; a longer one is cut to that.
    ///
    /// A client that freezes in the middle of a transaction holds its locks for at most half of this, and
    /// for at most 5 s (on MySQL and MariaDB in whole seconds, at least one).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        // A database client adds it to the present time, and a server counts it in milliseconds.
        self.deadline = deadline.min(Duration::from_hours(24));
        self
    }

    /// Sets how often watched sessions are read, to notice changes by other processes. From 10 ms to 24 h.
    /// Default: 1 s.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every.clamp(Duration::from_millis(10), Duration::from_hours(24));
        self
    }

    /// Names the table of accounts: ASCII letters, digits and `_`, at most 40. Default:
    /// `whatsapp_accounts`.
    ///
    /// The store's own tables get the same prefix: beside `app_whatsapp_accounts` it uses
    /// `app_whatsapp_phone_sessions`, and beside `accounts` `accounts_whatsapp_phone_sessions`. PostgreSQL
    /// finds the table of accounts by the connection's search path; the others are in the same schema.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Creates missing tables when a store is made. Without it a missing table is an error.
    #[must_use]
    pub fn create_tables(mut self) -> Self {
        self.create_tables = true;
        self
    }

    /// Stores accepted events in this queue of the [outbox](super::outbox) too, in the transaction that
    /// writes the row. Call it again for another queue. Only the SQL stores have an outbox; `MemoryStore`
    /// ignores this.
    #[must_use]
    pub fn outbox(mut self, queue: impl Into<String>) -> Self {
        self.outboxes.push(queue.into());
        self
    }

    /// Returns what [`duplicates`](Self::duplicates) set.
    #[must_use]
    pub fn duplicate_policy(&self) -> DuplicatePolicy {
        self.duplicates
    }

    /// Returns what [`rebind`](Self::rebind) set.
    #[must_use]
    pub fn rebind_policy(&self) -> RebindPolicy {
        self.rebind
    }

    /// Returns what [`deadline`](Self::deadline) set: the longest time of one call.
    #[must_use]
    pub fn call_deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns what [`poll_every`](Self::poll_every) set: the pause between two reads of watched sessions.
    #[must_use]
    pub fn poll_interval(&self) -> Duration {
        self.poll_every
    }

    /// Returns what [`table`](Self::table) set.
    #[must_use]
    pub fn table_name(&self) -> &str {
        &self.table
    }

    /// Returns whether [`create_tables`](Self::create_tables) was called.
    #[must_use]
    pub fn creates_tables(&self) -> bool {
        self.create_tables
    }
}

/// Values for further columns of a new row, for
/// [`register_with`](super::SessionStore::register_with). `Debug` shows the names alone.
///
/// ```
/// use whatsapp_phone::store::RowValues;
///
/// let values = RowValues::default().set("uuid", "8f14e45f-ceea-467f-a8f5-0d1b8b0c5a11").set("created_by", "1");
/// ```
#[derive(Clone, Default)]
pub struct RowValues(pub(super) Vec<(String, String)>);

impl RowValues {
    /// Adds a value, written as the database's text form of the column's type.
    #[must_use]
    pub fn set(mut self, column: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((column.into(), value.into()));
        self
    }

    /// Returns columns and values, in the order of [`set`](Self::set).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(column, value)| (&**column, &**value))
    }
}

impl fmt::Debug for RowValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(column, _)| column))
            .finish()
    }
}
