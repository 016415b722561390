//! Events as JSON.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::copies::take_copies;
use super::{EventId, EventKind, Failed, Foreign, QrCode, Ready, SessionEvent, SessionKey};
use crate::codes;
use crate::failure::MAX_TEXT;
use crate::jid::Jid;
use crate::phone::{PhoneNumber, PhoneNumberError};
use crate::text::clean;

/// Longest JSON of an event, in bytes.
pub(crate) const MAX_EVENT: usize = 64 << 10;

/// The reason why a text is not an event. Never contains the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// More than [`SessionEvent::MAX_LEN`] bytes.
    #[error("the event has {bytes} bytes; the limit is 65536")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Not JSON at all.
    #[error("the event is not JSON: invalid at line {line}, column {column}")]
    NotJson {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// A field is missing, or of another type or range.
    #[error("the event's `{field}` must be {rule}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// The expected form.
        rule: &'static str,
    },
    /// The number of a `session_ready` is invalid.
    #[error("the `phone_number` of a session_ready is invalid")]
    Phone(#[source] PhoneNumberError),
    /// The number of a `session_ready` is the account's LID without its server.
    #[error(
        "the `phone_number` of a session_ready is the account's LID, which is not a phone number"
    )]
    LidAsNumber,
}

impl EventError {
    /// Returns the stable code: `invalid_event`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        codes::INVALID_EVENT
    }
}

impl From<std::convert::Infallible> for EventError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

const fn field(field: &'static str, rule: &'static str) -> EventError {
    EventError::Field { field, rule }
}

type Object = Map<String, Value>;

impl SessionEvent {
    /// Reads an event of this crate or of another sender.
    ///
    /// Fields that are not known are kept and written again by [`to_json`](Self::to_json), and so is
    /// an `occurred_at`, `version`, `lid` or `assurance` that cannot be read, and an `id`, `seq`, `status`,
    /// `error`, `code`, `message` or `reason` of another JSON type than this crate writes: nothing is
    /// decided by them. An event without `id` counts as a repetition if it would change nothing. One without
    /// `seq` is ordered by its arrival.
    ///
    /// # Errors
    ///
    /// If the text is too long, or not a JSON object with an `event`; if an event of a known kind names no
    /// session or lacks a required field; if the number of a `session_ready` is missing,
    /// null, `"null"`, `"undefined"`, a LID, or breaks another rule of [`PhoneNumber`].
    pub fn from_json(json: &[u8]) -> Result<Self, EventError> {
        if json.len() > MAX_EVENT {
            return Err(EventError::TooLarge { bytes: json.len() });
        }
        Self::from_stored(json)
    }

