//! The error code that a plain text names.

use super::rules::rows;
use super::text;

/// Forms in which WebDriver clients and drivers quote a code: the text in front of it and behind it.
pub(super) const QUOTES: &[(&str, &str)] = &[
    ("WebDriver { error: ", ","),
    ("{\"value\":{\"error\":\"", "\""),
    ("received unknown error (", ")"),
];

/// Returns the error code that a text quotes or begins with.
///
/// Other programs begin their errors with some of these codes too. Such a code counts only in a text
/// that a WebDriver client or driver wrote.
pub(super) fn leading(text: &str, is_drivers: bool) -> Option<&'static str> {
    let mut codes = rows().filter_map(|row| Some((row.code?, row.is_common)));
    if is_drivers && let Some(name) = quoted(text) {
        let mut codes = codes.map(|(code, _)| code);
        return codes.find(|code| *code == name || is_variant(name, code));
    }
    let start = match text.split_once("Additional info:") {
        Some((_, rest)) if is_drivers => rest.trim_start(),
        _ => &text[text::message_start(text)..],
    };
    // Codes are in lower case, and most messages are not.
    if !start.starts_with(|c: char| c.is_ascii_lowercase() || c == '<') {
        return None;
    }
    let code =
        codes.find(|(code, common)| (is_drivers || !common) && begins_with_code(start, code));
    code.map(|(code, _)| code)
}

/// Returns the code or the name of its variant that a client or driver quotes.
fn quoted(text: &str) -> Option<&str> {
    // thirtyfour: `NoSuchWindow(WebDriverErrorInfo { status: 404, ..`
    if let Some((before, _)) = text.split_once("WebDriverErrorInfo {") {
        let is_other = |c: char| !c.is_ascii_alphanumeric();
        return before.trim_end_matches(is_other).rsplit(is_other).next();
    }
    QUOTES.iter().find_map(|(before, after)| {
        let (_, rest) = text.split_once(before)?;
        rest.split(after).next()
    })
}

fn begins_with_code(text: &str, code: &str) -> bool {
    text.strip_prefix(code).is_some_and(|rest| {
        let next = rest.trim_start();
        rest.starts_with([':', '\n', '\r']) || next.is_empty() || next.starts_with('(')
    })
}

/// Returns whether `NoSuchWindow` is `no such window`.
fn is_variant(name: &str, code: &str) -> bool {
    let letters = code.bytes().filter(|b| *b != b' ');
    let name = name.bytes().map(|b| b.to_ascii_lowercase());
    letters.eq(name)
}
