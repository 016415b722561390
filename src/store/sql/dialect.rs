//! [`Dialect`]: the SQL of one database, as texts for templates that all databases share.
//!
//! A template has `{names}`, whose texts may have names too, and parameters `?1`, `?2`, ... which a dialect
//! writes its own way. The texts are in `shared.sql` and in each dialect's `statements.sql`.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::schema::{Fact, Layout, SESSIONS, Tables};
use crate::store::options::{APPLIED_IDS_KEPT, DuplicatePolicy, RowValues, StoreOptions};

/// The locks of numbers are numbered below this.
pub(super) const LOCK_COUNT: u64 = 4096;

/// How many rows one transaction of a scan changes at most.
pub(super) const MAX_SCANNED: usize = 250;

/// How many events one transaction forgets at most.
pub(super) const MAX_PRUNED: u64 = 5000;

/// Statements exchange JSON texts: any number of rows is one statement, each parameter is a JSON array, and
/// each row of the answer is a JSON object.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: SqlStr,
    /// The number of the parameter at each placeholder.
    pub(super) order: Vec<usize>,
}

impl Statement {
    /// Fills in the text of a name, which differs from call to call.
    pub(super) fn filled(&self, name: &str, text: &str) -> Self {
        let sql = self.sql.as_str().replace(&format!("{{{name}}}"), text);
        Self {
            sql: AssertSqlSafe(sql).into_sql_str(),
            order: self.order.clone(),
        }
    }
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The statements over one table of accounts.
        #[derive(Debug)]
        pub(super) struct Statements {
            $($(#[$doc])* pub(super) $name: Statement,)*
            /// `[{session, event}]`, `[{workspace, number, texts}]`: lock and read the rows of these
            /// sessions, and the rows that hold one of these numbers or the same text as one of those; see
            /// [`Loaded`](super::accounts::Loaded).
            pub(super) load: Vec<Statement>,
            /// Write rows; see [`Save`](super::row::Save).
            pub(super) save: Vec<Statement>,
        }

        impl Templates {
            /// Returns the statements over one table of accounts.
            pub(super) fn statements<D: Dialect>(&self) -> Statements {
                Statements {
                    $($name: self.statement(concat!("{", stringify!($name), "}")),)*
                    load: D::load(self),
                    save: D::save(self),
                }
            }
        }
    };
}

statements! {
    /// Begins and ends a transaction, in one round trip each.
    begin,
    commit,
    rollback,
    /// `[{session}]`: the rows of these sessions, deleted or not.
    find,
    /// `[{session}]`: the metadata of these sessions; and `[{id, metadata}]`: writes it.
    metadata,
    save_metadata,
    /// `id`: the first `{limit}` rows after this one that are not deleted and have one of `{statuses}`, which
    /// are filled in for each call; and `id`, workspace: those of a workspace.
    list,
    list_workspace,
    /// `id`: the first [`MAX_SCANNED`] rows after this one that wait for a scan, or hold a number in an unusual spelling.
    scan,
    /// `id`: the first [`MAX_SCANNED`] of our rows after this one whose account is gone or is another one.
    orphans,
    /// `[id]`: deletes our rows with these ids whose account is gone or is another one.
    delete_orphans,
    /// Forgets at most [`MAX_PRUNED`] events that were applied more than [`APPLIED_IDS_KEPT`] ago; gives their count.
    prune,
    /// `[{n, queue, key, event, body}]`: stores events in outboxes, in the order of `n`, unless they are there.
    outbox_put,
    /// queue, order key: the first waiting event of each of the next [`MAX_SCANNED`] order keys, as
    /// [`Head`](crate::store::outbox::table::Head).
    outbox_heads,
    /// `[id]`: locks those of these events that are due, and gives their [`Job`](crate::store::outbox::table::Job);
    /// with `[id]`, lease, milliseconds: leases them.
    outbox_lock,
    outbox_lease,
    /// `[{id, lease}]`: deletes those of these events that still have this lease; and
    /// `[{id, lease, dead, delay, error}]`: makes them due later, or dead letters.
    outbox_done,
    outbox_failed,
    /// queue: the [`Count`](crate::store::outbox::table::Count) of its events.
    outbox_count,
    /// queue: how many of its events wait, up to `{limit}`, which is filled in for each call.
    outbox_waiting,
    /// queue, order key: the first of its events that wait; and queue, `id`: one that waits and has a smaller id.
    outbox_first,
    outbox_before,
    /// queue, `id`: the first `{limit}` dead letters after this one.
    outbox_letters,
    /// queue, `id`, milliseconds: the ids of the first [`MAX_PRUNED`] letters after this one that have been dead for
    /// this time or longer.
    outbox_dead,
    /// queue: the greatest id to delete if the newest `{limit}` dead letters stay.
    outbox_surplus,
    /// `[id]`, queue: locks the dead letters among these events, and gives their ids; with `[id]`: makes them wait
    /// again, or deletes them.
    outbox_lock_dead,
    outbox_replay,
    outbox_delete,
}

/// The SQL of a database.
pub(super) trait Dialect {
    /// Stands around the names of tables and columns.
    const QUOTE: char;
    /// Stands before the number of a parameter. `None`: parameters are `?`, without numbers.
    const PARAMETER: Option<char>;
    /// Returns the texts of names: each after a line `-- name: NAME`. Other comments are lines of their own, too.
    const SQL: &str;
    /// Whether transactions run beside each other, and so lock rows and numbers.
    const IS_CONCURRENT: bool = true;
    /// Whether the locks of numbers are rows of a table; there must be [`LOCK_COUNT`].
    const HAS_LOCKS: bool = false;