    /// Reads an event of any length: one that was accepted is longer as it is stored, in ASCII.
    pub(crate) fn from_stored(json: &[u8]) -> Result<Self, EventError> {
        let read = serde_json::from_slice(json).map_err(|error| EventError::NotJson {
            line: error.line(),
            column: error.column(),
        })?;
        let Value::Object(mut beside) = read else {
            return Err(field("event", "a string, in a JSON object"));
        };
        let Some(Value::String(name)) = beside.remove("event") else {
            return Err(field("event", "a string"));
        };
        // Events of unknown kinds are passed on unchanged, also if their `id` is not valid here.
        let is_ours = NAMES.contains(&&*name);
        let id = match beside.remove("id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if is_ours || EventId::new(&id).is_ok() => {
                Some(EventId::new(&id)?)
            }
            Some(other) => {
                beside.insert("id".into(), other);
                None
            }
        };
        let seq = |value: &Value| value.as_u64().filter(|seq| *seq <= Self::MAX_SEQ);
        let seq = match beside.remove("seq") {
            None | Some(Value::Null) => None,
            Some(value) => match seq(&value) {
                None if is_ours && value.is_number() => {
                    return Err(field("seq", "an integer from 0 to 9007199254740991"));
                }
                None => {
                    beside.insert("seq".into(), value);
                    None
                }
                known => known,
            },
        };
        let occurred_at = take_if(&mut beside, "occurred_at", |value| {
            humantime::parse_rfc3339(value.as_str()?).ok()
        });
        let version = take_if(&mut beside, "version", Value::as_u64);
        let data = beside.remove("data");
        let (session, kind, mut within, is_in_qr_code) = read_data(name, data)?;
        let copies = match &kind {
            EventKind::QrCodeGenerated(qr) => take_copies(qr, &mut beside, &mut within),
            _ => None,
        };
        Ok(Self {
            id,
            outbox_id: None,
            occurred_at,
            seq,
            version,
            session,
            kind,
            beside,
            within,
            copies,
            is_in_qr_code,
        })
    }

    /// Writes the event. This reveals the number, and the QR code unless it is forgotten.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    fn to_value(&self) -> Value {
        let mut event = self.beside.clone();
        let copies = self.copies.as_ref().and_then(QrCode::reveal);
        let copies = copies.and_then(|json| serde_json::from_str(&json).ok());
        let (beside, within): (Object, Object) = copies.unwrap_or_default();
        event.extend(beside);
        event.insert("event".into(), self.name().into());
        if let Some(id) = &self.id {
            event.insert("id".into(), id.as_str().into());
        }
        if let Some(at) = self.occurred_at {
            let at = humantime::format_rfc3339(at).to_string();
            event.insert("occurred_at".into(), at.into());
        }
        if let Some(seq) = self.seq {
            event.insert("seq".into(), seq.into());
        }
        if let Some(version) = self.version {
            event.insert("version".into(), version.into());
        }
        if let Some(data) = self.write_data(within) {
            event.insert("data".into(), data);
        }
        Value::Object(event)
    }

    fn write_data(&self, copies: Object) -> Option<Value> {
        if let EventKind::Foreign(foreign) = &self.kind {
            return foreign.data.clone();
        }
        let mut data = self.within.clone();
        data.extend(copies);
        if let Some(session) = &self.session {
            data.insert("workspace_id".into(), session.workspace_id.write());
            data.insert("session_id".into(), session.session_id.write());
        }
        // A field of another type than ours was kept.
        let mut put = |key: &str, value: Value| {
            data.entry(key).or_insert(value);
        };
        match &self.kind {
            EventKind::QrCodeGenerated(qr) => {
                put(qr_field(self.is_in_qr_code), json!(qr.reveal()));
                if qr.is_expired() {
                    put("expired", true.into());
                }
            }
            EventKind::SessionReady(ready) => {
                put("phone_number", json!(ready.phone()));
                put("status", "connected".into());
                if let Some(lid) = ready.lid() {
                    put("lid", json!(lid));
                }
                if let Some(assurance) = ready.assurance() {
                    put("assurance", json!(assurance));
                }
            }
            EventKind::SessionError(failed) => {
                put("error", failed.error().into());
                put("message", failed.message().into());
                if let Some(code) = failed.code() {
                    put("code", code.into());
                }
            }
            // The Node service omits it too.
            EventKind::SessionDisconnected { reason } if reason.is_empty() => {}
            EventKind::SessionDisconnected { reason } => put("reason", reason.as_str().into()),
            EventKind::SessionAuthenticated
            | EventKind::SessionReconnected
            | EventKind::Foreign(_) => {}
        }
        Some(Value::Object(data))
    }
}

impl Serialize for SessionEvent {
    /// As [`to_json`](SessionEvent::to_json): it reveals the number and the QR code.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SessionEvent {
    /// As [`from_json`](SessionEvent::from_json).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(value.to_string().as_bytes()).map_err(D::Error::custom)
    }
}

/// The events that are ours to read.
const NAMES: [&str; 6] = [
    "qr_code_generated",
    "session_authenticated",
    "session_ready",
    "session_error",
    "session_reconnected",
    "session_disconnected",
];

/// The session, the kind, the fields of others, and whether a QR code was in `qr_code`.
type Read = (Option<SessionKey>, EventKind, Object, bool);

