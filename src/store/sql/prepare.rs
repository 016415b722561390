//! Prepares the tables when a store is made: checks what there is, and creates what is missing.

use super::database::Connections;
use super::dialect::{LOCK_COUNT, Templates};
use super::driver::Driver;
use super::failure::{Class, Failure};
use super::lease::connect;
use super::schema::{Fact, Layout, Tables};
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::StoreOptions;

/// `has_outbox`: the table of outboxes is needed too.
pub(super) async fn prepare<D: Driver>(
    connections: &Connections<D>,
    options: &StoreOptions,
    has_outbox: bool,
) -> Result<Layout, StoreError> {
    let tables = Tables::of(options)?;
    // Past the pool, which reports no reason.
    if connections.pool.size() == 0
        && let Err(error) = connect(&connections.pool).await
        && D::class_at_first(&error) != Class::Conflict
    {
        return Err(Failure::of(D::NAME, D::class_at_first(&error), &error).error);
    }
    let mut created = String::new();
    loop {
        let templates = Templates::new::<D>(&tables, None, options);
        let names = tables.to_json();
        let inspect = templates.statement("{inspect}");
        let facts: Vec<Fact> = connections.read(&inspect, &[&names]).await?;
        let layout = Layout::check(&tables, &facts)?;
        let templates = Templates::new::<D>(&tables, layout.as_ref(), options);
        let (lacking, create) = match &layout {
            None => (
                Some(tables.accounts.clone()),
                templates.create_accounts(options),
            ),
            Some(layout) => {
                let mut lacking = layout.check_beside(&facts, D::HAS_LOCKS, has_outbox)?;
                if lacking.is_none() && D::HAS_LOCKS {
                    let count = templates.statement("{count_locks}");
                    let counted: Vec<u64> = connections.read(&count, &[]).await?;
                    let all = format!("{} with the ids 0 to {}", tables.locks, LOCK_COUNT - 1);
                    lacking = Some(all).filter(|_| counted != [LOCK_COUNT]);
                }
                let create = match &lacking {
                    Some(table) if *table == tables.outbox => {
                        "{begin_creating} {create_outbox} {indexes_of_outbox} {end_creating}"
                    }
                    _ => "{begin_creating} {create_beside} {indexes_beside} {end_creating}",
                };
                (lacking, templates.statement(create))
            }
        };
        match (lacking, layout) {
            (None, Some(layout)) => return Ok(layout),
            (Some(table), _) if options.create_tables && created != table => {
                // Several processes may create the same tables at once.
                connections.create(&create).await?;
                created = table;
            }
            (table, _) => return Err(missing(&table.unwrap_or(tables.accounts))),
        }
    }
}

fn missing(table: &str) -> StoreError {
    let message = format!(
        "the table {table} is missing; create it by `StoreOptions::create_tables`, or give the name that it has, with the same case, to `StoreOptions::table`"
    );
    StoreError::new(StoreErrorKind::Misconfigured, message)
}
