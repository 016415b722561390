//! The effect of an event on rows, without storage: for writers of stores.
//!
//! A store that uses [`apply_event`] and [`retire_holders`] follows the rules of the
//! [module above](super). In one atomic step it reads the event's row and the rows that hold its number,
//! asks these functions, and writes the rows that they return.
//!
//! ```
//! use whatsapp_phone::PhoneNumber;
//! use whatsapp_phone::event::{SessionEvent, SessionKey};
//! use whatsapp_phone::store::effect::{Effect, apply_event, retire_holders};
//! use whatsapp_phone::store::{SessionRow, Status, StoreOptions};
//!
//! let options = StoreOptions::default();
//! let row = SessionRow::new(SessionKey::new(7, "new")?);
//! let phone: PhoneNumber = "628110000041".parse()?;
//! let event = SessionEvent::session_ready(row.session.clone(), phone.clone());
//! let Effect::Write(write) = apply_event(&row, false, &event, options.rebind_policy())? else {
//!     panic!("nothing like it was applied before");
//! };
//! assert_eq!(write.row.status, Status::Connected);
//!
//! let mut old = SessionRow::new(SessionKey::new(7, "old")?);
//! (old.status, old.phone) = (Status::Disconnected, Some(phone));
//! let retired = retire_holders(&write.row, vec![old], options.duplicate_policy())?;
//! assert_eq!((retired[0].status, &retired[0].phone), (Status::Failed, &None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::cmp::Ordering;

use super::error::StoreError;
use super::options::{DuplicatePolicy, RebindPolicy};
use super::session_store::Ignored;
use super::status::{SessionError, SessionRow, Status};
use crate::event::{EventKind, Failed, SessionEvent};

/// The result of [`apply_event`]: whether a store writes the row or ignores the event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing is written.
    Ignore(Ignored),
    /// The row is written, and the event's id noted, in one step.
    Write(Box<RowWrite>),
}

/// The changes that an event makes to the row of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowWrite {
    /// The row after the event. Its version is greater than before if its status, number or error changed.
    pub row: SessionRow,
    /// Whether the event connects the session: then [`retire_holders`] decides about the rows that hold
    /// its number, and `last_connected_at` is now.
    pub connects: bool,
    /// The whole error of a `session_error`, for a store that writes it to `metadata` too.
    pub error: Option<Failed>,
}

/// Applies an event to the row of its session, which is not given up and has the event's key.
/// `is_applied` says that the event's id was applied before. A repetition with a `seq` below the row's last
/// one is out of order: later events have replaced its effect.
///
/// # Errors
///
/// `rebind_refused`.
pub fn apply_event(
    row: &SessionRow,
    is_applied: bool,
    event: &SessionEvent,
    rebind: RebindPolicy,
) -> Result<Effect, StoreError> {
    let order = event.seq().map(|seq| Some(seq).cmp(&row.last_seq));
    match order {
        Some(Ordering::Less) => return Ok(Effect::Ignore(Ignored::OutOfOrder)),
        _ if is_applied => return Ok(Effect::Ignore(Ignored::Repeated)),
        Some(Ordering::Equal) => return Ok(Effect::Ignore(Ignored::OutOfOrder)),
        Some(Ordering::Greater) | None => {}
    }
    let mut next = SessionRow {
        last_seq: row.last_seq.max(event.seq()),
        error: None,
        ..row.clone()
    };
    let mut error = None;
    let mut connects = false;
    next.status = match event.kind() {
        // A session whose code is never scanned may be swept, so an expired code is not a sign of life.
        EventKind::QrCodeGenerated(qr) if qr.is_expired() => {
            return Ok(Effect::Ignore(match row.status {
                Status::Connected => Ignored::OutOfOrder,
                _ => Ignored::Expired,
            }));
        }
        // They are sent before `session_ready`, and may have waited in a queue.
        EventKind::QrCodeGenerated(_) | EventKind::SessionAuthenticated
            if event.seq().is_none() && row.status == Status::Connected =>
        {
            return Ok(Effect::Ignore(Ignored::OutOfOrder));
        }
        EventKind::QrCodeGenerated(_) => Status::QrScanning,
        EventKind::SessionReconnected if row.status == Status::Connected => Status::Connected,
        EventKind::SessionReconnected
            if row.status == Status::Disconnected && row.phone.is_some() =>
        {
            connects = true;
            Status::Connected
        }
        // In any other state the row's number may be a former account's.
        EventKind::SessionReconnected | EventKind::SessionAuthenticated => Status::Authenticated,
        EventKind::SessionReady(ready) => {
            let is_other = row
                .phone
                .as_ref()
                .is_some_and(|bound| bound != ready.phone());
            if is_other && rebind == RebindPolicy::Refuse {
                return Err(StoreError::rebind(&row.session));
            }
            connects = true;
            if is_other {
                next.lid = None;
            }
            next.phone = Some(ready.phone().clone());
            next.lid = ready.lid().cloned().or(next.lid);
            next.assurance = ready.assurance();
            Status::Connected
        }
        EventKind::SessionError(failed) => {
            next.error = Some(SessionError::from(failed));
            error = Some(failed.clone());
            Status::Error
        }
        EventKind::SessionDisconnected { .. } => Status::Disconnected,
        EventKind::Foreign(_) => return Ok(Effect::Ignore(Ignored::Foreign)),
    };
    let is_change = next.status != row.status || next.phone != row.phone || error.is_some();
    // Without an id only the effect shows a repetition.
    if !is_change && event.id().is_none() && event.seq().is_none() {
        return Ok(Effect::Ignore(Ignored::Repeated));
    }
    next.version += u64::from(is_change);
    Ok(Effect::Write(Box::new(RowWrite {
        row: next,
        connects,
        error,
    })))
}

/// Returns the rows that are given up for a session that connects, as they are then.
///
/// `row` is that of the session; `holders` are the other rows of its workspace that hold its number and
/// are not given up.
///
/// # Errors
///
/// `number_already_connected`: one of them may not be given up by this policy.
pub fn retire_holders(
    row: &SessionRow,
    holders: Vec<SessionRow>,
    policy: DuplicatePolicy,
) -> Result<Vec<SessionRow>, StoreError> {
    if policy == DuplicatePolicy::Companions {
        return Ok(Vec::new());
    }
    check_retirable(row, holders.iter().map(|holder| holder.status), policy)?;
    Ok(holders.into_iter().map(given_up).collect())
}

/// Checks that the other rows of the workspace that hold the number and are not given up may all be
/// retired.
pub(super) fn check_retirable(
    row: &SessionRow,
    holders: impl IntoIterator<Item = Status>,
    policy: DuplicatePolicy,
) -> Result<(), StoreError> {
    let is_retirable = |status: Status| {
        policy == DuplicatePolicy::RetireStale
            && matches!(
                status,
                Status::QrScanning | Status::Authenticated | Status::Disconnected
            )
    };
    match holders.into_iter().all(is_retirable) {
        true => Ok(()),
        false => Err(StoreError::held(&row.session)),
    }
}

/// Returns a row as it is when given up: `failed`, and without its number. The store soft-deletes it.
#[must_use]
pub fn given_up(mut row: SessionRow) -> SessionRow {
    row.status = Status::Failed;
    row.phone = None;
    row.error = None;
    row.version += 1;
    row
}

/// Returns a row that was given up and is registered again: as new, but `last_seq` and version continue, so
/// that its earlier events stay too old.
#[must_use]
pub fn registered_again(row: SessionRow) -> SessionRow {
    SessionRow {
        last_seq: row.last_seq,
        version: row.version + 1,
        ..SessionRow::new(row.session)
    }
}
