//! Panics of foreign code, caught whole: [`catch_panic`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the result of `act`, or the message of its panic, which is foreign text.
pub(crate) fn catch_panic<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(panic_message)
}

/// Returns the message of a caught panic. The payload may itself panic when it is dropped; a payload of that
/// panic is not dropped, since it could panic again.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = text.unwrap_or("no message").to_owned();
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(thrown);
    }
    message
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// Throws another of its kind when it is dropped, so many times over.
    struct Nested(u32);

    impl Drop for Nested {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Nested(self.0 - 1));
            }
        }
    }

    #[test]
    fn a_panic_is_caught_even_if_its_payload_panics() {
        assert_eq!(catch_panic(|| 41), Ok(41));
        for (panic, message) in [
            (catch_panic(|| panic!("said")), "said"),
            (catch_panic(|| panic!("said {}", "late")), "said late"),
            (catch_panic(|| panic_any(Nested(0))), "no message"),
            (catch_panic(|| panic_any(Nested(3))), "no message"),
        ] {
            let panic: Result<(), _> = panic;
            assert_eq!(panic, Err(message.to_owned()));
        }
    }
}
