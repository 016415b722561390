//! The parts that the drivers of database servers share.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::Connection;
use tokio::time::timeout;

use super::driver::Driver;
use super::failure::Class;

/// An untrusted certificate is wrong configuration when a store is made, and may be mended later.
pub(super) fn at_first<D: Driver>(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Tls(_) => Class::Setup,
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Class::Setup,
        _ => D::class(error),
    }
}

/// Checks a connection that was idle for long; checking each time would cost each call a round trip.
pub(super) async fn revive<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    const LONG: Duration = Duration::from_secs(1);
    if idle_for > LONG {
        let answer = timeout(LONG, connection.ping()).await;
        // An error, unlike `false`, closes it without a further message to the server.
        answer.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    }
    Ok(true)
}

/// How long the server waits for the next statement of a transaction: the client may be frozen.
pub(super) fn idle_timeout(deadline: Duration) -> Duration {
    (deadline / 2).min(Duration::from_secs(5))
}
