//! A foreign text, made ready to be searched for many phrases: [`Text`].

/// The words of a failure before its stack, with a filter in front of the search.
///
/// Dozens of phrases are looked for in each text, and nearly all of them are not there. So the pairs
/// of neighbouring bytes are noted once; a phrase with a pair that does not occur needs no search.
pub(super) struct Text<'a> {
    head: &'a str,
    pairs: [u64; WORDS],
}

/// Bits for pairs: enough that a message of usual length fills a small part of them.
const WORDS: usize = 32;

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let head = before_stack(text);
        let mut pairs = [0; WORDS];
        let mut last = 0;
        for &byte in head.as_bytes() {
            let (word, bit) = place(last, byte);
            pairs[word] |= bit;
            last = byte;
        }
        Self { head, pairs }
    }

    /// Whether the phrase occurs, letter by letter.
    pub(super) fn has(&self, phrase: &str) -> bool {
        let may = phrase.as_bytes().windows(2).all(|pair| {
            let (word, bit) = place(pair[0], pair[1]);
            self.pairs[word] & bit != 0
        });
        may && self.head.contains(phrase)
    }

    /// The error code that a WebDriver client's text begins with, if it is one of these.
    ///
    /// Words such as `timeout` or `invalid argument` begin the errors of any program, so the text
    /// must show in another way whose it is.
    pub(super) fn leading_code(
        &self,
        codes: impl IntoIterator<Item = &'static str>,
    ) -> Option<&'static str> {
        if !MARKS.iter().any(|mark| self.has(mark)) {
            return None;
        }
        let start = PREFIXES
            .iter()
            .filter(|prefix| self.has(prefix))
            .find_map(|prefix| self.head.split_once(prefix))
            .map_or(self.head, |(_, rest)| rest)
            .trim_start();
        codes.into_iter().find(|code| {
            start.strip_prefix(code).is_some_and(|rest| {
                let next = rest.trim_start();
                rest.starts_with([':', '\n', '\r']) || next.is_empty() || next.starts_with('(')
            })
        })
    }
}

/// What only WebDriver clients and drivers write.
const MARKS: [&str; 4] = [
    "(Session info: ",
    "webdriver returned error: ",
    "webdriver did not create session: ",
    "WebDriverException",
];

/// What clients put before the driver's message, the more telling first.
const PREFIXES: [&str; 5] = [
    "webdriver returned error: ",
    "webdriver did not create session: ",
    "Exception: Message: ",
    "Exception: ",
    "Exception : ",
];

const fn place(first: u8, second: u8) -> (usize, u64) {
    let hash = (first as usize).wrapping_mul(37) ^ (second as usize);
    (hash / 64 % WORDS, 1 << (hash % 64))
}

/// What stands before the stack: of Node (four spaces, `at`) or of Java (a tab, `at`). A cleaned
/// text has blanks for the line breaks, which leaves the first recognisable.
fn before_stack(text: &str) -> &str {
    let mut head = text;
    for stack in ["    at ", "\n\tat "] {
        if head.contains(stack) {
            head = head.split_once(stack).map_or(head, |(before, _)| before);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_stack_is_not_part_of_it() {
        assert!(!Text::new("Error: x\n    at Target closed (a.js:1)").has("Target closed"));
        assert!(!Text::new("Error: x     at Target closed (a.js:1)").has("Target closed"));
        assert!(!Text::new("Exception: x\n\tat Target closed(A.java:1)").has("Target closed"));
        assert!(Text::new("Target closed at last").has("Target closed"));
    }

    #[test]
    fn a_code_counts_only_at_the_start_of_a_drivers_text() {
        for (text, code) in [
            (
                "no such window\n  (Session info: chrome=1)",
                Some("no such window"),
            ),
            (
                "no such window   (Session info: chrome=1)",
                Some("no such window"),
            ),
            (
                "no such window: target window already closed\n  (Session info: chrome=1)",
                Some("no such window"),
            ),
            (
                "webdriver returned error: no such window",
                Some("no such window"),
            ),
            (
                "selenium.common.exceptions.WebDriverException: Message: no such window: x",
                Some("no such window"),
            ),
            ("no such window", None),
            ("no such window: x", None),
            ("a no such window: x\n (Session info: chrome=1)", None),
            ("no such windows: x\n (Session info: chrome=1)", None),
        ] {
            assert_eq!(
                Text::new(text).leading_code(["no such window"]),
                code,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_filter_loses_nothing(text in "[ -~]{0,80}", at in 0_usize..80, len in 0_usize..20) {
            prop_assume!(!text.contains("    at "));
            let at = at.min(text.len());
            let phrase = &text[at..(at + len).min(text.len())];
            prop_assert!(Text::new(&text).has(phrase));
        }
    }
}
