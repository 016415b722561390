//! The parts that the drivers of database servers share.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::Connection;
use sqlx::pool::{Pool, PoolOptions};
use tokio::time::timeout;

use super::driver::Driver;
use super::failure::{Class, Failure};
use crate::store::error::StoreError;
use crate::store::options::StoreOptions;

/// Makes a pool of up to ten connections.
pub(super) fn pool<D: Driver>(
    url: &str,
    options: &StoreOptions,
) -> Result<Pool<D::Sqlx>, StoreError> {
    PoolOptions::new()
        .acquire_timeout(options.deadline)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| Box::pin(check_idle(connection, meta.idle_for)))
        .connect_lazy(url)
        .map_err(|error| Failure::of(D::NAME, Class::Setup, &error).error)
}

/// Checks a connection that was idle for long; checking each time would cost each call a round trip.
async fn check_idle<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    const PING_AFTER: Duration = Duration::from_secs(1);
    const PING_TIMEOUT: Duration = Duration::from_secs(1);
    if idle_for > PING_AFTER {
        let answer = timeout(PING_TIMEOUT, connection.ping()).await;
        // An error, unlike `false`, closes it without a further message to the server.
        answer.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    }
    Ok(true)
}

/// Returns how long the server waits for the next statement of a transaction: the client may be frozen.
pub(super) fn idle_timeout(deadline: Duration) -> Duration {
    (deadline / 2).min(Duration::from_secs(5))
}
