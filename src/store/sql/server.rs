//! What the drivers have in common whose database is a server.

use std::time::Duration;

use sqlx::Connection;

/// Asks a connection that was idle for long whether it is still there; asking each time would cost each
/// call a round trip.
pub(super) async fn revive<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    if idle_for > Duration::from_secs(1) {
        connection.ping().await?;
    }
    Ok(true)
}

/// How long a transaction may wait for one lock: so much less than the deadline that who waits for
/// the connection gets it in time.
pub(super) fn lock_wait(deadline: Duration) -> Duration {
    deadline.mul_f64(0.75)
}
