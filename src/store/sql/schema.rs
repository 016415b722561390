//! Checks the tables before a store uses them: [`Layout`].

use std::collections::HashMap;

use serde::Deserialize;

use crate::event::WorkspaceId;
use crate::phone::PhoneNumber;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::{DEFAULT_TABLE, StoreOptions};
use crate::store::status::Status;

/// The columns of our own tables, beside the accounts.
pub(super) const SESSIONS: &str = "account_id, session_id, created_at, life, last_seq, version, lid, assurance, \
    kept_number, spelled_number, spelling, error, error_message, shows_error, seen_updated_at, seen_at";
const APPLIED: &str = "life, event_id, applied_at";
const OUTBOX: &str =
    "id, queue, order_key, event_id, body, is_dead, attempts, due_at, lease, error, created_at";

const INTEGERS: &str = "tinyint, smallint, mediumint, int, integer, bigint, int2, int4, int8";
const TEXTS: &str =
    "char, varchar, character, character varying, text, tinytext, mediumtext, longtext";

fn is_in(list: &str, name: &str) -> bool {
    list.split(", ").any(|one| one == name)
}

/// The names of the tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub(super) accounts: String,
    pub(super) sessions: String,
    pub(super) applied: String,
    pub(super) locks: String,
    pub(super) outbox: String,
}

impl Tables {
    pub(super) fn of(options: &StoreOptions) -> Result<Self, StoreError> {
        let accounts = &options.table;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if accounts.is_empty() || accounts.len() > 40 || !accounts.chars().all(is_name) {
            let message = "`StoreOptions::table` takes at most 40 ASCII letters, digits and `_`";
            return Err(StoreError::new(StoreErrorKind::Misconfigured, message));
        }
        let prefix = match accounts.strip_suffix(DEFAULT_TABLE) {
            Some(prefix) => prefix.to_owned(),
            None => format!("{accounts}_"),
        };
        Ok(Self {
            accounts: accounts.clone(),
            sessions: format!("{prefix}whatsapp_phone_sessions"),
            applied: format!("{prefix}whatsapp_phone_applied"),
            locks: format!("{prefix}whatsapp_phone_locks"),
            outbox: format!("{prefix}whatsapp_phone_outbox"),
        })
    }

    /// Returns all of them as a JSON array.
    pub(super) fn to_json(&self) -> String {
        let beside = [&self.sessions, &self.applied, &self.locks, &self.outbox];
        let all: Vec<_> = [&self.accounts].into_iter().chain(beside).collect();
        serde_json::json!(all).to_string()
    }

    /// Returns the names for templates; `quote` stands around each name.
    pub(super) fn names(&self, quote: char) -> HashMap<&'static str, String> {
        let quoted = |name: &str| format!("{quote}{name}{quote}");
        HashMap::from([
            ("accounts", quoted(&self.accounts)),
            ("sessions", quoted(&self.sessions)),
            ("applied", quoted(&self.applied)),
            ("locks", quoted(&self.locks)),
            ("outbox", quoted(&self.outbox)),
            ("table", self.accounts.clone()),
            (
                "prefix",
                self.sessions.trim_end_matches("sessions").to_owned(),
            ),
        ])
    }
}

/// One thing that a database says about its tables: a column, a unique index, a constraint, ...
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fact {
    table: String,
    pub(super) column: Option<String>,
    /// The type's name alone, and as it is declared.
    pub(super) kind: String,
    pub(super) declared: String,
    length: Option<u64>,
    nullable: u8,
    has_default: u8,
    /// The values of an enumeration, each in quotes.
    values: Option<String>,
    /// The character set of a text, and its collation.
    pub(super) charset: [Option<String>; 2],
    /// Whether each update of a row sets it to the present time.
    changes: u8,
    /// The columns of a unique index over all rows and whole values; `None` for an expression.
    unique_on: Option<Vec<Option<String>>>,
    check: Option<String>,
    engine: Option<String>,
    schema: Option<String>,
    version: Option<String>,
    autocommit: Option<u8>,
}

impl Fact {
    fn base(&self) -> String {
        let kind = self.kind.to_lowercase();
        let kind = kind.split('(').next().unwrap_or_default().trim();
        kind.trim_end_matches(" unsigned").to_owned()
    }

    pub(super) fn is_integer(&self) -> bool {
        is_in(INTEGERS, &self.base())
    }

    pub(super) fn is_text(&self) -> bool {
        is_in(TEXTS, &self.base())
    }

    fn is_time(&self) -> bool {
        let base = self.base();
        base.starts_with("timestamp") || base.starts_with("datetime")
    }

    pub(super) fn is_uuid(&self) -> bool {
        self.base() == "uuid"
    }

