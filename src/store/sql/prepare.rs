//! Prepares the tables when a store is made: checks what there is, and creates what is missing.

use sqlx::{AssertSqlSafe, Pool, SqlSafeStr, SqlStr};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::dialect::{LOCKS, Templates};
use super::driver::Driver;
use super::failure::{Class, Failure};
use super::lease::{Lease, connect};
use super::schema::{Fact, Layout, Tables};
use crate::retry::Backoff;
use crate::store::error::{StoreError, StoreErrorKind};
use crate::store::options::StoreOptions;

/// `at_first` classifies errors.
pub(super) async fn prepare<D: Driver>(
    pool: &Pool<D::Sqlx>,
    options: &StoreOptions,
    at_first: fn(&sqlx::Error) -> Class,
) -> Result<Layout, StoreError> {
    let failed = |error: sqlx::Error| Failure::of(D::NAME, at_first(&error), &error).error;
    let create = async |sql: String| {
        let sql = AssertSqlSafe(sql).into_sql_str();
        run::<D>(pool, sql, &[]).await.map_err(failed)
    };
    let tables = Tables::of(options)?;
    // Past the pool, which reports no reason.
    if pool.size() == 0 {
        match connect(pool).await {
            Err(error) if at_first(&error) != Class::Conflict => return Err(failed(error)),
            _ => {}
        }
    }
    let mut created = String::new();
    loop {
        let templates = Templates::new::<D>(&tables, None, options);
        let inspect = templates.statement("{inspect}");
        let names = tables.to_json();
        let parameters = vec![names.as_str(); inspect.order.len().max(1)];
        let facts = run::<D>(pool, inspect.sql, &parameters)
            .await
            .map_err(failed)?;
        let facts: Result<Vec<Fact>, _> = facts
            .iter()
            .map(|fact| serde_json::from_str(fact))
            .collect();
        let facts = facts.map_err(|error| failed(sqlx::Error::Decode(error.into())))?;
        let Some(layout) = Layout::check(&tables, &facts)? else {
            if !options.create_tables || created == tables.accounts {
                return Err(missing(&tables.accounts));
            }
            create(templates.create_accounts(options)).await?;
            created.clone_from(&tables.accounts);
            continue;
        };
        let templates = Templates::new::<D>(&tables, Some(&layout), options);
        let mut lacking = layout.check_beside(&facts, D::COUNT_LOCKS.is_some())?;
        if let (None, Some(count)) = (&lacking, D::COUNT_LOCKS) {
            let count = create(templates.fill(count)).await?;
            if count.first() != Some(&LOCKS.to_string()) {
                lacking = Some(format!("{} with the ids 0 to {}", tables.locks, LOCKS - 1));
            }
        }
        match lacking {
            None => return Ok(layout),
            Some(table) if !options.create_tables || created == table => {
                return Err(missing(&table));
            }
            Some(table) => {
                create(templates.create_beside()).await?;
                created = table;
            }
        }
    }
}

fn missing(table: &str) -> StoreError {
    let message = format!(
        "the table {table} is missing; create it by `StoreOptions::create_tables`, or give the name that it has, with the same case, to `StoreOptions::table`"
    );
    StoreError::new(StoreErrorKind::Misconfigured, message)
}

/// Runs a statement; several processes may create the same tables at once.
async fn run<D: Driver>(
    pool: &Pool<D::Sqlx>,
    sql: SqlStr,
    parameters: &[&str],
) -> Result<Vec<String>, sqlx::Error> {
    // The first attempt has no delay.
    let mut delays = Backoff::CONFLICTS.delays().skip(1);
    loop {
        let mut lease = Lease::of(pool, &Mutex::default()).await?;
        match D::run(&mut lease, sql.clone(), parameters).await {
            Ok(rows) => {
                lease.give_back();
                return Ok(rows);
            }
            // The connection is closed, and what it began with it.
            Err(error) if D::class(&error) == Class::Conflict => {
                drop(lease);
                sleep(delays.next().unwrap_or_default()).await;
            }
            Err(error) => return Err(error),
        }
    }
}
