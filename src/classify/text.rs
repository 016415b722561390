//! How a foreign text is read: white space and colours within a sentence, what logs put before a
//! message, where it ends.

/// Most bytes of white space and colour between two words.
const LONGEST_GAP: usize = 128;

/// Most bytes of a colour.
const LONGEST_COLOUR: usize = 16;

/// Most bytes of the name that a log puts before each line, and of the blanks behind it.
const LONGEST_NAME: usize = 48;
const LONGEST_BLANKS: usize = 32;

/// Most bytes that a log may put before a message.
const LONGEST_DRESS: usize = 256;

/// Where the words end that are expected at `at`; a blank among them fits any gap.
pub(super) fn match_forward(text: &[u8], mut at: usize, words: &[u8]) -> Option<usize> {
    for &word in words {
        if text.get(at) == Some(&word) {
            at += 1;
            if word == b' ' {
                at += gap(&text[at..]);
            }
        } else if word == b' ' {
            let len = gap(&text[at.min(text.len())..]);
            if len == 0 {
                return None;
            }
            at += len;
        } else {
            return None;
        }
    }
    Some(at)
}

/// Where the words begin that are expected to end at `end`, none of them before `from`.
pub(super) fn match_backward(
    text: &[u8],
    mut end: usize,
    words: &[u8],
    from: usize,
) -> Option<usize> {
    for &word in words.iter().rev() {
        let mut last = text.get(from..end)?;
        if word == b' ' {
            let whole = last.len();
            while let Some(rest) = without_gap(last)
                && whole - rest.len() <= LONGEST_GAP
            {
                last = rest;
            }
            if last.len() == whole {
                return None;
            }
            end = from + last.len();
        } else if last.last() == Some(&word) {
            end -= 1;
        } else {
            return None;
        }
    }
    Some(end)
}

/// The length of white space at the start: blanks, line breaks, these written as `\n`, colours of a
/// terminal, and after a line break the name with a bar that `docker compose` and pm2 put there.
fn gap(text: &[u8]) -> usize {
    let mut at = 0;
    let mut is_new_line = false;
    while at < LONGEST_GAP {
        match &text[at..] {
            [b'\n', ..] => {
                is_new_line = true;
                at += 1;
            }
            [b, ..] if b.is_ascii_whitespace() => at += 1,
            [b'\\', b'n' | b'r' | b't', ..] => at += 2,
            [0x1b, ..] => at += colour(&text[at..]),
            rest if is_new_line => {
                is_new_line = false;
                match name_with_bar(rest) {
                    Some(len) => at += len,
                    None => break,
                }
            }
            _ => break,
        }
    }
    at
}

/// The text without the last piece of a [`gap`], if it ends with one.
fn without_gap(text: &[u8]) -> Option<&[u8]> {
    // What is all of the text behind this byte, if it stands in the last ones.
    let behind = |byte: u8, most: usize| {
        let near = text.len().saturating_sub(most);
        let at = near + text[near..].iter().rposition(|b| *b == byte)?;
        Some((&text[..at], &text[at..]))
    };
    match text {
        [rest @ .., b'\\', b'n' | b'r' | b't'] => Some(rest),
        [rest @ .., last] if last.is_ascii_whitespace() => {
            let line = || behind(b'\n', LONGEST_NAME + LONGEST_BLANKS + 3);
            match rest {
                [.., b'|'] => line()
                    .filter(|(_, line)| name_with_bar(&line[1..]) == Some(line.len() - 1))
                    .map_or(Some(rest), |(before, _)| Some(before)),
                _ => Some(rest),
            }
        }
        _ => {
            let (before, escape) = behind(0x1b, LONGEST_COLOUR)?;
            (colour(escape) == escape.len()).then_some(before)
        }
    }
}

/// The length of the colour at the start, whose first byte is an escape.
fn colour(text: &[u8]) -> usize {
    let mut near = text.iter().take(LONGEST_COLOUR);
    near.position(u8::is_ascii_alphabetic)
        .map_or(1, |end| end + 1)
}

/// `web-1  | `, `0|index  | `: its length.
fn name_with_bar(text: &[u8]) -> Option<usize> {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'|');
    let name = text
        .iter()
        .take(LONGEST_NAME)
        .take_while(|b| is_name(b))
        .count();
    let blanks = text[name..]
        .iter()
        .take(LONGEST_BLANKS)
        .take_while(|b| **b == b' ')
        .count();
    let rest = &text[name + blanks..];
    match rest {
        [b'|', b' ', ..] if name > 0 => Some(name + blanks + 2),
        _ if name > 1 && blanks > 0 && text[name - 1] == b'|' => Some(name + blanks),
        _ => None,
    }
}

/// Whether a message may end before this: at the end, a line's end, a bracket or quotation mark that
/// closes, two blanks, or a stack, with a full stop or the like in front of it.
pub(super) fn is_end(rest: &[u8]) -> bool {
    let stops = rest
        .iter()
        .take(3)
        .take_while(|b| matches!(b, b'.' | b'!'))
        .count();
    match &rest[stops..] {
        [] | [b' ']
        | [b'\n' | b'\r' | b'\t' | b'"' | b'\'' | b'`' | b'}' | 0x1b, ..]
        | [b'\\', b'n' | b'r' | b'"', ..]
        | [b' ', b' ' | b'\n' | b'{' | b'(' | b'=', ..]
        // What Playwright writes behind a message, where its line breaks are lost.
        | [b' ', b'C', b'a', b'l', b'l', b' ', b'l', ..] => true,
        [b' ', b'a', b't', b' ', after @ ..] => {
            after.iter().take(200).any(|b| matches!(b, b'(' | b':'))
        }
        _ => false,
    }
}