    /// Returns the statements that lock and read rows.
    fn load(templates: &Templates) -> Vec<Statement> {
        vec![templates.statement("{load}")]
    }

    /// Returns the statements that write rows.
    fn save(templates: &Templates) -> Vec<Statement> {
        vec![templates.statement("{save}")]
    }

    /// Returns the texts of names that depend on the table or the options.
    fn names(_: &Layout, _: &StoreOptions) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Follows a parameter that is written to this column.
    fn cast(_: &Fact) -> String {
        String::new()
    }
}

/// Fills templates for one database.
#[derive(Debug)]
pub(super) struct Templates {
    names: HashMap<&'static str, String>,
    parameter: Option<char>,
}

impl Templates {
    /// Makes the dialect. Without a layout, only the table of accounts can be created.
    pub(super) fn new<D: Dialect>(
        tables: &Tables,
        layout: Option<&Layout>,
        options: &StoreOptions,
    ) -> Self {
        let mut names = tables.names(D::QUOTE);
        for sql in [include_str!("shared.sql"), D::SQL] {
            let texts = sql.split("-- name: ").skip(1);
            let texts = texts.filter_map(|text| text.split_once('\n'));
            names.extend(texts.map(|(name, text)| {
                let lines = text.lines().filter(|line| !line.starts_with("--"));
                let text: Vec<_> = lines.collect();
                (name, text.join("\n").trim().to_owned())
            }));
        }
        let excluded = SESSIONS
            .split(", ")
            .map(|column| format!("excluded.{column}"));
        names.extend([
            ("columns", SESSIONS.to_owned()),
            ("excluded", excluded.collect::<Vec<_>>().join(", ")),
            ("kept", APPLIED_IDS_KEPT.as_secs().to_string()),
            ("pruned", MAX_PRUNED.to_string()),
            ("scanned", MAX_SCANNED.to_string()),
            ("lock_count", LOCK_COUNT.to_string()),
        ]);
        if let Some(layout) = layout {
            names.insert("id_declared", layout.column("id").declared.clone());
            names.extend(D::names(layout, options));
        }
        Self {
            names,
            parameter: D::PARAMETER,
        }
    }

    pub(super) fn fill(&self, template: &str) -> String {
        let mut filled = template.to_owned();
        loop {
            let before = filled.clone();
            for (name, text) in &self.names {
                filled = filled.replace(&format!("{{{name}}}"), text);
            }
            if filled == before {
                return filled;
            }
        }
    }

    pub(super) fn statement(&self, template: &str) -> Statement {
        let filled = self.fill(template);
        let mut parts = filled.split('?');
        let mut sql = parts.next().unwrap_or_default().to_owned();
        let mut order = Vec::new();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let number: Option<usize> = part[..part.len() - rest.len()].parse().ok();
            sql += &match (number, self.parameter) {
                (Some(_), None) => format!("?{rest}"),
                (Some(_), Some(parameter)) => format!("{parameter}{part}"),
                (None, _) => format!("?{part}"),
            };
            order.extend(number.map(|number| number - 1));
        }
        if self.parameter.is_some() {
            order.sort_unstable();
            order.dedup();
        }
        let sql = AssertSqlSafe(sql).into_sql_str();
        Statement { sql, order }
    }

    /// Creates the table of accounts, unless it exists.
    pub(super) fn create_accounts(&self, options: &StoreOptions) -> Statement {
        let unique = match options.duplicates {
            DuplicatePolicy::Companions => "",
            _ => "{index_one_number}",
        };
        self.statement(&format!(
            "{{begin_creating}} {{create_accounts}} {{indexes_of_accounts}} {unique} {{end_creating}}"
        ))
    }

    /// Inserts a row: parameters are workspace, session and the values.
    pub(super) fn insert<D: Dialect>(&self, layout: &Layout, values: &RowValues) -> Statement {
        let names = values.0.iter().map(|(column, _)| column.as_str());
        let names = ["workspace_id", "session_id"].into_iter().chain(names);
        let (mut columns, mut parameters) = (String::new(), String::new());
        for (n, name) in (1..).zip(names) {
            let quote = D::QUOTE;
            columns += &format!(", {quote}{name}{quote}");
            parameters += &format!(", ?{n}{}", D::cast(layout.column(name)));
        }
        self.statement(&format!(
            "INSERT INTO {{accounts}} (status, created_at, updated_at{columns})
            VALUES ('qr_scanning', {{present}}, {{present}}{parameters})"
        ))
    }
}
