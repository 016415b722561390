//! A connection that never goes back to its pool in the middle of something.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long to wait for a pool before asking the server itself why it gives no connection. The pool does
/// not say.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// A connection of a pool, which is closed unless it was [returned](Self::give_back).
///
/// A dropped call may leave a running statement or an open transaction. The pool would wait for the one,
/// and hand the other to its next user.
#[derive(Debug)]
pub(super) struct Lease<D: Database> {
    pub(super) connection: PoolConnection<D>,
    is_over: bool,
}

impl<D: Database> Lease<D> {
    /// Makes a lease. `probe` is held while a connection is tried past the pool: one at a time.
    pub(super) async fn of(pool: &Pool<D>, probe: &Mutex<()>) -> Result<Self, sqlx::Error> {
        let acquire = pool.acquire();
        tokio::pin!(acquire);
        let connection = match timeout(PROBE_AFTER, &mut acquire).await {
            Ok(acquired) => acquired?,
            Err(_) => {
                // A server that answers with an error may only have too many connections.
                if let Ok(_probing) = probe.try_lock()
                    && let Err(error) = connect(pool).await
                    && error.as_database_error().is_none()
                {
                    return Err(error);
                }
                acquire.await?
            }
        };
        let is_over = false;
        Ok(Self {
            connection,
            is_over,
        })
    }

    /// Returns the connection: no statement runs on it, and no transaction is open.
    pub(super) fn give_back(mut self) {
        self.is_over = true;
    }
}

/// Connects past the pool, which reports a reason at once.
pub(super) async fn connect<D: Database>(pool: &Pool<D>) -> Result<(), sqlx::Error> {
    pool.connect_options().connect().await?.close().await
}

impl<D: Database> Drop for Lease<D> {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}
