//! Finds the rows of the table that a text meets, in one pass: [`Matcher`].

use std::sync::LazyLock;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, PatternID};

use super::code::QUOTES;
use super::rules::{Place, Row, rows};
use super::text::{self, Normalised};
use crate::failure::Site;

/// Most rows, and most phrases.
const MAX: usize = 1024;

/// Phrases that only WebDriver clients and drivers write, beside [`QUOTES`].
const DRIVER_MARKS: &[&str] = &[
    "(Session info: ",
    "webdriver returned error: ",
    "webdriver did not create session: ",
    "WebDriverException",
    "WebDriverError",
    "common.exceptions.",
    "openqa.selenium.",
    "OpenQA.Selenium.",
    "Selenium::WebDriver::",
    "Additional info: ",
    "(Driver info: chromedriver",
    "from unknown error",
];

/// Headings of stacks and logs.
const STACK_HEADINGS: &[&str] = &[
    "Stacktrace:",
    "Backtrace:",
    "stacktrace: \"",
    "#0 0x",
    "Call log:",
    "=== logs ===",
];

/// The table, ready to be searched for.
pub(super) static MATCHER: LazyLock<Matcher> = LazyLock::new(Matcher::new);

pub(super) struct Matcher {
    automaton: NFA,
    /// By pattern of the automaton.
    phrases: Vec<Phrase>,
    rows: Vec<&'static Row>,
    /// By row: its conditions, each a list of patterns of which the text must have one.
    conditions: Vec<Vec<Vec<usize>>>,
}

struct Phrase {
    text: &'static str,
    role: Role,
    /// The rows whose first condition it meets.
    rows: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Condition(Place),
    DriverMark,
    StackHeading,
    /// The first word of a line of a stack.
    StackFrame,
}

/// The result of a search.
#[derive(Default)]
pub(super) struct Found {
    /// Rows whose first condition is met.
    rows: Set,
    /// Phrases that the text has.
    phrases: Set,
    /// Whether a WebDriver client or driver wrote the text.
    pub(super) is_drivers: bool,
    /// The end of the part in front of the stack.
    pub(super) head: usize,
}

/// A set of small numbers.
#[derive(Default)]
struct Set([u64; MAX / 64]);

impl Set {
    fn insert(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    fn contains(&self, number: usize) -> bool {
        self.0[number / 64] & 1 << (number % 64) != 0
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let mut word = word;
            std::iter::from_fn(move || {
                let bit = word.trailing_zeros() as usize;
                word &= word.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit)
            })
        })
    }
}

impl Matcher {
    fn new() -> Self {
        let mut phrases: Vec<Phrase> = Vec::new();
        let mut number = |text, role| {
            let known = phrases.iter();
            let mut known = known.map(|phrase| (phrase.text, phrase.role));
            known
                .position(|known| known == (text, role))
                .unwrap_or_else(|| {
                    let rows = Vec::new();
                    phrases.push(Phrase { text, role, rows });
                    phrases.len() - 1
                })
        };
        let quotes = QUOTES.iter().map(|(before, _)| before);
        for mark in DRIVER_MARKS.iter().chain(quotes) {
            number(mark, Role::DriverMark);
        }
        for heading in STACK_HEADINGS {
            number(heading, Role::StackHeading);
        }
        number(" at", Role::StackFrame);
        let rows: Vec<_> = rows().collect();
        let conditions = rows.iter().map(|row| {
            let conditions = row.conditions().map(|condition| {
                let role = Role::Condition(condition.place);
                let phrases = condition.phrases().iter();
                phrases.map(|phrase| number(*phrase, role)).collect()
            });
            conditions.collect()
        });
        let conditions: Vec<Vec<Vec<usize>>> = conditions.collect();
        for (at, row) in rows.iter().enumerate() {
            let first = conditions[at].first().filter(|_| row.code.is_none());
            for phrase in first.into_iter().flatten() {
                phrases[*phrase].rows.push(at);
            }
        }
        let automaton = NFA::new(phrases.iter().map(|phrase| phrase.text))
            .unwrap_or_else(|error| panic!("the phrases of the table: {error}"));
        Self {
            automaton,
            phrases,
            rows,
            conditions,
        }
    }

