//! The SQL of MySQL and MariaDB.

use crate::store::options::StoreOptions;
use crate::store::sql::dialect::{Dialect, LOCK_COUNT, Statement, Templates};
use crate::store::sql::schema::Layout;
use crate::store::sql::server::idle_timeout;

impl Dialect for super::MySql {
    const QUOTE: char = '`';

    const PARAMETER: Option<char> = None;

    const SQL: &str = include_str!("statements.sql");

    const HAS_LOCKS: bool = true;

    fn load(templates: &Templates) -> Vec<Statement> {
        script(templates, "{look_up}; {lock}; {load}", 2)
    }

    fn save(templates: &Templates) -> Vec<Statement> {
        let save = "{save_metadata}; {save_accounts}; {save_beside}; {save_applied}";
        script(templates, save, 1)
    }

    fn names(layout: &Layout, options: &StoreOptions) -> Vec<(&'static str, String)> {
        // As the column itself, so that an index serves.
        let like = |column: &str, value: &str| match &layout.column(column).charset {
            [Some(charset), Some(collation)] => {
                format!("CONVERT({value} USING {charset}) COLLATE {collation}")
            }
            _ => value.to_owned(),
        };
        let id = layout.column("id");
        let id_declared = match &id.charset {
            [Some(charset), Some(collation)] => {
                format!(
                    "{} CHARACTER SET {charset} COLLATE {collation}",
                    id.declared
                )
            }
            _ => id.declared.clone(),
        };
        // `JSON_TABLE` has no columns of type `uuid`.
        let id_column = match id.is_uuid() {
            true => "char(36)".to_owned(),
            false => id_declared.clone(),
        };
        // The same in every time zone.
        let stamp = |column: &str| match layout.column(column).kind.as_str() {
            "timestamp" => format!("CAST(UNIX_TIMESTAMP(a.{column}) AS CHAR)"),
            _ => format!("CAST(a.{column} AS CHAR)"),
        };
        let (workspace_type, this_workspace) = match layout.column("workspace_id").is_integer() {
            true => ("bigint", "CAST(?2 AS SIGNED)".to_owned()),
            false => ("varchar(255)", like("workspace_id", "?2")),
        };
        let id_cast = if id.is_integer() { "SIGNED" } else { "CHAR" };
        let idle = match layout.version.contains("MariaDB") {
            true => "idle_transaction_timeout",
            false => "wait_timeout",
        };
        let idle_timeout = idle_timeout(options.deadline).as_secs().max(1);
        let lock_wait = options.deadline.mul_f64(0.75).as_secs().clamp(1, 1_000_000);
        let locks: Vec<_> = (0..LOCK_COUNT).map(|lock| format!("({lock})")).collect();
        vec![
            ("all_locks", locks.join(",")),
            ("created", stamp("created_at")),
            ("updated", stamp("updated_at")),
            ("workspace_type", workspace_type.to_owned()),
            ("this_workspace", this_workspace),
            ("v_session", like("session_id", "v.session")),
            ("v_workspace", like("workspace_id", "v.workspace")),
            ("v_text", like("phone_number", "v.text")),
            ("id_column", id_column),
            ("id_declared", id_declared),
            ("id_cast", id_cast.to_owned()),
            ("lock_wait", lock_wait.to_string()),
            ("idle", idle.to_owned()),
            ("idle_timeout", idle_timeout.to_string()),
        ]
    }
}

/// Statements that run in one round trip: variables stand for their parameters, which cannot be sent with more
/// than one statement. The first statement sets them.
fn script(templates: &Templates, template: &str, parameters: usize) -> Vec<Statement> {
    let mut script = templates.fill(template);
    let mut set = Vec::new();
    for n in 1..=parameters {
        script = script.replace(&format!("?{n}"), &format!("@whatsapp_phone_{n}"));
        set.push(format!("@whatsapp_phone_{n} = ?{n}"));
    }
    let set = format!("SET {}", set.join(", "));
    vec![templates.statement(&set), templates.statement(&script)]
}