/// Where behind a stack a cause is told, if one is.
pub(super) fn cause_after(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let starts = ["Caused by: ", "[cause]: "];
    let found = starts
        .iter()
        .filter_map(|start| rest.find(start).map(|at| at + start.len()));
    found.min().map(|at| from + at)
}

/// The line that a pass is in.
pub(super) struct Line {
    start: usize,
    /// Where the message begins in it, once somebody has asked.
    message: Option<usize>,
}

impl Line {
    pub(super) const fn at(start: usize) -> Self {
        Self {
            start,
            message: None,
        }
    }

    /// Whether the message of the line that holds `at` begins just there.
    pub(super) fn is_begun_at(&mut self, text: &str, at: usize) -> bool {
        let from = self.start.max(at.saturating_sub(LONGEST_DRESS));
        let Some(near) = text.as_bytes().get(from..at) else {
            return false;
        };
        if let Some(breaks) = near.iter().rposition(|b| *b == b'\n') {
            let start = at - near.len() + breaks + 1;
            if start != self.start {
                *self = Self::at(start);
            }
        } else if at - self.start > LONGEST_DRESS {
            return false;
        }
        let start = self.start;
        *self
            .message
            .get_or_insert_with(|| start + undressed(&text[start..]))
            == at
    }
}

/// Whether the text begins just there, blanks aside.
pub(super) fn is_begun_at(text: &str, at: usize) -> bool {
    let before = text.get(..at).filter(|_| at <= LONGEST_GAP);
    before.is_some_and(|before| before.trim_start().is_empty())
}

/// Where the message begins, behind what logs and error types put before it.
pub(super) fn undressed(text: &str) -> usize {
    let end = text.floor_char_boundary(LONGEST_DRESS);
    let all = &text[..end];
    let mut rest = all;
    // Each turn takes one piece off, so there are no more turns than bytes.
    while let Some(next) = without_piece(rest) {
        rest = next;
    }
    all.len() - rest.len()
}

/// The text without the first piece of dress, if it begins with one.
fn without_piece(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    match bytes {
        [0x1b, ..] => return text.get(colour(bytes)..),
        [b'\\', b'n' | b'r' | b't', ..] => return text.get(2..),
        [b'[' | b'(', ..] => {
            let end = text.find([']', ')'])?;
            let behind = text.get(end + 1..)?;
            return behind.starts_with([' ', ':']).then_some(behind);
        }
        [] | [b'<' | b'/' | b'_' | b'.' | b'$' | b'#', ..] => return None,
        [first, ..] if !first.is_ascii_alphanumeric() => {
            let mut chars = text.chars();
            chars.next();
            return Some(chars.as_str());
        }
        _ => {}
    }
    if let Some(len) = name_with_bar(bytes) {
        return text.get(len..);
    }
    let word_end = text.find([' ', '\n', '\t'])?;
    let (word, behind) = text.split_at(word_end);
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let is_time = |c: char| {
            c.is_ascii_digit() || matches!(c, ':' | '-' | '.' | ',' | 'T' | 'Z' | '+' | '/')
        };
        return word.chars().all(is_time).then_some(behind);
    }
    if let Some(name) = word.strip_suffix(':') {
        let name = name.split('\u{1b}').next().unwrap_or(name);
        return is_dress(name).then_some(behind);
    }
    if let Some(behind) = behind.strip_prefix(" : ") {
        return is_dress(word).then_some(behind);
    }
    LEADS
        .iter()
        .find_map(|lead| text.strip_prefix(lead))
        .or_else(|| journal(text))
}

/// Whether a word with a colon behind it is a type, a level or a call and not part of the message.
fn is_dress(name: &str) -> bool {
    let last = name.rsplit(['.', ':']).next().unwrap_or(name);
    let is_type = ["Error", "Exception", "Warning", "Rejection"]
        .iter()
        .any(|end| last.ends_with(end));
    let is_call = || {
        name.split_once('.').is_some_and(|(object, call)| {
            let is_word =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
            is_word(object) && is_word(call)
        })
    };
    is_type || WORDS.contains(&name) || is_call()
}

/// Words with a colon that are no part of a message.
const WORDS: &[&str] = &[
    "error", "ERROR", "err", "warn", "warning", "WARN", "info", "fatal", "FATAL", "Message",
    "message", "Uncaught", "reason", "msg", "stack", "GOTO", "value",
];

/// Further beginnings that are no part of a message.
const LEADS: &[&str] = &[
    "Uncaught ",
    "Unhandled promise rejection ",
    "Unhandled Promise Rejection ",
    "Unhandled rejection ",
    "Unhandled Rejection ",
    "Unhandled ",
    "Caused by: ",
    "webdriver returned error: ",
    "webdriver did not create session: ",
    "unexpected webdriver error: ",
    "ERROR ",
    "WARN ",
    "INFO ",
    "FATAL ",
    "error ",
    "warn ",
];

/// Behind `Nov 23 05:50:01 host unit[123]: `, as the journal writes.
fn journal(text: &str) -> Option<&str> {
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let is_month = text
        .get(..4)
        .is_some_and(|month| month.ends_with(' ') && months.contains(month.trim_end()));
    let (_, behind) = text.split_once("]: ")?;
    is_month.then_some(behind)
}

#[cfg(test)]
mod tests;