    /// Returns an id in the form in which the database gives it: a UUID in lower case. `None`: the column
    /// cannot hold it; `007` is no integer's name.
    pub(super) fn canonical(&self, id: &str) -> Option<String> {
        if self.is_uuid() {
            let uuid = uuid::Uuid::try_parse(id).ok()?;
            return Some(uuid.to_string());
        }
        let is_number = || id.parse().is_ok_and(|number: i64| number.to_string() == id);
        (!self.is_integer() || is_number()).then(|| id.to_owned())
    }
}

/// A table that the store can work with.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) tables: Tables,
    columns: Vec<Fact>,
    /// Whether `status` cannot hold `error`.
    pub(super) lacks_error: bool,
    /// The PostgreSQL schema.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    pub(super) schema: String,
    /// The server's version, as it says it.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code))]
    pub(super) version: String,
}

impl Layout {
    /// Checks the table of accounts. `None`: it does not exist.
    pub(super) fn check(tables: &Tables, facts: &[Fact]) -> Result<Option<Self>, StoreError> {
        let of_accounts = || facts.iter().filter(|fact| fact.table == tables.accounts);
        let columns = of_accounts().filter(|fact| fact.column.is_some());
        let first =
            |text: fn(&Fact) -> Option<String>| facts.iter().find_map(text).unwrap_or_default();
        let mut layout = Self {
            tables: tables.clone(),
            columns: columns.cloned().collect(),
            lacks_error: false,
            schema: first(|fact| fact.schema.clone()),
            version: first(|fact| fact.version.clone()),
        };
        if layout.columns.is_empty() {
            return Ok(None);
        }
        layout.check_columns()?;
        let checks = of_accounts().filter_map(|fact| fact.check.as_deref());
        layout.lacks_error = layout.check_status(checks)?;
        for (column, fix) in [
            ("id", "make it the primary key"),
            ("session_id", "create one"),
        ] {
            let mut indexes = of_accounts().filter_map(|fact| fact.unique_on.as_deref());
            let is_its_own = |on: &[Option<String>]| matches!(on, [Some(on)] if on == column);
            if !indexes.any(is_its_own) {
                return Err(layout.refuse(column, "has no unique index of its own", fix));
            }
        }
        let mut engines = of_accounts().filter_map(|fact| fact.engine.as_ref());
        let message = if let Some(engine) =
            engines.find(|engine| !engine.eq_ignore_ascii_case("InnoDB"))
        {
            format!(
                "the table `{}` has the engine {engine}, which has no transactions; run ALTER TABLE ... ENGINE = InnoDB",
                tables.accounts
            )
        } else if facts.iter().any(|fact| fact.autocommit == Some(0)) {
            "the pool's connections have autocommit off, so their reads would show old rows; remove `SET autocommit = 0` from the pool or the server".to_owned()
        } else {
            return Ok(Some(layout));
        };
        Err(StoreError::new(StoreErrorKind::Misconfigured, message))
    }

    fn check_columns(&self) -> Result<(), StoreError> {
        let is_key = |column: &Fact| column.is_integer() || column.is_text() || column.is_uuid();
        let is_json = |column: &Fact| column.is_text() || column.base().starts_with("json");
        let is_status = |column: &Fact| column.is_text() || column.values.is_some();
        type Test<'a> = &'a dyn Fn(&Fact) -> bool;
        let needed: [(&str, Test<'_>, &str, bool); 10] = [
            ("id", &is_key, "an integer, text or uuid", false),
            ("workspace_id", &is_key, "an integer, text or uuid", false),
            ("session_id", &Fact::is_text, "text", false),
            ("phone_number", &Fact::is_text, "text", true),
            ("status", &is_status, "text or an enumeration", false),
            ("metadata", &is_json, "json or text", false),
            ("last_connected_at", &Fact::is_time, "a timestamp", true),
            ("created_at", &Fact::is_time, "a timestamp", false),
            ("updated_at", &Fact::is_time, "a timestamp", false),
            ("deleted_at", &Fact::is_time, "a timestamp", true),
        ];
        for (name, is_right, what, must_be_nullable) in needed {
            let Some(column) = self.find(name) else {
                let fix = "add it, or name another table by `StoreOptions::table`";
                return Err(self.refuse(name, "is missing", fix));
            };
            if !is_right(column) {
                let problem = format!("is of type {}", column.declared);
                return Err(self.refuse(name, &problem, &format!("it must be {what}")));
            }
            if must_be_nullable && column.nullable == 0 {
                return Err(self.refuse(name, "is NOT NULL", "let it be NULL"));
            }
        }
        if self.column("created_at").changes != 0 {
            let fix = "remove its ON UPDATE: a row is known by its time of creation";
            return Err(self.refuse("created_at", "changes with each update of a row", fix));
        }
        let digits = PhoneNumber::MAX_DIGITS;
        if !self.fits("phone_number", &"0".repeat(digits)) {
            let problem = format!("holds fewer than {digits} characters, so numbers may not fit");
            return Err(self.refuse("phone_number", &problem, "make it varchar(32)"));
        }
        Ok(())
    }

    /// Checks that the column takes every status but `error`; says whether it lacks that.
    fn check_status<'a>(
        &'a self,
        checks: impl Iterator<Item = &'a str>,
    ) -> Result<bool, StoreError> {
        let names = |list: &str, status: Status| list.contains(&format!("'{status}'"));
        // A constraint that names several enumerates them; that of our own table names `connected` alone.
        let enumerates = |check: &&str| {
            let others = Status::ALL.iter().filter(|&&one| one != Status::Connected);
            others.filter(|&&one| names(check, one)).count() > 1
        };
        let values = self.column("status").values.as_deref();
        let lists: Vec<_> = checks.filter(enumerates).chain(values).collect();
        let lacks = |status: &Status| {
            !self.fits("status", status.as_str()) || !lists.iter().all(|list| names(list, *status))
        };
        let needed = Status::ALL.iter().filter(|&&one| one != Status::Error);
        match needed.copied().find(lacks) {
            Some(missing) => {
                let problem = format!("cannot hold `{missing}`");
                Err(self.refuse("status", &problem, "add it, or make the column varchar(32)"))
            }
            None => Ok(lacks(&Status::Error)),
        }
    }

