//! [`Decoded`]: reads through percent-encoding and the escapes of JSON.

use std::ops::Range;

/// A text without some levels of its encoding, and the place of each of its bytes in the original text.
pub(super) struct Decoded {
    text: String,
    places: Vec<usize>,
}

impl Decoded {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            places: (0..=text.len()).collect(),
        }
    }

    /// Removes one level of percent-encoding and of JSON's escapes, of ASCII characters only. Returns whether
    /// there was one.
    pub(super) fn decode(&mut self) -> bool {
        if !self.text.contains(['%', '\\']) {
            return false;
        }
        let (mut text, mut places) = (String::new(), Vec::new());
        let mut at = 0;
        while let Some(c) = self.text[at..].chars().next() {
            let escaped = escaped(&self.text[at..]);
            let (c, len) = escaped.unwrap_or((c, c.len_utf8()));
            places.extend((0..c.len_utf8()).map(|i| self.places[at + i]));
            text.push(c);
            at += len;
        }
        places.push(self.places[at]);
        let is_changed = text.len() < self.text.len();
        (self.text, self.places) = (text, places);
        is_changed
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns where this range of the decoded text is in the original one.
    pub(super) fn original(&self, range: Range<usize>) -> Range<usize> {
        self.places[range.start]..self.places[range.end]
    }
}

/// Returns the ASCII character whose escape this text begins with, and the escape's length.
fn escaped(text: &str) -> Option<(char, usize)> {
    let hex = |start: usize, end: usize| u8::from_str_radix(text.get(start..end)?, 16).ok();
    let (code, len) = match text.as_bytes() {
        [b'%', ..] => (hex(1, 3)?, 3),
        [b'\\', b'u', b'0', b'0', ..] => (hex(4, 6)?, 6),
        [b'\\', c @ (b'"' | b'\'' | b'\\' | b'/'), ..] => (*c, 2),
        _ => return None,
    };
    code.is_ascii().then_some((char::from(code), len))
}
