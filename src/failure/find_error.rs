//! Finds an error of this crate inside any other error: [`find`].
//!
//! `downcast_ref` and `source()` are not enough. `anyhow::Error` without context, thiserror's
//! `transparent` and `io::Error::other` hide the type of the error that they wrap, and their `source()`
//! starts behind it. All of them print it by its own `Display`, though. So [`find`] prints the error,
//! and every error type of this crate calls [`disclose`] in its `Display`.
//!
//! A printed error counts as wrapped: [`find`] also finds it if another error's `Display` only quotes it.

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

/// A search, which ends when it is dropped, so that a `Display` that panics leaves none behind. Then the
/// search continues whose `Display` began this one.
struct Search {
    outer: (Option<TypeId>, Option<Box<dyn Any>>),
}

impl Search {
    fn begin<T: 'static>() -> Self {
        let wanted = WANTED.replace(Some(TypeId::of::<T>()));
        Self {
            outer: (wanted, FOUND.take()),
        }
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        WANTED.set(self.outer.0);
        FOUND.set(self.outer.1.take());
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

    /// Searches another error while it is printed, then prints its own.
    #[derive(Debug)]
    struct Nested(ProtocolFailure);

    impl fmt::Display for Nested {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let other = ProtocolFailure::new(Site::Script, "other");
            assert_eq!(find(&other), Some(other));
            write!(f, "{}", self.0)
        }
    }

    impl Error for Nested {}

    #[test]
    fn a_search_goes_on_after_another_one_inside_it() {
        assert_eq!(find(&Nested(failure())), Some(failure()));
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
