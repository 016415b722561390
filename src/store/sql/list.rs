//! Reads sessions, and lists them by keyset: each page begins after the last id of the page before.

use serde_json::{Value, json};

use super::account::Account;
use super::database::Database;
use super::driver::Driver;
use super::row::Row;
use crate::event::SessionId;
use crate::store::error::StoreError;
use crate::store::query::{SessionPage, SessionQuery};
use crate::store::status::Status;

impl<D: Driver> Database<D> {
    /// Reads the rows of sessions, also deleted ones.
    pub(super) async fn find(&self, sessions: &[SessionId]) -> Result<Vec<Account>, StoreError> {
        let sessions = sessions.iter();
        let sessions = sessions.map(|session| json!({"session": session.as_str()}));
        let sessions = Value::from_iter(sessions).to_string();
        let find = &self.statements.find;
        let rows = self.connections.read(find, &[&sessions]).await?;
        Ok(self.accounts(rows))
    }

    fn accounts(&self, rows: Vec<Row>) -> Vec<Account> {
        let rows = rows.into_iter();
        rows.map(|row| Account::new(row, self.layout.lacks_error))
            .collect()
    }

    pub(super) async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage, StoreError> {
        let workspace = query.workspace_id();
        let query = match workspace.and_then(|id| self.layout.workspace(id)) {
            Some(workspace) => &query.clone().workspace(workspace),
            None => query,
        };
        let id = self.layout.column("id");
        let after = query.cursor().map(|cursor| {
            let id = id.canonical(cursor.as_str());
            id.ok_or_else(StoreError::cursor)
        });
        let after = after.transpose()?;
        let (accounts, next) = self.page(query, after.as_deref()).await?;
        let rows = accounts.into_iter().filter_map(|account| {
            let row = account.row;
            let unrecognised = row.as_ref().err();
            if let Some(error) = unrecognised {
                tracing::debug!(store = D::NAME, %error, "a row was skipped");
            }
            row.ok()
        });
        let rows = rows.filter(|row| query.matches(row)).collect();
        let next = next.map(|id| id.parse()).transpose()?;
        Ok(SessionPage::new(rows, next))
    }

    /// Reads the rows of one page, which may show another status than asked for; and the id of the last one,
    /// if there are more.
    pub(super) async fn page(
        &self,
        query: &SessionQuery,
        after: Option<&str>,
    ) -> Result<(Vec<Account>, Option<String>), StoreError> {
        let layout = &self.layout;
        let after = after.unwrap_or(layout.lowest_id());
        let (list, parameters) = match query.workspace_id() {
            None => (&self.statements.list, vec![after]),
            Some(id) if layout.workspace(id).as_ref() != Some(id) => {
                return Ok((Vec::new(), None));
            }
            Some(id) => (&self.statements.list_workspace, vec![after, id.as_str()]),
        };
        let limit = query.max_rows();
        let list = list.filled("limit", &(limit + 1).to_string());
        let list = list.filled("statuses", &stored(query, layout.lacks_error));
        let mut rows: Vec<Row> = self.connections.read(&list, &parameters).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        Ok((self.accounts(rows), next))
    }
}

/// Returns the statuses that the column has for those that a query asks for, as a list of SQL.
fn stored(query: &SessionQuery, lacks_error: bool) -> String {
    let stored = query.statuses().flat_map(|status| match status {
        Status::Error if lacks_error => vec![Status::Error, Status::Disconnected],
        // As which a connected row without a number is shown.
        Status::Authenticated => vec![Status::Authenticated, Status::Connected],
        status => vec![status],
    });
    let stored: Vec<_> = stored.map(|status| format!("'{status}'")).collect();
    stored.join(", ")
}
