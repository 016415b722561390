//! The SQL of PostgreSQL.

use std::time::Duration;

use crate::store::options::StoreOptions;
use crate::store::sql::dialect::Dialect;
use crate::store::sql::schema::{Fact, Layout};
use crate::store::sql::server::idle_timeout;

/// How long a statement waits for the uncommitted number of another program, at a unique index.
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// Returns the type as which a text or number is compared with a column, or written to it.
fn type_of(column: &Fact) -> String {
    match column {
        column if column.is_integer() => "bigint".to_owned(),
        column if column.is_text() => "text".to_owned(),
        column => column.declared.clone(),
    }
}

impl Dialect for super::Postgres {
    const QUOTE: char = '"';

    const PARAMETER: Option<char> = Some('$');

    const SQL: &str = include_str!("statements.sql");

    fn names(layout: &Layout, options: &StoreOptions) -> Vec<(&'static str, String)> {
        let milliseconds = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128).to_string();
        // In one schema: the connections of another program may have another search path.
        let table = |name: &str| format!("{}.\"{name}\"", layout.schema);
        vec![
            ("accounts", table(&layout.tables.accounts)),
            ("sessions", table(&layout.tables.sessions)),
            ("applied", table(&layout.tables.applied)),
            ("id_type", type_of(layout.column("id"))),
            ("workspace_type", type_of(layout.column("workspace_id"))),
            ("status_type", type_of(layout.column("status"))),
            ("metadata_type", layout.column("metadata").declared.clone()),
            ("lock_wait", milliseconds(LOCK_WAIT)),
            ("deadline", milliseconds(options.deadline)),
            ("idle", milliseconds(idle_timeout(options.deadline))),
        ]
    }

    fn cast(column: &Fact) -> String {
        format!("::{}", type_of(column))
    }
}
