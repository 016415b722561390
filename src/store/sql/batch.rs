//! Several events in one transaction: their rows are locked and read, applied in memory one event after the
//! other, and written together. A refusal writes nothing.
//!
//! Locks are tried, never awaited. A row or number whose lock is busy, or that changed before it was
//! locked, fails its event alone, which is retried.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::account::Account;
use super::accounts::{Accounts, Wanted, lock_of, workspace};
use super::database::{Database, Transaction};
use super::driver::Driver;
use super::failure::Failure;
use super::metadata::with_error;
use super::row::{number, spellings};
use crate::event::{EventId, EventKind, SessionEvent, SessionKey};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::RowValues;
use crate::store::session_store::{Ignored, Outcome};
use crate::store::status::{SessionRow, Status, StatusChange};

/// Locks and reads the rows of these sessions, and those that hold their numbers.
pub(super) async fn load<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    wanted: &[&Wanted<'_>],
) -> Result<Accounts, Failure> {
    let database = transaction.database;
    let sessions = wanted.iter().map(|one| {
        let event = one.event.map_or("", EventId::as_str);
        json!({"session": one.session.session_id.as_str(), "event": event})
    });
    let sessions = Value::from_iter(sessions).to_string();
    let numbers = || {
        let numbers = wanted.iter();
        numbers.filter_map(|one| Some((workspace(&one.session), one.number?)))
    };
    let texts = numbers().map(|(workspace, number)| {
        let texts = spellings(number);
        json!({"workspace": workspace, "number": number.reveal(), "texts": texts})
    });
    let texts = Value::from_iter(texts).to_string();
    let parameters = [&*sessions, &*texts];
    let mut locked = None;
    if D::IS_CONCURRENT {
        let look_up = &database.statements.look_up;
        let found: Vec<(String, Option<String>, Option<String>)> =
            transaction.run(look_up, &parameters).await?;
        let held = found.iter().filter_map(|(_, workspace, text)| {
            let number = number(text.as_deref()?)?;
            Some(lock_of(database, workspace.as_deref()?, &number))
        });
        let taken = numbers().map(|(workspace, number)| lock_of(database, workspace, number));
        let locks: BTreeSet<_> = held.chain(taken).collect();
        let ids: BTreeSet<_> = found.iter().map(|(id, ..)| id).collect();
        let (locks, ids) = (json!(locks).to_string(), json!(ids).to_string());
        let free: Vec<String> = transaction
            .run(&database.statements.lock, &[&locks, &ids])
            .await?;
        locked = Some(free.into_iter().collect());
    }
    // All of it may have changed before it was locked.
    let rows = transaction
        .run(&database.statements.load, &parameters)
        .await?;
    Ok(Accounts::new(rows, locked, database.layout.lacks_error))
}

/// Writes the changes. Rows that lose their numbers do so first: others may take them.
pub(super) async fn save<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    accounts: &Accounts,
) -> Result<(), Failure> {
    let Database {
        statements, layout, ..
    } = transaction.database;
    for account in &accounts.all {
        let Some(error) = account.new_error() else {
            continue;
        };
        let id = account.id();
        let before: Vec<Option<String>> = transaction.run(&statements.metadata, &[id]).await?;
        let metadata = with_error(before.first().and_then(Option::as_deref), error);
        if let Some(metadata) = metadata.filter(|metadata| layout.fits("metadata", metadata)) {
            let set = &statements.set_metadata;
            transaction.run::<()>(set, &[id, &metadata]).await?;
        }
    }
    let saves = accounts.all.iter().filter_map(Account::to_save);
    let (cleared, others): (Vec<_>, Vec<_>) = saves.partition(|save| save.clears != 0);
    for saves in [cleared, others] {
        if saves.is_empty() {
            continue;
        }
        let saves = json!(saves).to_string();
        for statement in &statements.save {
            transaction.run::<()>(statement, &[&saves]).await?;
        }
    }
    Ok(())
}

/// Applies events, in order.
pub(super) async fn apply<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    events: &[&SessionEvent],
) -> Result<Vec<Result<Outcome, Failure>>, Failure> {
    let wanted: Vec<_> = events
        .iter()
        .map(|event| {
            let Some(session) = event.session() else {
                return Ok(None);
            };
            Ok(Some(Wanted {
                session: canonical(transaction.database, session)?,
                number: match event.kind() {
                    EventKind::SessionReady(ready) => Some(ready.phone()),
                    _ => None,
                },
                event: event.id(),
            }))
        })
        .collect();
    let valid: Vec<_> = wanted.iter().flatten().flatten().collect();
    let mut accounts = load(transaction, &valid).await?;
    let mut outcomes = Vec::with_capacity(events.len());
    for (event, wanted) in events.iter().zip(wanted) {
        outcomes.push(match wanted {
            Ok(Some(wanted)) => accounts.apply(transaction, event, &wanted.session),
            Ok(None) => Ok(Outcome::Ignored(Ignored::Foreign)),
            Err(error) => Err(error),
        });
    }
    save(transaction, &accounts).await?;
    Ok(outcomes)
}

/// Registers a session.
pub(super) async fn register<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    session: &SessionKey,
    values: &RowValues,
) -> Result<SessionRow, Failure> {
    let database = transaction.database;
    let session = &canonical(database, session)?;
    let wanted = Wanted::of(session.clone());
    let mut accounts = load(transaction, &[&wanted]).await?;
    let is_new = accounts.all.is_empty();
    if is_new {
        check_values(database, values)?;
        let insert = database.templates.insert::<D>(&database.layout, values);
        let mut parameters = vec![workspace(session), session.session_id.as_str()];
        parameters.extend(values.0.iter().map(|(_, value)| value.as_str()));
        transaction.run::<()>(&insert, &parameters).await?;
        accounts = load(transaction, &[&wanted]).await?;
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
    if account.is_deleted || account.stored_status() == Some(Status::Failed) {
        account.register_again();
    } else if is_new {
        account.record();
    } else if row.status.is_waiting() {
        account.touch();
    }
    transaction.report(account);
    let row = account.row.clone()?;
    save(transaction, &accounts).await?;
    Ok(row)
}

/// Gives up a session on request of the program, whatever its status.
pub(super) async fn delete<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    session: &SessionKey,
) -> Result<StatusChange, Failure> {
    let canonical = canonical(transaction.database, session);
    let session = &canonical.map_err(|_| StoreError::unknown(session))?;
    let mut accounts = load(transaction, &[&Wanted::of(session.clone())]).await?;
    let (own, _) = accounts.live(session)?;
    accounts.all[own].give_up();
    let change = transaction.report(&accounts.all[own]);
    save(transaction, &accounts).await?;
    Ok(change.ok_or_else(|| StoreError::unknown(session))?)
}

/// Returns the session's key as the table holds it.
fn canonical<D: Driver>(
    database: &Database<D>,
    session: &SessionKey,
) -> Result<SessionKey, StoreError> {
    let layout = &database.layout;
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

fn check_values<D: Driver>(database: &Database<D>, values: &RowValues) -> Result<(), StoreError> {
    let layout = &database.layout;
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
