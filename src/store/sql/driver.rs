//! [`Driver`]: what one database does its own way, beside its SQL.

use std::fmt;
use std::future::pending;

use async_trait::async_trait;
use sqlx::{Pool, SqlStr};

use super::dialect::Dialect;
use super::failure::Class;
use crate::event::SessionId;

pub(super) type Connection<D> = <<D as Driver>::Sqlx as sqlx::Database>::Connection;

#[async_trait]
pub(super) trait Driver: Dialect + fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;
    type Sqlx: sqlx::Database;
    /// Hears other processes while sessions are watched.
    type Listener: Default + Send;

    /// Runs a statement; gives the first column of its rows. Without parameters, it may be several.
    async fn run(
        connection: &mut Connection<Self>,
        sql: SqlStr,
        parameters: &[&str],
    ) -> Result<Vec<String>, sqlx::Error>;

    fn class(error: &sqlx::Error) -> Class;

    /// Tells other processes of changes, after the commit.
    fn tell(&self, _pool: &Pool<Self::Sqlx>, _changes: Vec<String>) {}

    /// Waits until other processes tell of changes to sessions. `None`: notifications may have been lost.
    /// Cancel-safe.
    async fn listen(&self, _: &mut Self::Listener) -> Option<Vec<SessionId>> {
        pending().await
    }
}

/// FNV-1a: the same in every process and version.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Runs a statement on the connection of one driver.
macro_rules! run {
    ($connection:expr, $sql:expr, $parameters:expr) => {{
        use sqlx::Row;
        if $parameters.is_empty() {
            let rows = sqlx::raw_sql($sql).fetch_all($connection).await?;
            return rows.iter().map(|row| row.try_get(0)).collect();
        }
        let mut query = sqlx::query_scalar($sql);
        for parameter in $parameters {
            query = query.bind(*parameter);
        }
        query.fetch_all($connection).await
    }};
}
#[allow(unused_imports, reason = "without drivers there is no use")]
pub(super) use run;