    /// Checks our own tables; names one that is missing.
    pub(super) fn check_beside(
        &self,
        facts: &[Fact],
        has_locks: bool,
        has_outbox: bool,
    ) -> Result<Option<String>, StoreError> {
        let locks = if has_locks { "id" } else { "" };
        let outbox = if has_outbox { OUTBOX } else { "" };
        let tables = [
            (&self.tables.sessions, SESSIONS),
            (&self.tables.applied, APPLIED),
            (&self.tables.locks, locks),
            (&self.tables.outbox, outbox),
        ];
        for (table, needed) in tables {
            let columns = facts.iter().filter(|fact| fact.table == *table);
            let columns: Vec<_> = columns.filter_map(|fact| fact.column.as_deref()).collect();
            let mut needed = needed.split(", ").filter(|name| !name.is_empty());
            let lacks = needed.find(|needed| !columns.contains(needed));
            match lacks {
                Some(_) if columns.is_empty() => return Ok(Some(table.clone())),
                Some(column) => {
                    let message = format!(
                        "the table `{table}` cannot be used: column `{column}` is missing; drop the table and make the store with `StoreOptions::create_tables`"
                    );
                    return Err(StoreError::new(StoreErrorKind::Misconfigured, message));
                }
                None => {}
            }
        }
        Ok(None)
    }

    /// Returns an id below all others.
    pub(super) fn lowest_id(&self) -> &'static str {
        match self.column("id") {
            id if id.is_integer() => "-1",
            id if id.is_text() => "",
            _ => "00000000-0000-0000-0000-000000000000",
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Fact> {
        let mut columns = self.columns.iter();
        columns.find(|column| column.column.as_deref() == Some(name))
    }

    /// Returns a column that was checked.
    pub(super) fn column(&self, name: &str) -> &Fact {
        self.find(name).unwrap_or(&self.columns[0])
    }

    /// Returns the columns that a new row needs values for.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        const OURS: &str = "workspace_id, session_id, status, created_at, updated_at";
        let required = self.columns.iter();
        let required = required.filter(|column| column.nullable == 0 && column.has_default == 0);
        let names = required.filter_map(|column| column.column.as_deref());
        names.filter(|name| !is_in(OURS, name))
    }

    /// Returns a workspace's id as the table holds it. `None`: the table cannot hold it.
    pub(super) fn workspace(&self, id: &WorkspaceId) -> Option<WorkspaceId> {
        let id = self.column("workspace_id").canonical(id.as_str())?;
        WorkspaceId::new(&id).ok()
    }

    /// Returns whether a text fits a column.
    pub(super) fn fits(&self, column: &str, text: &str) -> bool {
        let length = self.column(column).length;
        length.is_none_or(|length| text.chars().count() as u64 <= length)
    }

    fn refuse(&self, column: &str, problem: &str, fix: &str) -> StoreError {
        let message = format!(
            "the table `{}` cannot be used: column `{column}` {problem}; {fix}",
            self.tables.accounts
        );
        StoreError::new(StoreErrorKind::Misconfigured, message)
    }
}
