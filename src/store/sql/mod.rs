//! Stores over SQL databases.
//!
//! Each file uses only files named before it: [`failure`], [`lease`], [`schema`], [`metadata`], [`row`],
//! [`account`] and [`accounts`]; [`dialect`] (the SQL of one database), [`driver`] (its connections and errors)
//! and [`database`] (transactions and retries); [`batch`], [`sweep`], [`queue`], [`list`], [`follow`],
//! [`outbox`] and [`prepare`]; [`sql_store`]; the drivers.

mod account;
mod accounts;
mod batch;
mod database;
mod dialect;
mod driver;
mod failure;
mod follow;
mod lease;
mod list;
mod metadata;
#[cfg(feature = "mysql")]
pub mod mysql;
mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
mod prepare;
mod queue;
mod row;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
mod sql_store;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod sweep;
