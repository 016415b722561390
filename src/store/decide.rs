//! What an event does to a row: decided here, once for all drivers, on what they have read under
//! their locks.

use serde_json::{Map, Value};

use super::{DuplicatePolicy, Ignored, RebindPolicy, SessionRow, Status, StoreError};
use crate::event::{EventKind, SessionEvent};

/// What is to be written.
#[derive(Debug)]
pub(super) struct Write {
    /// The row after it; its version counts the change, if there is one.
    pub(super) row: SessionRow,
    /// Whether this is the moment of a connection.
    pub(super) connects: bool,
    /// What is merged into `metadata`.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres", feature = "mysql")),
        allow(dead_code)
    )]
    pub(super) metadata: Map<String, Value>,
}

#[derive(Debug)]
pub(super) enum Verdict {
    Ignore(Ignored),
    Write(Box<Write>),
}

/// Judges an event of ours against the row of its session. `is_applied`: its id was applied before.
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
    let mut metadata = Map::new();
    let mut connects = false;
    next.status = match event.kind() {
        // No sign of life: a session whose code nobody scans may be swept.
        EventKind::QrCodeGenerated(qr) if qr.is_expired() => {
            return Ok(Verdict::Ignore(Ignored::Expired));
        }
        // They come before `session_ready`, and may have waited in a queue meanwhile.
        EventKind::QrCodeGenerated(_) | EventKind::SessionAuthenticated
            if event.seq().is_none() && row.status == Status::Connected =>
        {
            return Ok(Verdict::Ignore(Ignored::OutOfOrder));
        }
        EventKind::QrCodeGenerated(_) => Status::QrScanning,
        EventKind::SessionAuthenticated => Status::Authenticated,
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
            metadata.insert("last_error".into(), failed.error().into());
            metadata.insert("error_message".into(), failed.message().into());
            Status::Error
        }
        EventKind::SessionDisconnected { .. } => Status::Disconnected,
        EventKind::Foreign(_) => return Ok(Verdict::Ignore(Ignored::Foreign)),
    };
    let is_change = next.status != row.status || next.phone != row.phone || !metadata.is_empty();
    // Without an id only the effect tells a repetition.
    if !is_change && event.id().is_none() && event.seq().is_none() {
        return Ok(Verdict::Ignore(Ignored::Repeated));
    }
    next.version += u64::from(is_change);
    Ok(Verdict::Write(Box::new(Write {
        row: next,
        connects,
        metadata,
    })))
}

/// Whether the other rows of the workspace that hold the number and are not given up may all be
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

/// A row that is given up.
pub(super) fn given_up(mut row: SessionRow) -> SessionRow {
    row.status = Status::Failed;
    row.version += 1;
    row
}

/// A row that was given up and is registered again: as new, but its numbering goes on, so that events
/// of its former life are still too old.
pub(super) fn revived(row: SessionRow) -> SessionRow {
    SessionRow {
        last_seq: row.last_seq,
        version: row.version + 1,
        ..SessionRow::new(row.session)
    }
}

/// The metadata with more in it. What is no object, and not just empty, is kept as `previous`.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(super) fn merged(before: Option<&str>, more: Map<String, Value>) -> String {
    let before = before.and_then(|text| serde_json::from_str(text).ok());
    let mut merged = match before {
        Some(Value::Object(object)) => object,
        // An empty array is PHP's empty object.
        None | Some(Value::Null) => Map::new(),
        Some(Value::Array(empty)) if empty.is_empty() => Map::new(),
        Some(other) => Map::from_iter([("previous".to_owned(), other)]),
    };
    merged.extend(more);
    escaped(&Value::Object(merged).to_string())
}

/// The same JSON in ASCII, as PHP writes it: no database takes it for text in another character set.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            escaped.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}
