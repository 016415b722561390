//! The rows in the file, and their JSON.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use whatsapp_phone::event::{SessionId, SessionKey};
use whatsapp_phone::store::{SessionError, SessionRow};
use whatsapp_phone::{Assurance, Jid, PhoneNumber};

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<SessionId, Entry>,
}

pub(crate) struct Entry {
    pub(crate) row: SessionRow,
    pub(crate) is_deleted: bool,
    /// The last sign of life, in seconds of the clock.
    pub(crate) touched: u64,
    /// The ids of applied events, and when they were applied.
    pub(crate) applied: BTreeMap<String, u64>,
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Entry {
    pub(crate) fn new(row: SessionRow) -> Self {
        Self {
            row,
            is_deleted: false,
            touched: now(),
            applied: BTreeMap::new(),
        }
    }

    fn to_json(&self) -> Value {
        let row = &self.row;
        json!({
            "workspace": row.session.workspace_id.as_str(),
            "session": row.session.session_id.as_str(),
            "status": row.status.as_str(),
            "phone": row.phone.as_ref().map(PhoneNumber::reveal),
            "lid": row.lid.as_ref().map(Jid::reveal),
            "assurance": row.assurance.map(Assurance::as_str),
            "error": row.error.as_ref().map(|error| [&error.code, &error.message]),
            "last_seq": row.last_seq,
            "version": row.version,
            "is_deleted": self.is_deleted,
            "touched": self.touched,
            "applied": self.applied,
        })
    }

    fn from_json(json: &Value) -> Self {
        let text = |name: &str| json[name].as_str();
        let session =
            SessionKey::new(text("workspace").unwrap(), text("session").unwrap()).unwrap();
        let mut row = SessionRow::new(session);
        row.status = text("status").unwrap().parse().unwrap();
        row.phone = text("phone").map(|phone| phone.parse().unwrap());
        row.lid = text("lid").map(|lid| lid.parse().unwrap());
        row.assurance = text("assurance").map(|assurance| assurance.parse().unwrap());
        row.error = json["error"]
            .as_array()
            .map(|error| SessionError::new(error[0].as_str().unwrap(), error[1].as_str().unwrap()));
        row.last_seq = json["last_seq"].as_u64();
        row.version = json["version"].as_u64().unwrap();
        Self {
            row,
            is_deleted: json["is_deleted"].as_bool().unwrap(),
            touched: json["touched"].as_u64().unwrap(),
            applied: serde_json::from_value(json["applied"].clone()).unwrap(),
        }
    }
}

impl Table {
    /// The row of a session that is not given up.
    pub(crate) fn live(&mut self, session: &SessionKey) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&session.session_id)?;
        (!entry.is_deleted && entry.row.session == *session).then_some(entry)
    }

    /// Writes a row that was given up.
    pub(crate) fn give_up(&mut self, row: SessionRow) {
        let entry = self.entries.get_mut(&row.session.session_id);
        let entry = entry.expect("a row that was read");
        (entry.row, entry.is_deleted) = (row, true);
    }

    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let entries: Vec<Value> = serde_json::from_slice(&fs::read(path)?)?;
        let entries = entries.iter().map(Entry::from_json);
        let entries = entries.map(|entry| (entry.row.session.session_id.clone(), entry));
        let entries = entries.collect();
        Ok(Self { entries })
    }

    pub(crate) fn to_json(&self) -> Value {
        self.entries.values().map(Entry::to_json).collect()
    }

    /// Replaces the file as a whole.
    pub(crate) fn write(path: &Path, json: &Value) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(json.to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}
