//! [`lock`]: a mutex whose poisoning does not matter.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; the state is valid even if another holder panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
