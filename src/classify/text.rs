//! The form of foreign texts: white space, prefixes that logs put in front of a message, the end of a
//! message, stacks.

/// Most bytes of white space and colours between two words.
const MAX_GAP: usize = 128;

/// Most bytes of a colour.
const MAX_COLOUR: usize = 16;

/// Most bytes of the name that a log puts in front of each line, and of the blanks behind it.
const MAX_NAME: usize = 48;
const MAX_BLANKS: usize = 32;

/// Most bytes of the prefixes in front of a message.
const MAX_PREFIX: usize = 256;

/// The bytes of a text, each with its end, as phrases are compared with them: white space and colours between
/// two words are one blank.
pub(super) struct Normalised<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Normalised<'t> {
    pub(super) const fn new(text: &'t str, from: usize) -> Self {
        let text = text.as_bytes();
        Self { text, at: from }
    }
}

impl Iterator for Normalised<'_> {
    type Item = (u8, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let byte = *self.text.get(self.at)?;
        let gap = match byte {
            b'\\' | 0x1b => gap(&self.text[self.at..]),
            _ if byte.is_ascii_whitespace() => gap(&self.text[self.at..]),
            _ => 0,
        };
        self.at += gap.max(1);
        Some((if gap > 0 { b' ' } else { byte }, self.at))
    }
}

/// Returns the length of the white space at the start: blanks, line breaks, these written as `\n`,
/// colours of a terminal, and the name with a bar that `docker compose` and pm2 put in front of a line.
fn gap(text: &[u8]) -> usize {
    let mut at = 0;
    let mut is_new_line = false;
    while at < MAX_GAP {
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

/// Returns the length of the colour at the start, whose first byte is an escape.
fn colour(text: &[u8]) -> usize {
    let mut near = text.iter().take(MAX_COLOUR);
    near.position(u8::is_ascii_alphabetic)
        .map_or(1, |end| end + 1)
}

/// Returns the length of `web-1  | ` or `0|index  | ` at the start.
fn name_with_bar(text: &[u8]) -> Option<usize> {
    let count = |from: usize, max: usize, is: fn(&u8) -> bool| {
        let near = text[from..].iter().take(max);
        near.take_while(|b| is(b)).count()
    };
    let name = count(0, MAX_NAME, |b| {
        b.is_ascii_alphanumeric() || b"-_.|".contains(b)
    });
    let end = name + count(name, MAX_BLANKS, |b| *b == b' ');
    match &text[end..] {
        [b'|', b' ', ..] if name > 0 => Some(end + 2),
        _ if name > 1 && end > name && text[name - 1] == b'|' => Some(end),
        _ => None,
    }
}

/// Returns whether a message may end in front of this text: at its end or a line's end, a closing bracket or
/// quotation mark, two blanks, a stack; a full stop may precede them.
pub(super) fn is_message_end(rest: &str) -> bool {
    let rest = rest.as_bytes();
    let stops = rest.iter().take(3).take_while(|b| b".!".contains(b));
    match &rest[stops.count()..] {
        [] | [b' ']
        | [b'\n' | b'\r' | b'\t' | b'"' | b'\'' | b'`' | b'}' | 0x1b, ..]
        | [b'\\', b'n' | b'r' | b'"', ..]
        | [b' ', b' ' | b'\n' | b'{' | b'(' | b'=', ..]
        // The log of Playwright, if its line breaks are lost.
        | [b' ', b'C', b'a', b'l', b'l', b' ', b'l', ..] => true,
        [b' ', b'a', b't', b' ', frame @ ..] => frame.iter().take(200).any(|b| b"(:".contains(b)),
        _ => false,
    }
}

/// Returns whether the `at` that ends here begins a line of a stack.
pub(super) fn is_stack_frame(text: &str, end: usize) -> bool {
    let (before, after) = text.split_at(end);
    let indents = ["  at", "\tat", "\\n at"];
    after.starts_with(' ') && indents.iter().any(|indent| before.ends_with(indent))
}

/// Returns the start of the first cause that follows this position.
pub(super) fn cause_after(text: &str, from: usize) -> Option<usize> {
    let starts = ["Caused by: ", "[cause]: "].into_iter();
    let causes = starts.filter_map(|start| Some(from + text[from..].find(start)? + start.len()));
    causes.min()
}

/// Returns the start of the message, behind the prefixes of logs and the names of error types.
pub(super) fn message_start(text: &str) -> usize {
    let near = &text[..text.floor_char_boundary(MAX_PREFIX)];
    let prefixes = std::iter::successors(Some(near), |rest| without_prefix(rest));
    near.len() - prefixes.last().map_or(0, str::len)
}

/// Returns the text without its first prefix.
fn without_prefix(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    match bytes {
        [0x1b, ..] => return text.get(colour(bytes)..),
        [b'\\', b'n' | b'r' | b't', ..] => return text.get(2..),
        [b'[' | b'(', ..] => {
            let (_, rest) = text.split_once([']', ')'])?;
            return rest.starts_with([' ', ':']).then_some(rest);
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
    let (word, rest) = text.split_at(text.find([' ', '\n', '\t'])?);
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let is_time = |c: char| c.is_ascii_digit() || ":-.,TZ+/".contains(c);
        return word.chars().all(is_time).then_some(rest);
    }
    if let Some(name) = word.strip_suffix(':') {
        let name = name.split('\u{1b}').next().unwrap_or(name);
        return is_label(name).then_some(rest);
    }
    if let Some(rest) = rest.strip_prefix(" : ") {
        return is_label(word).then_some(rest);
    }
    let mut prefixes = PREFIXES.iter();
    prefixes
        .find_map(|prefix| text.strip_prefix(prefix))
        .or_else(|| without_journal(text))
}

/// Returns whether a word in front of a colon is a type, a level or a call and no part of the message.
fn is_label(word: &str) -> bool {
    let last = word.rsplit(['.', ':']).next().unwrap_or(word);
    let types = ["Error", "Exception", "Warning", "Rejection"];
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
    let call = word.split_once('.');
    types.iter().any(|end| last.ends_with(end))
        || LABELS.contains(&word)
        || call.is_some_and(|(object, call)| is_name(object) && is_name(call))
}

/// Words that are no part of a message if a colon follows.
const LABELS: &[&str] = &[
    "error", "ERROR", "err", "warn", "warning", "WARN", "info", "fatal", "FATAL", "Message",
    "message", "Uncaught", "reason", "msg", "stack", "GOTO", "value",
];

/// Further beginnings that are no part of a message.
const PREFIXES: &[&str] = &[
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

/// Returns the text without `Nov 23 05:50:01 host unit[123]: `, as the journal writes.
fn without_journal(text: &str) -> Option<&str> {
    let (month, _) = text.split_once(' ')?;
    let is_month = month.len() == 3 && "JanFebMarAprMayJunJulAugSepOctNovDec".contains(month);
    let (_, rest) = text.split_once("]: ")?;
    is_month.then_some(rest)
}

#[cfg(test)]
mod tests;
