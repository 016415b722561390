//! Deletes a session by the host's wish.

use super::accounts::Wanted;
use super::batch::{load, save};
use super::database::Transaction;
use super::driver::Driver;
use super::failure::Failure;
use crate::event::SessionKey;
use crate::store::error::StoreError;
use crate::store::status::StatusChange;

/// Gives up a session, whatever its status.
pub(super) async fn delete<D: Driver>(
    transaction: &mut Transaction<'_, D>,
    session: &SessionKey,
) -> Result<StatusChange, Failure> {
    let mut accounts = load(transaction, &[Wanted::of(session)]).await?;
    let own = accounts.own(session);
    let own = own.filter(|&own| !accounts.all[own].is_deleted);
    let own = own.ok_or_else(|| StoreError::unknown(session))?;
    if !accounts.is_locked(own) {
        return Err(Failure::held(session));
    }
    let account = &mut accounts.all[own];
    account.row.clone()?;
    account.give_up();
    let notice = account.notice();
    let notice = notice.ok_or_else(|| StoreError::unknown(session))?;
    let change = notice.1.clone();
    transaction.notices.push(notice);
    save(transaction, &accounts).await?;
    Ok(change)
}
