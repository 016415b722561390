//! [`Driver`]: the connections and errors of one database.

use std::fmt;
use std::future::pending;
use std::io::ErrorKind;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::SqlStr;

use super::dialect::Dialect;
use super::failure::Class;
use crate::event::SessionId;
use crate::store::status::StatusChange;

pub(super) type Connection<D> = <<D as Driver>::Sqlx as sqlx::Database>::Connection;

#[async_trait]
pub(super) trait Driver: Dialect + Clone + fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;
    type Sqlx: sqlx::Database;
    /// Receives notifications while sessions are watched.
    type Listener: Default + Send;

    /// Runs a statement; gives the first column of its rows. Without parameters, it may be several.
    fn run<'a>(
        connection: &'a mut Connection<Self>,
        sql: SqlStr,
        parameters: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<String>, sqlx::Error>>;

    fn class(error: &sqlx::Error) -> Class;

    /// Classifies an error of the first connection: an untrusted certificate is wrong configuration, but later
    /// it may be mended.
    fn class_at_first(error: &sqlx::Error) -> Class {
        match error {
            sqlx::Error::Tls(_) => Class::Setup,
            sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Class::Setup,
            _ => Self::class(error),
        }
    }

    /// Notifies other processes of changed sessions, after the commit.
    fn notify(&self, _: Vec<StatusChange>) {}

    /// Waits until other processes notify of changed sessions. `None`: notifications may have been lost.
    /// Cancel-safe.
    async fn listen(&self, _: &mut Self::Listener) -> Option<Vec<SessionId>> {
        pending().await
    }
}

/// [`Driver::run`] for one driver.
macro_rules! run {
    () => {
        fn run<'a>(
            connection: &'a mut Connection<Self>,
            sql: SqlStr,
            parameters: &'a [&'a str],
        ) -> BoxFuture<'a, Result<Vec<String>, sqlx::Error>> {
            Box::pin(async move {
                if parameters.is_empty() {
                    let rows = sqlx::raw_sql(sql).fetch_all(connection).await?;
                    return rows.iter().map(|row| sqlx::Row::try_get(row, 0)).collect();
                }
                let mut query = sqlx::query_scalar(sql);
                for parameter in parameters {
                    query = query.bind(*parameter);
                }
                query.fetch_all(connection).await
            })
        }
    };
}
#[allow(unused_imports, reason = "without drivers there is no use")]
pub(super) use run;
