//! Lists sessions: [`SessionQuery`], [`SessionPage`] and [`Cursor`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::StoreError;
use super::status::{SessionRow, Status};
use crate::event::WorkspaceId;
use crate::text::read_text;

/// The sessions that [`SessionStore::sessions`](super::SessionStore::sessions) lists, and the start of the list.
///
/// Without further settings these are all sessions that are not given up: neither soft-deleted nor
/// `failed`. A service that starts again resumes them.
///
/// ```
/// use whatsapp_phone::event::SessionKey;
/// use whatsapp_phone::store::{SessionQuery, SessionStore, Status, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// for session in ["session-1", "session-2", "session-3"] {
///     store.register(&SessionKey::new(7, session)?).await?;
/// }
/// let mut query = SessionQuery::default().workspace(7).status(Status::QrScanning).limit(2);
/// let mut listed = Vec::new();
/// loop {
///     let page = store.sessions(&query).await?;
///     listed.extend(page.rows);
///     let Some(next) = page.next else { break };
///     query = query.after(next);
/// }
/// assert_eq!(listed.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionQuery {
    workspace: Option<WorkspaceId>,
    /// Empty: every status but `failed`.
    statuses: Vec<Status>,
    after: Option<Cursor>,
    limit: usize,
}

impl Default for SessionQuery {
    fn default() -> Self {
        Self {
            workspace: None,
            statuses: Vec::new(),
            after: None,
            limit: 100,
        }
    }
}

impl SessionQuery {
    /// The most rows of a page.
    pub const MAX_LIMIT: usize = 500;

    /// Lists the sessions of one workspace alone. Default: of all workspaces.
    #[must_use]
    pub fn workspace(mut self, workspace: impl Into<WorkspaceId>) -> Self {
        self.workspace = Some(workspace.into());
        self
    }

    /// Lists sessions with this status; each call adds one. Default: every status but `failed`.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.statuses.push(status);
        self
    }

    /// Begins after the page that returned this cursor. Default: with the first session.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Sets the most rows of a page: 1 to [`MAX_LIMIT`](Self::MAX_LIMIT); others are cut to that.
    /// Default: 100.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows.clamp(1, Self::MAX_LIMIT);
        self
    }

    /// Returns whether the query asks for a session with this row. The row is not soft-deleted; cursor and
    /// limit do not count.
    #[must_use]
    pub fn matches(&self, row: &SessionRow) -> bool {
        let is_there = |id: &WorkspaceId| *id == row.session.workspace_id;
        self.workspace.as_ref().is_none_or(is_there) && self.statuses().any(|one| one == row.status)
    }

    /// Returns the workspace, if the query asks for one.
    #[must_use]
    pub fn workspace_id(&self) -> Option<&WorkspaceId> {
        self.workspace.as_ref()
    }

    /// Returns the statuses that the query asks for.
    pub fn statuses(&self) -> impl Iterator<Item = Status> {
        let is_asked_for = |status: &Status| match self.statuses.is_empty() {
            true => *status != Status::Failed,
            false => self.statuses.contains(status),
        };
        Status::ALL.iter().copied().filter(is_asked_for)
    }

    /// Returns the cursor after which the page begins.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }

    /// Returns the most rows of a page.
    #[must_use]
    pub fn max_rows(&self) -> usize {
        self.limit
    }
}

/// One page of a list of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionPage {
    /// The sessions, in the store's own order, which never changes. A page that is not the last may have
    /// fewer rows than asked for, or none.
    pub rows: Vec<SessionRow>,
    /// The cursor of the next page. `None`: this is the last page.
    pub next: Option<Cursor>,
}

impl SessionPage {
    /// Makes a page, for a store of the caller's.
    #[must_use]
    pub fn new(rows: Vec<SessionRow>, next: Option<Cursor>) -> Self {
        Self { rows, next }
    }
}

/// A place in a list of sessions, which the store understands. As text it can be handed to a client and
/// comes back by `FromStr` or serde. It is the id of a row, so it is a secret if those are.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Cursor(String);

impl Cursor {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    /// Reads 1 to 255 bytes without control characters. The store says whether it knows the place.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            true => Err(StoreError::cursor()),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "a cursor is a string", str::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_from_json_by_the_rule_of_its_text() {
        let cursor: Cursor = serde_json::from_str(r#""row 7""#).unwrap();
        assert_eq!(cursor, "row 7".parse().unwrap());
        assert_eq!(serde_json::to_string(&cursor).unwrap(), r#""row 7""#);
        assert!(serde_json::from_str::<Cursor>(r#""""#).is_err());
    }
}
