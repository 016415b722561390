//! What the drivers have in common whose database is a server.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::Connection;
use tokio::time::timeout;

use super::Database;
use super::meaning::Meaning;

/// A certificate that is not believed is a wrong set-up when a store is made, and may be mended later.
pub(super) fn at_first<D: Database>(error: &sqlx::Error) -> Meaning {
    match error {
        sqlx::Error::Tls(_) => Meaning::Setup,
        sqlx::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Meaning::Setup,
        _ => D::meaning(error),
    }
}

/// Asks a connection that was idle for long whether it is still there; asking each time would cost each
/// call a round trip. One that the network has forgotten says nothing.
pub(super) async fn revive<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    const LONG: Duration = Duration::from_secs(1);
    if idle_for > LONG {
        let there = timeout(LONG, connection.ping()).await;
        // An error, unlike `false`, closes it without a word more.
        there.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
    }
    Ok(true)
}

/// How long the server lets a transaction wait for a lock that it cannot pass by, while whoever asked
/// is still there.
pub(super) fn lock_wait(deadline: Duration) -> Duration {
    deadline.mul_f64(0.75)
}
