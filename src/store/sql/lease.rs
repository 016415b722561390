//! A connection that never goes back to its pool in the middle of something.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};

/// A connection of a pool, which is closed unless it was [returned](Self::give_back).
///
/// A call that is dropped, by its deadline or by its caller, may leave a statement that still runs or a
/// transaction that has just begun. The pool would wait for the one without end, and hand the other to
/// whoever comes next.
#[derive(Debug)]
pub(super) struct Lease<D: Database> {
    connection: PoolConnection<D>,
    is_over: bool,
}

impl<D: Database> Lease<D> {
    pub(super) async fn of(pool: &Pool<D>) -> Result<Self, sqlx::Error> {
        let connection = pool.acquire().await?;
        let is_over = false;
        Ok(Self {
            connection,
            is_over,
        })
    }

    /// Nothing runs on it any more, and no transaction is open.
    pub(super) fn give_back(mut self) {
        self.is_over = true;
    }
}

impl<D: Database> Drop for Lease<D> {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

impl<D: Database> Deref for Lease<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        &self.connection
    }
}

impl<D: Database> DerefMut for Lease<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        &mut self.connection
    }
}
