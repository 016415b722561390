//! Finds an error of this crate inside any other error: [`find`].
//!
//! `downcast_ref` and `source()` are not enough. `anyhow::Error` without context, thiserror's
//! `transparent` and `io::Error::other` hide the type of the error that they wrap, and their `source()`
//! starts behind it. All of them print it by its own `Display`, though. So [`find`] prints the error,
//! and every error type of this crate calls [`disclose`] in its `Display`.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write};

/// Longest run of error causes that is followed.
pub(super) const MAX_CAUSES: usize = 8;

thread_local! {
    /// The type that a [`find`] on this thread looks for.
    static WANTED: Cell<Option<TypeId>> = const { Cell::new(None) };
    static FOUND: Cell<Option<Box<dyn Any>>> = const { Cell::new(None) };
}

/// Returns the outermost `T` of an error and its causes, at most eight of these.
pub(crate) fn find<T: 'static>(error: &(dyn Error + 'static)) -> Option<T> {
    let _search = Search::begin::<T>();
    causes(error).find_map(|link| {
        // `Discard` accepts everything; a `Display` that fails has nothing to disclose.
        let _ = write!(Discard, "{link}");
        FOUND.take()?.downcast().ok().map(|found| *found)
    })
}

/// Hands an error to the [`find`] that prints it, if one is looking for its type.
pub(crate) fn disclose<T: 'static>(error: impl FnOnce() -> T) {
    if WANTED.get() == Some(TypeId::of::<T>()) {
        WANTED.set(None);
        FOUND.set(Some(Box::new(error())));
    }
}

/// Returns an error and its causes, at most eight of these.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(MAX_CAUSES + 1)
}

/// Ends the search when it is dropped, so that a `Display` that panics leaves none behind. What it had
/// found by then is dropped when the next one begins.
struct Search;

impl Search {
    fn begin<T: 'static>() -> Self {
        FOUND.take();
        WANTED.set(Some(TypeId::of::<T>()));
        Self
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        WANTED.set(None);
    }
}

struct Discard;

impl Write for Discard {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ProtocolFailure, Site};
    use super::*;

    fn failure() -> ProtocolFailure {
        ProtocolFailure::new(Site::Script, "lost").with_code("no such window")
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Transparent(ProtocolFailure);

    #[test]
    fn wrappers_that_hide_the_type_do_not_hide_the_error() {
        let bare: Box<dyn Error + Send + Sync> = anyhow::Error::new(failure()).into();
        let io = std::io::Error::other(failure());
        let message: Box<dyn Error + Send + Sync> = anyhow::Error::msg(failure()).into();
        let transparent = Transparent(failure());
        let wrapped: [&(dyn Error + 'static); 4] = [&*bare, &io, &*message, &transparent];
        for error in wrapped {
            assert!(error.downcast_ref::<ProtocolFailure>().is_none());
            assert_eq!(find(error), Some(failure()));
        }
        let other = std::io::Error::other("lost");
        assert_eq!(find::<ProtocolFailure>(&other), None);
    }

    /// Prints an error of this crate, then panics.
    #[derive(Debug)]
    struct Panics(ProtocolFailure);

    impl fmt::Display for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("{}", self.0)
        }
    }

    impl Error for Panics {}

    #[test]
    fn a_search_ends_with_its_error_even_if_that_panics() {
        let panics = Panics(failure());
        let search = std::panic::AssertUnwindSafe(|| find::<ProtocolFailure>(&panics));
        assert!(std::panic::catch_unwind(search).is_err());
        // Printed without a search, it discloses nothing.
        let _ = failure().to_string();
        let other = std::io::Error::other("lost");
        assert_eq!(find::<ProtocolFailure>(&other), None);
    }
}
