//! Masks passwords, tokens and keys in a foreign text: [`hide`].
//!
//! | form | example | masked |
//! |---|---|---|
//! | user and password of a URL | `https://me:pw@grid.example/` | `https://***@grid.example/` |
//! | a parameter, field or header with the name of a secret | `?api_key=x`, `"token": "x"`, `Cookie: x` | `?api_key=*` and so on |
//! | a list of them | `"keys": ["x", "y"]` | `"keys": [***]` |
//! | a bearer token | `Bearer eyJhbGci` | `Bearer ***` |
//! | the credentials of a header | `Authorization: Digest username="me", response="x"` | `Authorization: Digest ***` |
//!
//! Each of them also in percent-encoding and in JSON that is a string of JSON.

use std::borrow::Cow;
use std::ops::Range;

use super::decoded::Decoded;

/// Most levels of encoding that are looked into: a URL in a query in a JSON text has three.
const MAX_LEVELS: usize = 4;

/// Longest name of a secret, in bytes.
const MAX_NAME: usize = 48;

/// Ends of names whose value is a secret whatever stands around it. Without `_`, `-` and `.`.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "accesskeyid",
    "authkey",
    "privatekey",
    "secretkey",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "idtoken",
    "apitoken",
    "sessiontoken",
    "securitytoken",
    "csrftoken",
    "authorization",
    "cookie",
    "credential",
    "signature",
];

/// Names, or last words of names, that prose uses too: with `=`, as a quoted field, or before a value that
/// looks like a key.
const WORDS: &[&str] = &["key", "token", "sig", "auth", "pass", "pwd", "jwt"];

/// Values that are no secret.
const NOT_SECRET: &[&str] = &["yes", "no", "true", "false", "null", "none", "undefined"];

/// The schemes of an `Authorization` header; the secret follows.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "negotiate", "token", "apikey"];

/// Words that follow `bearer` in prose.
const AFTER_BEARER: &[&str] = &[
    "token",
    "tokens",
    "auth",
    "authentication",
    "authorization",
    "scheme",
    "header",
    "realm",
    "error",
    "is",
    "was",
    "not",
    "or",
    "and",
];

/// Masks every secret. A text that was cut may end within one: that is masked too, and the second value says
/// so. Masking never lengthens.
pub(super) fn hide(text: &str, is_cut: bool) -> (Cow<'_, str>, bool) {
    let mut secrets = find(text, is_cut);
    // A value ends at the delimiters of its own level: `%26` is part of `?key=a%26b`, and ends `key%3Da%26b`.
    let mut decoded = Decoded::new(text);
    for _ in 0..MAX_LEVELS {
        if !decoded.decode() {
            break;
        }
        let found = find(decoded.text(), is_cut);
        secrets.extend(found.into_iter().map(|range| {
            let Range { start, end } = decoded.original(range);
            // Only the name was encoded: the value is of this level.
            match text[..start].ends_with('=') {
                true => start..end.max(value_at(text, start).1),
                false => start..end,
            }
        }));
    }
    secrets.sort_unstable_by_key(|range| range.start);
    let (mut out, mut done) = (String::new(), 0);
    for Range { start, end } in secrets {
        if end <= done {
            continue;
        }
        if start >= done {
            out.push_str(&text[done..start]);
            out.push_str(&"***"[..(end - start).min(3)]);
        }
        done = end;
    }
    if done == 0 {
        return (Cow::Borrowed(text), false);
    }
    out.push_str(&text[done..]);
    (Cow::Owned(out), is_cut && done == text.len())
}

