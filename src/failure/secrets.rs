//! Masks passwords, tokens and keys in a foreign text: [`hide`].
//!
//! | form | example | masked |
//! |---|---|---|
//! | user and password of a URL | `https://me:pw@grid.example/` | `https://***@grid.example/` |
//! | a parameter, field or header with the name of a secret | `?api_key=x`, `"token": "x"`, `Cookie: x` | `?api_key=*` and so on |
//! | a bearer token | `Bearer eyJhbGci` | `Bearer ***` |

use std::borrow::Cow;

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
    "credentials",
    "signature",
];

/// Names, or last words of names, that prose uses too: with `=`, as a quoted field, or before a value that
/// looks like a key.
const WORDS: &[&str] = &["key", "token", "sig", "auth", "pass", "pwd", "jwt"];

/// Values that are no secret.
const PLAIN: &[&str] = &["yes", "no", "true", "false", "null", "none", "undefined"];

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
    let bytes = text.as_bytes();
    let (mut out, mut done, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let secret = match bytes[at] {
            b':' if text[at..].starts_with("://") => user_info(text, at + 3, is_cut),
            b':' | b'=' => field(text, at),
            b' ' => bearer(text, at),
            _ => None,
        };
        match secret {
            Some((start, end)) if start < end => {
                out.push_str(&text[done..start]);
                out.push_str(&"***"[..(end - start).min(3)]);
                (done, at) = (end, end);
            }
            _ => at += 1,
        }
    }
    if done == 0 {
        return (Cow::Borrowed(text), false);
    }
    out.push_str(&text[done..]);
    (Cow::Owned(out), is_cut && done == text.len())
}

/// User and password of the URL whose authority starts here.
fn user_info(text: &str, start: usize, is_cut: bool) -> Option<(usize, usize)> {
    let is_end =
        |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\');
    let len = text[start..].find(is_end);
    let end = start + len.unwrap_or(text.len() - start);
    match text[start..end].rfind('@') {
        Some(at) => Some((start, start + at)),
        // Its `@` may be behind the cut.
        None => (len.is_none() && is_cut).then_some((start, end)),
    }
}

/// The value behind this `:` or `=` if the name before it is a secret's.
fn field(text: &str, at: usize) -> Option<(usize, usize)> {
    let is_colon = text.as_bytes()[at] == b':';
    let behind = &text[at + 1..];
    if is_colon && (behind.starts_with(':') || text[..at].ends_with(':')) {
        return None;
    }
    let head = text[..at].trim_end_matches(' ');
    let unquoted = head.trim_end_matches(['"', '\'', '\\', ']']);
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
    let (start, end) = value_at(text, start);
    let value = &text[start..end];
    let is_prose = is_colon && !is_field && !is_name && !looks_random(value);
    if is_prose || PLAIN.iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
        return None;
    }
    // `Authorization: Bearer xyz`
    if SCHEMES
        .iter()
        .any(|scheme| value.eq_ignore_ascii_case(scheme))
        && text[end..].starts_with(' ')
    {
        return Some(value_at(text, end + 1));
    }
    Some((start, end))
}

/// The token behind the word `Bearer` that ends here.
fn bearer(text: &str, at: usize) -> Option<(usize, usize)> {
    const BEARER: &str = "bearer";
    let start = at.checked_sub(BEARER.len())?;
    let is_bearer = text.get(start..at)?.eq_ignore_ascii_case(BEARER);
    if !is_bearer || text[..start].ends_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let (start, end) = value_at(text, at + 1);
    let word = text[start..end].split(['=', ',', ':']).next()?;
    let is_word = AFTER_BEARER
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    (!is_word).then_some((start, end))
}

/// The value that starts here, without its quotes.
fn value_at(text: &str, start: usize) -> (usize, usize) {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let value = &text[start..];
    let is_end = |c: char| c.is_whitespace() || is_quote(c) || matches!(c, '&' | '<' | '>' | '\\');
    let len = value.find(is_end).unwrap_or(value.len());
    let (before, rest) = value.split_at(len);
    // `"..."`, `\"...\"`, `b'...'`, `Some("...")`
    let opens = before.len() <= 2 && before.chars().all(|c| c.is_ascii_alphabetic())
        || before.ends_with(['(', '[', '{']);
    let unescaped = rest.trim_start_matches('\\');
    if opens && let Some(quote) = unescaped.chars().next().filter(|c| is_quote(*c)) {
        let is_escaped = unescaped.len() < rest.len();
        let inner = &unescaped[1..];
        let start = text.len() - inner.len();
        return (start, start + quoted_len(inner, quote, is_escaped));
    }
    let kept = before.trim_end_matches([')', ']', '}', ',', '.', ';']);
    (start, start + kept.len())
}

/// The length of a quoted text up to its closing quote.
fn quoted_len(text: &str, quote: char, is_escaped: bool) -> usize {
    let mut backslashes = 0;
    for (i, c) in text.char_indices() {
        match c {
            '\\' => backslashes += 1,
            c if c == quote && is_escaped => return i - backslashes,
            c if c == quote && backslashes % 2 == 0 => return i,
            _ => backslashes = 0,
        }
    }
    text.len()
}

/// The end of `a=b; c=d`.
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

/// The name that this text ends with.
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

/// Whether a name is always that of a secret.
fn is_secret_name(name: &str) -> bool {
    let letters = || {
        name.bytes()
            .filter(u8::is_ascii_alphanumeric)
            .map(|byte| byte.to_ascii_lowercase())
            .rev()
    };
    let letters = || letters().skip_while(u8::is_ascii_digit);
    NAMES.iter().any(|known| {
        let mut letters = letters();
        known.bytes().rev().all(|byte| letters.next() == Some(byte))
    })
}

/// Whether a name's last word is in [`WORDS`]: `key`, `hub_key`, `hubKey`, not `monkey`.
fn ends_with_word(name: &str) -> bool {
    WORDS.iter().any(|word| {
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

/// Whether a value is more likely a key than a word of prose.
fn looks_random(value: &str) -> bool {
    value.len() >= 32 || value.len() >= 8 && value.bytes().any(|byte| byte.is_ascii_digit())
}
