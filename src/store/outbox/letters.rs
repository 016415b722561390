//! [`DeadLetter`]: events that were refused, or that were not accepted in time.

use std::fmt;
use std::time::Duration;

use super::table::Letter;
use super::{Outbox, milliseconds};
use crate::event::SessionEvent;
use crate::store::error::StoreError;

/// An event that is not delivered any more. `Debug` masks its number.
#[derive(Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id in the outbox, rising with the time at which events were stored.
    pub id: i64,
    /// The event. `None`: its row was changed by another program, and is no event any more.
    pub event: Option<SessionEvent>,
    /// The code of the last error.
    pub error: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// How long ago the event was stored, or replayed.
    pub age: Duration,
    /// How long ago it became a dead letter.
    pub dead_for: Duration,
}

impl Outbox {
    /// Returns the dead letters after this [id](DeadLetter::id), 0 for the first, by rising id; at most `limit`,
    /// and at most 1,000.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn dead_letters(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = limit.min(1000);
        let letters = self.table.letters(&self.queue, after, limit).await?;
        Ok(letters.into_iter().map(DeadLetter::of).collect())
    }

    /// Delivers a dead letter again, as if it were stored now, but before the later events of its session whose
    /// delivery has not begun. Returns false if there is none with this id, or another call replays or deletes it.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn replay(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.table.replay(&self.queue, &[id]).await? > 0)
    }

    /// Delivers all dead letters again, in their order, and returns their number.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn replay_all(&self) -> Result<u64, StoreError> {
        let (mut after, mut replayed) = (0, 0);
        loop {
            let dead = self.table.dead(&self.queue, after, Duration::ZERO).await?;
            let Some(&last) = dead.last() else {
                return Ok(replayed);
            };
            replayed += self.table.replay(&self.queue, &dead).await?;
            after = last;
        }
    }

    /// Deletes a dead letter. Returns false if there is none with this id, or another call replays or deletes it.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.table.delete(&self.queue, &[id]).await? > 0)
    }

    /// Deletes letters that have been dead for this time or longer, up to this id. Returns their number.
    pub(super) async fn delete_dead_for(
        &self,
        age: Duration,
        last: i64,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let mut dead = self.table.dead(&self.queue, 0, age).await?;
            dead.retain(|id| *id <= last);
            if dead.is_empty() {
                return Ok(deleted);
            }
            match self.table.delete(&self.queue, &dead).await? {
                // Another worker is at it.
                0 => return Ok(deleted),
                more => deleted += more,
            }
        }
    }
}

impl DeadLetter {
    fn of(letter: Letter) -> Self {
        Self {
            id: letter.job.id,
            event: letter.job.read().ok(),
            error: letter.error.unwrap_or_default(),
            attempts: u32::try_from(letter.job.attempts).unwrap_or_default(),
            age: milliseconds(letter.job.age),
            dead_for: milliseconds(letter.dead_for),
        }
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("id", &self.id)
            .field("event", &self.event)
            .field("error", &self.error)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