    /// Searches the text up to its stack, and the causes that follow the stack.
    pub(super) fn search(&self, text: &str) -> Found {
        let mut found = Found::default();
        found.head = self.search_part(text, 0, &mut found);
        let mut end = found.head;
        for _ in 0..super::MAX_CAUSES {
            let Some(cause) = text::cause_after(text, end) else {
                break;
            };
            end = self.search_part(text, cause, &mut found);
        }
        found
    }

    /// Searches from here to the next stack, whose start it returns.
    fn search_part(&self, text: &str, from: usize, found: &mut Found) -> usize {
        let end = self.walk(text, from, Anchored::No, found);
        let text = &text[..end];
        let mut line_start = from;
        for line in text[from..].split('\n') {
            let line_end = line_start + line.len();
            let message = line_start + text::message_start(line);
            if message < line_end {
                self.walk(text, message, Anchored::Yes, found);
            }
            line_start = line_end + 1;
        }
        end
    }

    /// Follows the automaton through the text and returns the start of the next stack. If anchored,
    /// every phrase must begin at `from`, the start of a message.
    fn walk(&self, text: &str, from: usize, anchored: Anchored, found: &mut Found) -> usize {
        let Ok(mut state) = self.automaton.start_state(anchored) else {
            return text.len();
        };
        for (byte, end) in Normalised::new(text, from) {
            state = self.automaton.next_state(anchored, state, byte);
            if self.automaton.is_dead(state) {
                break;
            }
            if !self.automaton.is_match(state) {
                continue;
            }
            for index in 0..self.automaton.match_len(state) {
                let number = PatternID::as_usize(&self.automaton.match_pattern(state, index));
                let phrase = &self.phrases[number];
                match phrase.role {
                    Role::DriverMark => found.is_drivers = true,
                    Role::StackHeading => return text.floor_char_boundary(end - phrase.text.len()),
                    Role::StackFrame if text::is_stack_frame(text, end) => return end - "at".len(),
                    Role::StackFrame => {}
                    Role::Condition(place) => {
                        let is_at_start = anchored.is_anchored();
                        let is_at_end = || text::is_message_end(&text[end..]);
                        let is_whole = || text[..from].trim_start().is_empty();
                        let is_there = match place {
                            Place::Anywhere => !is_at_start,
                            Place::MessageStart => is_at_start,
                            Place::MessageEnd => !is_at_start && is_at_end(),
                            Place::WholeMessage => is_at_start && is_at_end(),
                            Place::WholeText => is_at_start && is_whole() && is_at_end(),
                        };
                        if is_there {
                            found.phrases.insert(number);
                            for row in &phrase.rows {
                                found.rows.insert(*row);
                            }
                        }
                    }
                }
            }
        }
        text.len()
    }

    /// Returns the first row for this code. The text is searched only if a row also has conditions on it.
    pub(super) fn by_code<'f>(
        &self,
        code: &str,
        found: impl Fn() -> Option<&'f Found>,
    ) -> Option<&'static Row> {
        let rows = self.rows.iter().enumerate();
        let mut rows = rows.filter(|(_, row)| row.code == Some(code));
        let meets = |at: usize| {
            self.conditions[at].is_empty() || found().is_some_and(|found| self.meets(at, found))
        };
        rows.find(|(at, _)| meets(*at)).map(|(_, row)| *row)
    }

    /// Returns the first row on text whose conditions are met.
    pub(super) fn by_text(&self, found: &Found, site: Site) -> Option<&'static Row> {
        let row = found.rows.iter().find(|at| {
            let sites = self.rows[*at].sites;
            (sites.is_empty() || sites.contains(&site)) && self.meets(*at, found)
        });
        row.map(|at| self.rows[at])
    }

    fn meets(&self, row: usize, found: &Found) -> bool {
        let has = |phrase: &usize| found.phrases.contains(*phrase);
        self.conditions[row]
            .iter()
            .all(|condition| condition.iter().any(has))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_phrases_have_room() {
        assert!(MATCHER.rows.len() <= MAX && MATCHER.phrases.len() <= MAX);
        assert!(MATCHER.phrases.iter().all(|phrase| !phrase.text.is_empty()));
    }
}