fn read_data(name: String, data: Option<Value>) -> Result<Read, EventError> {
    if !NAMES.contains(&&*name) {
        let session = data.as_ref().and_then(Value::as_object).and_then(session);
        let kind = EventKind::Foreign(Foreign { name, data });
        return Ok((session, kind, Object::new(), false));
    }
    let Some(Value::Object(mut data)) = data else {
        return Err(field("data", "an object"));
    };
    let session = SessionKey::read(&mut data)?;
    let is_text = |field: &str| data.get(field).is_some_and(Value::is_string);
    let is_in_qr_code = name == "qr_code_generated"
        && !is_text("qr")
        && (is_text("qr_code")
            || data.get("qr").is_none_or(Value::is_null) && data.contains_key("qr_code"));
    let kind = match &*name {
        "qr_code_generated" => EventKind::QrCodeGenerated(qr_code(&mut data, is_in_qr_code)?),
        "session_authenticated" => EventKind::SessionAuthenticated,
        "session_reconnected" => EventKind::SessionReconnected,
        "session_ready" => EventKind::SessionReady(ready(&mut data)?),
        "session_error" => {
            let error = take_text(&mut data, "error");
            let code = take_text(&mut data, "code");
            let message = take_text(&mut data, "message").unwrap_or_default();
            let error = error.as_deref().unwrap_or(Failed::EXTRACTION);
            EventKind::SessionError(Failed::read(error, code.as_deref(), &message))
        }
        _ => {
            let reason = take_if(&mut data, "reason", |value| {
                value
                    .as_str()
                    .filter(|it| !it.is_empty())
                    .map(str::to_owned)
            });
            let reason = clean(&reason.unwrap_or_default(), MAX_TEXT);
            EventKind::SessionDisconnected { reason }
        }
    };
    Ok((Some(session), kind, data, is_in_qr_code))
}

/// Returns the session that an event of others names, if it does.
fn session(data: &Object) -> Option<SessionKey> {
    let mut ids = Object::new();
    for id in ["workspace_id", "session_id"] {
        ids.insert(id.into(), data.get(id)?.clone());
    }
    SessionKey::read(&mut ids).ok()
}

impl SessionKey {
    fn read(data: &mut Object) -> Result<Self, EventError> {
        use super::{SessionId, WorkspaceId};
        Ok(Self {
            workspace_id: WorkspaceId::read(data.remove("workspace_id").as_ref())?,
            session_id: SessionId::read(data.remove("session_id").as_ref())?,
        })
    }
}

const fn qr_field(is_in_qr_code: bool) -> &'static str {
    if is_in_qr_code { "qr_code" } else { "qr" }
}

fn qr_code(data: &mut Object, is_in_qr_code: bool) -> Result<QrCode, EventError> {
    let name = qr_field(is_in_qr_code);
    let invalid = || {
        field(
            name,
            "a string of 1 to 49152 bytes, or null without a payload",
        )
    };
    let is_expired = take_if(data, "expired", |value| value.as_bool().filter(|it| *it));
    let qr = match data.remove(name) {
        None | Some(Value::Null) => QrCode::unknown(),
        Some(Value::String(qr)) => QrCode::new(qr).map_err(|_| invalid())?,
        Some(_) => return Err(invalid()),
    };
    Ok(match is_expired {
        Some(_) => QrCode::expired(),
        None => qr,
    })
}

fn ready(data: &mut Object) -> Result<Ready, EventError> {
    let Some(Value::String(phone)) = data.remove("phone_number") else {
        return Err(field("phone_number", "a string of digits, in quotes"));
    };
    if take_text(data, "status").is_some_and(|status| status != "connected") {
        return Err(field("status", "`connected` in a session_ready"));
    }
    let mut ready = Ready::from(PhoneNumber::parse(&phone).map_err(EventError::Phone)?);
    let lid = take_if(data, "lid", |value| {
        Jid::parse(value.as_str()?)
            .ok()
            .filter(|lid| lid.server().has_lids())
    });
    if let Some(lid) = lid {
        if lid.user() == ready.phone().reveal() {
            return Err(EventError::LidAsNumber);
        }
        ready = ready.with_lid(lid);
    }
    match take_if(data, "assurance", |value| value.as_str()?.parse().ok()) {
        Some(assurance) => Ok(ready.with_assurance(assurance)),
        None => Ok(ready),
    }
}

/// Takes out a field that can be read; any other stays.
fn take_if<T>(from: &mut Object, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    let found = read(from.get(key)?)?;
    from.remove(key);
    Some(found)
}

fn take_text(from: &mut Object, key: &str) -> Option<String> {
    take_if(from, key, |value| value.as_str().map(str::to_owned))
}
