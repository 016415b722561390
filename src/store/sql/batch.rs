//! The calls that change rows. Several events share one transaction: their rows are locked and read, applied in
//! memory one event after the other, and written together. A refused event writes nothing.
//!
//! Locks are tried, never awaited. A row or number whose lock is busy, or that changed before it was
//! locked, fails its event alone, which is retried.

use super::account::Account;
use super::accounts::{Accounts, Wanted};
use super::database::Database;
use super::driver::Driver;
use super::failure::Failure;
use crate::event::SessionKey;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::RowValues;
use crate::store::session_store::Outcome;
use crate::store::status::{SessionRow, StatusChange};

impl<D: Driver> Database<D> {
    /// Applies events, in order, in one transaction.
    pub(super) async fn apply(
        &self,
        wanted: &mut [Wanted<'_>],
    ) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
        self.find_numbers(wanted).await?;
        let wanted = &*wanted;
        let apply = |accounts: &mut Accounts<'_>| {
            let outcomes = wanted.iter().map(|wanted| accounts.apply(wanted));
            Ok(outcomes.collect())
        };
        self.transact_once(wanted, None, &apply).await
    }

    /// Looks up the numbers with which sessions reconnect: other rows may hold them in another spelling.
    async fn find_numbers(&self, wanted: &mut [Wanted<'_>]) -> Result<(), StoreError> {
        let reconnecting = wanted.iter().filter(|wanted| wanted.reconnects());
        let ids = reconnecting.map(|wanted| wanted.session.session_id.clone());
        let ids: Vec<_> = ids.collect();
        if ids.is_empty() {
            return Ok(());
        }
        let found = self.find(&ids).await?;
        for wanted in wanted.iter_mut().filter(|wanted| wanted.reconnects()) {
            let name = wanted.session.session_id.as_str();
            let own = found.iter().find(|account| account.session() == Some(name));
            wanted.number = own.and_then(|account| account.number.clone());
        }
        Ok(())
    }

    /// Registers a session.
    pub(super) async fn register(
        &self,
        session: &SessionKey,
        values: &RowValues,
    ) -> Result<SessionRow, StoreError> {
        let session = &self.canonical(session)?;
        let wanted = &[Wanted::of(session.clone())];
        let register = |accounts: &mut Accounts<'_>| register(accounts, session);
        let insert = self.templates.insert::<D>(&self.layout, values);
        let mut parameters = vec![session.workspace_id.as_str(), session.session_id.as_str()];
        parameters.extend(values.iter().map(|(_, value)| value));
        let (insert, parameters) = (&insert, &*parameters);
        self.connections
            .until_done(|_| async {
                if let Some(row) = self.transact_once(wanted, None, &register).await? {
                    return Ok(row);
                }
                self.check_values(values)?;
                let insert = Some((insert, parameters));
                let row = self.transact_once(wanted, insert, &register).await?;
                Ok(row.ok_or_else(|| StoreError::taken(session))?)
            })
            .await
    }

    /// Gives up a session on request of the program, whatever its status.
    pub(super) async fn delete(&self, session: &SessionKey) -> Result<StatusChange, StoreError> {
        let unknown = |_| StoreError::unknown(session);
        let session = self.canonical(session).map_err(unknown)?;
        let wanted = [Wanted::of(session.clone())];
        self.transact(&wanted, None, &|accounts| accounts.delete(&session))
            .await
    }

    /// Returns the session's key as the table holds it.
    pub(super) fn canonical(&self, session: &SessionKey) -> Result<SessionKey, StoreError> {
        let layout = &self.layout;
        let invalid = |message: &str| StoreError::new(StoreErrorKind::InvalidEvent, message);
        let Some(workspace_id) = layout.workspace(&session.workspace_id) else {
            let is_integer = layout.column("workspace_id").is_integer();
            let form = if is_integer { "an integer" } else { "a UUID" };
            return Err(invalid(&format!(
                "the event's `workspace_id` must be {form} in this store, as in its table"
            )));
        };
        let ids = [
            ("workspace_id", workspace_id.as_str()),
            ("session_id", session.session_id.as_str()),
        ];
        let mut too_long = ids.iter().filter(|(column, id)| !layout.fits(column, id));
        if let Some((column, _)) = too_long.next() {
            return Err(invalid(&format!(
                "the event's `{column}` is too long for the table's column; use a shorter one"
            )));
        }
        Ok(SessionKey {
            workspace_id,
            ..session.clone()
        })
    }

    fn check_values(&self, values: &RowValues) -> Result<(), StoreError> {
        let layout = &self.layout;
        let given = |column: &str| values.iter().any(|(name, _)| name == column);
        let missing: Vec<_> = layout.required().filter(|column| !given(column)).collect();
        let mut names = values.iter().map(|(name, _)| name);
        let unknown = names.find(|name| layout.find(name).is_none());
        let message = if let Some(name) = unknown {
            format!("the table has no column `{name}` for the value of `register_with`")
        } else if !missing.is_empty() {
            format!(
                "the table needs values for `{}` in a new row; pass them to `register_with`, or make the row yourself",
                missing.join("`, `")
            )
        } else {
            return Ok(());
        };
        Err(StoreError::new(StoreErrorKind::Misconfigured, message))
    }
}

/// Registers a session whose row exists. Returns `None` if it has none.
fn register(
    accounts: &mut Accounts<'_>,
    session: &SessionKey,
) -> Result<Option<SessionRow>, Failure> {
    if accounts.all.is_empty() {
        return Ok(None);
    }
    let name = session.session_id.as_str();
    let is_it = |account: &Account| account.session() == Some(name);
    let Some(own) = accounts.all.iter().position(is_it) else {
        // The database takes another id for equal.
        return Err(StoreError::taken(session).into());
    };
    if !accounts.is_locked(own) {
        return Err(Failure::held(session));
    }
    let account = &mut accounts.all[own];
    let row = account.row.clone()?;
    if row.session != *session {
        return Err(StoreError::taken(session).into());
    }
    if account.is_given_up() {
        account.register_again();
    } else if row.status.is_waiting() {
        account.touch();
    }
    let row = account.row.clone()?;
    accounts.report(own);
    Ok(Some(row))
}
