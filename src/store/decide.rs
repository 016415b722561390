//! Decides the effect of an event on a row, once for all drivers.

use super::error::StoreError;
use super::options::{DuplicatePolicy, RebindPolicy};
use super::session_store::Ignored;
use super::status::{SessionRow, Status};
use crate::event::{EventKind, Failed, SessionEvent};

/// The changes that an event makes.
#[derive(Debug)]
pub(super) struct Write {
    /// The row after it; its version counts the change, if there is one.
    pub(super) row: SessionRow,
    /// Whether this is the moment of a connection.
    pub(super) connects: bool,
    /// The error of a `session_error`.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
        allow(dead_code)
    )]
    pub(super) error: Option<Failed>,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Ignore(Ignored),
    Write(Box<Write>),
}

/// Judges an event against the row of its session. `is_applied`: its id was applied before.
pub(super) fn judge(
    row: &SessionRow,
    is_applied: bool,
    event: &SessionEvent,
    rebind: RebindPolicy,
) -> Result<Verdict, StoreError> {
    if is_applied {
        return Ok(Verdict::Ignore(Ignored::Repeated));
    }
    if event.seq().is_some_and(|seq| Some(seq) <= row.last_seq) {
        return Ok(Verdict::Ignore(Ignored::OutOfOrder));
    }
    let mut next = SessionRow {
        last_seq: row.last_seq.max(event.seq()),
        ..row.clone()
    };
    let mut error = None;
    let mut connects = false;
    next.status = match event.kind() {
        // A session whose code nobody scans may be swept, so an expired code is not a sign of life.
        EventKind::QrCodeGenerated(qr) if qr.is_expired() => {
            return Ok(Verdict::Ignore(Ignored::Expired));
        }
        // They are sent before `session_ready`, and may have waited in a queue.
        EventKind::QrCodeGenerated(_) | EventKind::SessionAuthenticated
            if event.seq().is_none() && row.status == Status::Connected =>
        {
            return Ok(Verdict::Ignore(Ignored::OutOfOrder));
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
            error = Some(failed.clone());
            Status::Error
        }
        EventKind::SessionDisconnected { .. } => Status::Disconnected,
        EventKind::Foreign(_) => return Ok(Verdict::Ignore(Ignored::Foreign)),
    };
    let is_change = next.status != row.status || next.phone != row.phone || error.is_some();
    // Without an id only the effect tells a repetition.
    if !is_change && event.id().is_none() && event.seq().is_none() {
        return Ok(Verdict::Ignore(Ignored::Repeated));
    }
    next.version += u64::from(is_change);
    Ok(Verdict::Write(Box::new(Write {
        row: next,
        connects,
        error,
    })))
}

/// Checks that the other rows of the workspace that hold the number and are not given up may all be
/// retired.
pub(super) fn retires(
    row: &SessionRow,
    holders: impl IntoIterator<Item = Status>,
    policy: DuplicatePolicy,
) -> Result<(), StoreError> {
    let may_go = |status: Status| {
        policy == DuplicatePolicy::RetireStale
            && matches!(
                status,
                Status::QrScanning | Status::Authenticated | Status::Disconnected
            )
    };
    match holders.into_iter().all(may_go) {
        true => Ok(()),
        false => Err(StoreError::held(&row.session)),
    }
}

/// Returns the row as it is when given up: without its number.
pub(super) fn given_up(mut row: SessionRow) -> SessionRow {
    row.status = Status::Failed;
    row.phone = None;
    row.version += 1;
    row
}

/// Returns a row that was given up and is registered again: as new, but `last_seq` and version go on, so
/// that its earlier events stay too old.
pub(super) fn revived(row: SessionRow) -> SessionRow {
    SessionRow {
        last_seq: row.last_seq,
        version: row.version + 1,
        ..SessionRow::new(row.session)
    }
}
