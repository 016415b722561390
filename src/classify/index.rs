//! Finds, in one pass over a text, which phrases of the table it has: [`Index`].
//!
//! Hundreds of phrases are looked for in each text, and nearly all of them are not there. So each
//! phrase is known by four neighbouring bytes of it. The pass asks for every four bytes of the text
//! whether a phrase is known by them, which a small table of bits mostly denies, and only then
//! compares. Nothing is allocated, and each byte costs the same.

use std::sync::LazyLock;

use super::rules::{Pattern, Row, rows};
use super::text::{self, Line};
use crate::failure::Site;

/// Most rows and most phrases; a test holds the table to it.
pub(super) const MOST: usize = 768;

/// Bits of the filter, a power of two.
const FILTER: usize = 1 << 15;

/// Heads of the lists of phrases, a power of two.
const HEADS: usize = 1 << 11;

const NONE: u16 = u16::MAX;

/// The table's phrases, ready to be searched.
pub(super) struct Index {
    filter: Box<[u64]>,
    heads: Box<[u16]>,
    phrases: Vec<Phrase>,
    /// By place in the table, the phrases that a row needs.
    needs: Vec<Vec<u16>>,
}

struct Phrase {
    /// Four of its bytes.
    gram: u32,
    /// Where they stand in it.
    at: usize,
    words: &'static [u8],
    begins: Begins,
    ends: bool,
    /// What it amounts to.
    role: Role,
    /// The next phrase with the same head.
    next: u16,
}

/// Where a phrase must stand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Begins {
    Anywhere,
    /// A message begins with it: `^`.
    Message,
    /// The text begins with it: `^^`.
    Text,
}

#[derive(Clone, Debug, PartialEq)]
enum Role {
    /// It is needed by rows, and for these of them it is asked first.
    Rows(Vec<u16>),
    /// Only WebDriver clients and drivers write it.
    Mark,
    /// Here the stack begins.
    Stack,
}

/// What only WebDriver clients and drivers write.
const MARKS: &[&str] = &[
    "(Session info: ",
    "webdriver returned error: ",
    "webdriver did not create session: ",
    "WebDriverException",
    "WebDriverError",
    "common.exceptions.",
    "openqa.selenium.",
    "OpenQA.Selenium.",
    "Selenium::WebDriver::",
    "WebDriver { error: ",
    "{\"value\":{\"error\":\"",
    "Additional info: ",
    "(Driver info: chromedriver",
    "from unknown error",
];

/// What stands before the stack: of Node, Java and .NET, of ChromeDriver, of Playwright's log.
const STACKS: &[&str] = &[
    "  at ",
    "\tat ",
    "\\n at ",
    "Stacktrace:",
    "Backtrace:",
    "stacktrace: \"",
    "#0 0x",
    "Call log:",
    "=== logs ===",
];

/// What a pass found.
pub(super) struct Found {
    rows: [u64; MOST / 64],
    phrases: [u64; MOST / 64],
    /// Whether the text shows that a WebDriver client or driver wrote it.
    pub(super) is_drivers: bool,
    /// Where the stack begins, or the end.
    pub(super) head: usize,
}

/// The index over the built-in table, made when first asked for.
pub(super) fn built_in() -> &'static Index {
    static INDEX: LazyLock<Index> = LazyLock::new(Index::new);
    &INDEX
}

impl Index {
    fn new() -> Self {
        let mut index = Self {
            filter: vec![0; FILTER / 64].into(),
            heads: vec![NONE; HEADS].into(),
            phrases: Vec::new(),
            needs: Vec::new(),
        };
        for mark in MARKS {
            index.add(mark, Role::Mark);
        }
        for stack in STACKS {
            index.add(stack, Role::Stack);
        }
        for (at, row) in rows().enumerate() {
            let mut needs = Vec::new();
            if let Pattern::Text(phrases) = row.pattern {
                needs.extend(phrases.iter().map(|p| index.add(p, Role::Rows(Vec::new()))));
            }
            // The last phrase is the telling one.
            let last = needs
                .last()
                .map(|last| &mut index.phrases[usize::from(*last)].role);
            if let (Some(Role::Rows(rows)), Ok(at)) = (last, u16::try_from(at)) {
                rows.push(at);
            }
            index.needs.push(needs);
        }
        index
    }

    /// The number of the phrase, which is added if it is new.
    fn add(&mut self, pattern: &'static str, role: Role) -> u16 {
        let (begins, words) = match pattern.strip_prefix("^^") {
            Some(words) => (Begins::Text, words),
            None => match pattern.strip_prefix('^') {
                Some(words) => (Begins::Message, words),
                None => (Begins::Anywhere, pattern),
            },
        };
        let ends = pattern.ends_with('$');
        let words = words.strip_suffix('$').unwrap_or(words).as_bytes();
        let known = self
            .phrases
            .iter()
            .position(|phrase| (phrase.words, phrase.begins, phrase.ends) == (words, begins, ends));
        if let Some(known) = known {
            return narrow(known);
        }
        // A blank may be any white space in the text, so the four bytes have none; where there are no
        // such four, the phrase is one whose blanks count.
        let grams = || words.windows(4).enumerate();
        let (at, gram) = grams()
            .filter(|(_, gram)| !gram.contains(&b' '))
            .min_by_key(|(at, gram)| (self.chain(read(gram)).count(), *at))
            .or_else(|| grams().next())
            .unwrap_or((0, b"    "));
        let gram = read(gram);
        let head = place(gram, HEADS);
        let new = narrow(self.phrases.len());
        let next = std::mem::replace(&mut self.heads[head], new);
        let bit = place(gram, FILTER);
        self.filter[bit / 64] |= 1 << (bit % 64);
        self.phrases.push(Phrase {
            gram,
            at,
            words,
            begins,
            ends,
            role,
            next,
        });
        new
    }

