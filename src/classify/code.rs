//! The error code that a plain text tells.

use super::rules::{self, Pattern};
use super::text;

/// The error code that a text begins with.
///
/// Most are words that only WebDriver says. Some begin the errors of any program: they count only
/// where the text shows in another way whose it is.
pub(super) fn leading(said: &str, is_drivers: bool) -> Option<&'static str> {
    let all = || {
        rules::codes().iter().filter_map(|row| match row.pattern {
            Pattern::Code(code) | Pattern::VagueCode(code) => Some(code),
            _ => None,
        })
    };
    if !is_drivers {
        let start = &said[text::undressed(said)..];
        // Codes are written small, and most messages are not.
        if !start.starts_with(|c: char| c.is_ascii_lowercase() || c == '<') {
            return None;
        }
        let code = all().find(|code| begins_with_code(start, code))?;
        return (!ANYBODYS.contains(&code)).then_some(code);
    }
    // `Standard(WebDriver { error: NoSuchWindow, ..`
    if let Some((_, rest)) = said.split_once("WebDriver { error: ") {
        let name = rest.split(',').next()?;
        return all().find(|code| is_variant(name, code));
    }
    // `{"value":{"error":"no such window",..`
    if let Some((_, rest)) = said.split_once("{\"value\":{\"error\":\"") {
        let name = rest.split('"').next()?;
        return all().find(|code| *code == name);
    }
    let start = match said.split_once("Additional info:") {
        Some((_, rest)) => rest.trim_start(),
        None => &said[text::undressed(said)..],
    };
    all().find(|code| begins_with_code(start, code))
}

/// Codes that begin the errors of other programs too, some of them ours.
const ANYBODYS: &[&str] = &[
    "ambiguous_tab",
    "misconfigured",
    "look timeout",
    "wrong origin",
    "no answer",
    "connection lost",
    "driver unreachable",
    "source panicked",
    "disconnected",
    "invalid argument",
    "invalid coordinates",
    "no such request",
    "no such node",
    "no such handle",
    "timeout",
    "unknown command",
    "unknown error",
    "unknown method",
    "unknown path",
    "unsupported operation",
    "invalid selector",
    "invalid session id",
    "no such alert",
    "script timeout",
    "session not created",
];

fn begins_with_code(start: &str, code: &str) -> bool {
    start.strip_prefix(code).is_some_and(|rest| {
        let next = rest.trim_start();
        rest.starts_with([':', '\n', '\r']) || next.is_empty() || next.starts_with('(')
    })
}

/// Whether `NoSuchWindow` is `no such window`.
fn is_variant(name: &str, code: &str) -> bool {
    let letters = code.bytes().filter(|b| *b != b' ');
    name.len() == letters.clone().count()
        && letters
            .zip(name.bytes())
            .all(|(a, b)| a == b.to_ascii_lowercase())
}
