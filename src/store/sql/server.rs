//! What the drivers have in common whose database is a server.

use std::time::Duration;

use sqlx::Connection;
use tokio::time::timeout;

/// Asks a connection that was idle for long whether it is still there; asking each time would cost each
/// call a round trip. One whose network forgot it says nothing, and is closed.
pub(super) async fn revive<C: Connection>(
    connection: &mut C,
    idle_for: Duration,
) -> Result<bool, sqlx::Error> {
    const LONG: Duration = Duration::from_secs(1);
    if idle_for <= LONG {
        return Ok(true);
    }
    let is_there = timeout(LONG, connection.ping()).await;
    Ok(matches!(is_there, Ok(Ok(()))))
}

/// How long the server lets a transaction wait for a lock that it cannot pass by, while whoever asked
/// is still there.
pub(super) fn lock_wait(deadline: Duration) -> Duration {
    deadline.mul_f64(0.75)
}
