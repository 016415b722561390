//! Reads texts that may hold numbers, so that no error repeats one: [`read_text`].

use std::cell::Cell;
use std::fmt;

use super::clean;

/// Reads a text that may be a number, from whatever holds it. A value of another type is refused with
/// the fixed words `wanted`: what a format writes by itself would repeat the value, digits and all.
pub(crate) fn read_text<'de, D, T, E>(
    deserializer: D,
    wanted: &'static str,
    read: fn(&str) -> Result<T, E>,
) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    E: fmt::Display,
{
    // Some formats refuse a number without asking the visitor; but to say so, all ask what it expects.
    let is_other_type = Cell::new(false);
    let visitor = Text {
        wanted,
        read,
        is_other_type: &is_other_type,
    };
    let result = deserializer.deserialize_str(visitor);
    result.map_err(|error| match is_other_type.get() {
        true => serde::de::Error::custom(wanted),
        false => error,
    })
}

struct Text<'a, T, E> {
    wanted: &'static str,
    read: fn(&str) -> Result<T, E>,
    is_other_type: &'a Cell<bool>,
}

impl<T, E: fmt::Display> serde::de::Visitor<'_> for Text<'_, T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.is_other_type.set(true);
        f.write_str(self.wanted)
    }

    fn visit_str<R: serde::de::Error>(self, text: &str) -> Result<T, R> {
        (self.read)(text).map_err(R::custom)
    }
}

/// The error of a format that repeats its input, cleaned; unchanged if there is nothing to clean.
pub(crate) fn clean_error<E: serde::de::Error>(error: E) -> E {
    let said = error.to_string();
    let cleaned = clean(&said, 256);
    if cleaned == said {
        error
    } else {
        E::custom(cleaned)
    }
}