    /// The phrases that are known by these four bytes.
    fn chain(&self, gram: u32) -> impl Iterator<Item = u16> {
        let mut next = self.heads[place(gram, HEADS)];
        std::iter::from_fn(move || {
            while let Some(phrase) = self.phrases.get(usize::from(next)) {
                let this = next;
                next = phrase.next;
                if phrase.gram == gram {
                    return Some(this);
                }
            }
            None
        })
    }

    /// Searches the text up to its stack, and the causes that are told behind it.
    pub(super) fn search(&self, text: &str) -> Found {
        let mut found = Found {
            rows: [0; MOST / 64],
            phrases: [0; MOST / 64],
            is_drivers: false,
            head: text.len(),
        };
        let end = self.pass(text, 0, &mut found);
        found.head = end;
        let mut from = end;
        for _ in 0..super::MAX_CAUSES {
            let Some(cause) = text::cause_after(text, from) else {
                break;
            };
            from = self.pass(text, cause, &mut found);
        }
        found
    }

    /// One pass from here to the next stack, whose place it returns.
    fn pass(&self, text: &str, from: usize, found: &mut Found) -> usize {
        let bytes = text.as_bytes();
        let mut line = Line::at(from);
        let mut gram = 0;
        for (at, &byte) in bytes.iter().enumerate().skip(from) {
            gram = gram << 8 | u32::from(byte);
            let bit = place(gram, FILTER);
            if self.filter[bit / 64] & 1 << (bit % 64) == 0 || at < from + 3 {
                continue;
            }
            for number in self.chain(gram) {
                let phrase = &self.phrases[usize::from(number)];
                let (word, bit) = (usize::from(number) / 64, 1 << (number % 64));
                if found.phrases[word] & bit != 0 {
                    continue;
                }
                let Some(start) = phrase.find(bytes, at - 3, from) else {
                    continue;
                };
                let is_begun = match phrase.begins {
                    Begins::Anywhere => true,
                    Begins::Message => line.is_begun_at(text, start),
                    Begins::Text => text::is_begun_at(text, start),
                };
                if !is_begun {
                    continue;
                }
                match &phrase.role {
                    Role::Stack => return start,
                    Role::Mark => found.is_drivers = true,
                    Role::Rows(rows) => {
                        found.phrases[word] |= bit;
                        for row in rows {
                            found.rows[usize::from(*row) / 64] |= 1 << (row % 64);
                        }
                    }
                }
            }
        }
        bytes.len()
    }

    /// The first row of which the text has all phrases.
    pub(super) fn first(&self, found: &Found, site: Site) -> Option<&'static Row> {
        for (at, &word) in found.rows.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let number = at * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                let has =
                    |need: &u16| found.phrases[usize::from(*need) / 64] & 1 << (need % 64) != 0;
                let row = row_at(number)?;
                if row.sites.contains(site) && self.needs[number].iter().all(has) {
                    return Some(row);
                }
            }
        }
        None
    }
}

impl Phrase {
    /// Where the phrase begins, if its four bytes are those at `gram` and all others fit.
    fn find(&self, text: &[u8], gram: usize, from: usize) -> Option<usize> {
        if self.role == Role::Stack {
            // How many blanks there are is what makes it one.
            let start = gram.checked_sub(self.at)?;
            return text[start..].starts_with(self.words).then_some(start);
        }
        let (before, after) = self.words.split_at(self.at);
        let end = text::match_forward(text, gram, after)?;
        let start = text::match_backward(text, gram, before, from)?;
        (!self.ends || text::is_end(&text[end..])).then_some(start)
    }
}

/// The row at this place in the table.
fn row_at(mut number: usize) -> Option<&'static Row> {
    for table in super::rules::TABLES {
        match table.get(number) {
            Some(row) => return Some(row),
            None => number -= table.len(),
        }
    }
    None
}

fn read(gram: &[u8]) -> u32 {
    gram.iter().fold(0, |all, byte| all << 8 | u32::from(*byte))
}

/// The place of these four bytes in a table of so many places, a power of two.
const fn place(gram: u32, places: usize) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - places.trailing_zeros())) as usize
}

/// No table has as many rows or phrases: see [`MOST`].
fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_phrases_have_room() {
        let index = built_in();
        assert!(rows().count() <= MOST && index.phrases.len() <= MOST);
        for phrase in &index.phrases {
            assert!(phrase.words.len() >= 4, "{:?}", phrase.role);
        }
    }

    #[test]
    fn few_phrases_share_their_four_bytes() {
        let index = built_in();
        for phrase in &index.phrases {
            let sharers = index.chain(phrase.gram).count();
            let words = String::from_utf8_lossy(phrase.words);
            assert!(sharers <= 6, "{words}: {sharers}");
        }
    }
}