/// Returns where the secrets are that no encoding hides.
fn find(text: &str, is_cut: bool) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let secret = match bytes[at] {
            b':' if text[at..].starts_with("://") => user_info(text, at + 3, is_cut),
            b':' | b'=' => field(text, at),
            b' ' => bearer(text, at),
            _ => None,
        };
        match secret {
            Some((start, end)) if start < end => {
                found.push(start..end);
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

/// Returns user and password of the URL whose authority starts here.
fn user_info(text: &str, start: usize, is_cut: bool) -> Option<(usize, usize)> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    let url = &text[start..];
    let url = &url[..url.find(is_end).unwrap_or(url.len())];
    let authority = &url[..url.find(['/', '?', '#', '\\']).unwrap_or(url.len())];
    // A password may hold these characters as they are. A host has at most a port before them.
    let is_host = match authority.split_once(':') {
        Some((host, port)) => {
            let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            is_port || host.starts_with('[') || authority.contains('@')
        }
        None => true,
    };
    let part = if is_host { authority } else { url };
    match part.rfind('@') {
        Some(at) => Some((start, start + at)),
        // Its `@` may be behind the cut.
        None => (is_cut && start + part.len() == text.len()).then_some((start, text.len())),
    }
}

/// Returns the value behind this `:` or `=` if the name before it is a secret's.
fn field(text: &str, at: usize) -> Option<(usize, usize)> {
    let is_colon = text.as_bytes()[at] == b':';
    let behind = &text[at + 1..];
    if is_colon && (behind.starts_with(':') || text[..at].ends_with(':')) {
        return None;
    }
    let head = text[..at].trim_end_matches(' ');
    let unquoted = head.trim_end_matches(['"', '\'', ']']);
    let is_field = head.ends_with(['"', '\'']);
    let name = name_at_end(unquoted);
    let is_name = is_secret_name(name);
    if !is_name && !ends_with_word(name) {
        return None;
    }
    let behind = behind.trim_start_matches(['=', '>']);
    let value = behind.trim_start_matches(' ');
    let start = text.len() - value.len();
    if name.eq_ignore_ascii_case("cookie") || name.eq_ignore_ascii_case("set-cookie") {
        return Some((start, cookies_end(text, start)));
    }
    let is_prose = is_colon && !is_field && !is_name;
    let (start, end) = match value.as_bytes().first() {
        Some(b'[') => (start + 1, list_end(text, start)),
        Some(b'{') if !is_prose => (start + 1, list_end(text, start)),
        _ => value_at(text, start),
    };
    let value = &text[start..end];
    let is_word = is_prose && !value.split(',').any(|part| looks_random(part.trim()));
    if is_word
        || NOT_SECRET
            .iter()
            .any(|plain| value.eq_ignore_ascii_case(plain))
    {
        return None;
    }
    // `Authorization: Bearer xyz`
    if SCHEMES
        .iter()
        .any(|scheme| value.eq_ignore_ascii_case(scheme))
        && text[end..].starts_with(' ')
    {
        let start = behind_blanks(text, end);
        return Some((start, parameters_end(text, start)));
    }
    Some((start, end))
}

/// Returns the token behind the word `Bearer` that ends here.
fn bearer(text: &str, at: usize) -> Option<(usize, usize)> {
    const BEARER: &str = "bearer";
    let start = at.checked_sub(BEARER.len())?;
    let is_bearer = text.get(start..at)?.eq_ignore_ascii_case(BEARER);
    if !is_bearer || text[..start].ends_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let (start, end) = value_at(text, behind_blanks(text, at));
    let word = text[start..end].split(['=', ',', ':']).next()?;
    let is_word = AFTER_BEARER
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    (!is_word).then_some((start, end))
}

/// Returns the value that starts here, without its quotes.
fn value_at(text: &str, start: usize) -> (usize, usize) {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let value = &text[start..];
    let is_end = |(at, c): &(usize, char)| match c {
        '&' => true,
        '<' => is_closing_tag(&value[*at..]),
        // An escape of the text around the value.
        '\\' => {
            let escaped = value[*at..].trim_start_matches('\\');
            escaped.starts_with(is_quote) || escaped.starts_with("u00")
        }
        c => c.is_whitespace() || is_quote(*c),
    };
    let end = value.char_indices().find(is_end);
    let len = end.map_or(value.len(), |(at, _)| at);
    let (before, rest) = value.split_at(len);
    // `"..."`, `b'...'`, `Some("...")`
    let opens = before.len() <= 2 && before.chars().all(|c| c.is_ascii_alphabetic())
        || before.ends_with('(');
    if opens && let Some(quote) = rest.chars().next().filter(|c| is_quote(*c)) {
        let start = start + len + 1;
        return (start, start + quoted_len(&text[start..], quote));
    }
    let kept = before.trim_end_matches([')', ']', '}', '>', ',', '.', ';']);
    (start, start + kept.len())
}

/// Returns whether a text begins with `</name>`.
fn is_closing_tag(text: &str) -> bool {
    let name = text.strip_prefix("</").and_then(|tag| tag.split_once('>'));
    name.is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn behind_blanks(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches(' ').len()
}

/// Returns the end of `a`, or of `a="b", c=d`.
fn parameters_end(text: &str, start: usize) -> usize {
    let mut end = value_at(text, start).1;
    loop {
        if text[..end].ends_with('=') && text[end..].starts_with('"') {
            end = text.len().min(end + 2 + quoted_len(&text[end + 1..], '"'));
        }
        let Some(next) = text[end..].trim_start_matches(' ').strip_prefix(',') else {
            return end;
        };
        let next = next.trim_start_matches(' ');
        let behind_name = next.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
        if behind_name.len() == next.len() || !behind_name.starts_with('=') {
            return end;
        }
        end = value_at(text, text.len() - next.len()).1;
    }
}

/// Returns the length of a quoted text up to its closing quote.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            c if c == quote && !is_escaped => return i,
            c => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Returns the place of the bracket that closes the one at `start`.
fn list_end(text: &str, start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' => at += 1 + quoted_len(&text[at + 1..], c),
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 1 => return at,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        at = text.len().min(at + c.len_utf8());
    }
    text.len()
}

/// Returns the end of `a=b; c=d`.
fn cookies_end(text: &str, start: usize) -> usize {
    let mut end = start;
    loop {
        end += text[end..]
            .find(char::is_whitespace)
            .unwrap_or(text.len() - end);
        if !text[..end].ends_with(';') || end == text.len() {
            return end;
        }
        end += 1;
    }
}

/// Returns the name that this text ends with.
fn name_at_end(text: &str) -> &str {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let len = text
        .bytes()
        .rev()
        .take(MAX_NAME)
        .take_while(is_name)
        .count();
    &text[text.len() - len..]
}

/// Returns whether a name is always that of a secret.
fn is_secret_name(name: &str) -> bool {
    let letters = || {
        name.bytes()
            .filter(u8::is_ascii_alphanumeric)
            .map(|byte| byte.to_ascii_lowercase())
            .rev()
    };
    let letters = || letters().skip_while(u8::is_ascii_digit);
    let ends_with = |known: &str, plural: usize| {
        let mut letters = letters().skip(plural);
        known.bytes().rev().all(|byte| letters.next() == Some(byte))
    };
    let is_plural = letters().next() == Some(b's');
    NAMES
        .iter()
        .any(|known| ends_with(known, 0) || is_plural && ends_with(known, 1))
}

/// Returns whether a name's last word is in [`WORDS`], or its plural is: `key`, `hub_keys`, `hubKey`, not
/// `monkey`.
fn ends_with_word(name: &str) -> bool {
    let singular = name.strip_suffix(['s', 'S']).unwrap_or(name);
    WORDS
        .iter()
        .flat_map(|word| [(name, word), (singular, word)])
        .any(|(name, word)| {
            let Some(start) = name.len().checked_sub(word.len()) else {
                return false;
            };
            let (before, last) = name.split_at(start);
            let is_word = before.is_empty()
                || before.ends_with(['_', '-', '.'])
                || last.starts_with(|c: char| c.is_ascii_uppercase());
            is_word && last.eq_ignore_ascii_case(word)
        })
}

/// Returns whether a value is more likely a key than a word of prose.
fn looks_random(value: &str) -> bool {
    value.len() >= 32 || value.len() >= 8 && value.bytes().any(|byte| byte.is_ascii_digit())
}
