//! [`clean`]: makes foreign text safe to show.

use super::secrets::hide;

/// The servers of WhatsApp's addresses: what comes before one and its `@` is masked.
pub(crate) const JID_SERVERS: &[&str] = &[
    "c.us",
    "s.whatsapp.net",
    "hosted",
    "lid",
    "hosted.lid",
    "g.us",
    "newsletter",
    "broadcast",
    "bot",
    "msgr",
    "interop",
    "call",
];

/// Fewest digits of a number that is masked.
pub(super) const MIN_RUN: usize = 7;

/// Cleans a foreign text: drops control and invisible characters and a terminal's colours, masks
/// secrets, JIDs and numbers, cuts at `max` bytes and marks the cut. Reads no more of the input than it needs.
pub(crate) fn clean(text: &str, max: usize) -> String {
    // Masking never lengthens, and a number that the cut splits must not lose its mask: so more than
    // `max` is read before the masking, the last bytes of it only to see whether a secret ends the kept part.
    let (wanted, ahead) = (max * 2, 64);
    let mut kept = String::with_capacity(text.len().min(wanted + ahead));
    let mut chars = text.chars();
    while kept.len() < wanted + ahead {
        let Some(c) = chars.next() else { break };
        if let Some(behind) = behind_sequence(c, chars.as_str()) {
            chars = behind.chars();
        } else if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') {
            kept.push(' ');
        } else if !c.is_control() && !is_invisible(c) {
            kept.push(c);
        }
    }
    let is_cut = chars.next().is_some();
    let (kept, ends_in_secret) = hide(&kept, is_cut);
    let limit = match is_cut && !ends_in_secret {
        true => wanted.min(kept.len().saturating_sub(ahead)),
        false => kept.len(),
    };
    let mut masked = mask(&kept, limit);
    if is_cut {
        // The text is longer than it seems.
        masked.push('…');
    }
    cut(&mut masked, max);
    masked
}

/// Cuts a text at `max` bytes and marks the cut.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - '…'.len_utf8()));
        text.push('…');
    }
}

/// Returns the text behind the control sequence of a terminal (ECMA-48, CSI; mostly colours) that `first`
/// begins, if it begins one.
fn behind_sequence(first: char, rest: &str) -> Option<&str> {
    let rest = match first {
        '\u{1b}' => rest.strip_prefix('[')?,
        '\u{9b}' => rest,
        _ => return None,
    };
    let parameters = rest.trim_start_matches(|c| matches!(c, '0'..='?'));
    let end = parameters.trim_start_matches(|c| matches!(c, ' '..='/'));
    end.strip_prefix(|c| matches!(c, '@'..='~'))
}

/// Characters that print as nothing, or only adorn the one before them, and so could hide a number
/// from the mask: Unicode's `Default_Ignorable_Code_Point`, and the key caps among the marks.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20f0}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Masks every JID's user and every number of seven or more digits, of any script, in what begins
/// before `limit`; the text behind it is only looked at.
///
/// People group digits: spaces, hyphens and brackets between them belong to the number. Dots and
/// slashes do only after a `+`, so that versions and addresses (`156.0.8078.79`, `127.0.0.1:9515`)
/// stay readable, and so do dates (`2026-01-31`). Thousands written with spaces are masked too: that
/// is the safer error.
fn mask(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(limit);
    let mut at = 0;
    while let Some(start) = text[at..].find(char::is_numeric).map(|found| at + found)
        && start < limit
    {
        let (before, from) = text.split_at(start);
        out.push_str(&text[at..start]);
        let len = iso_date(from)
            .or_else(|| mysql_code(before, from))
            .unwrap_or_else(|| number(before, from));
        let (run, after) = from.split_at(len);
        let digits: String = run.chars().filter(|c| c.is_numeric()).collect();
        // A run that the end of a cut text splits counts as a long one.
        let is_split = after.is_empty() && limit < text.len();
        let is_long = digits.chars().count() >= MIN_RUN && iso_date(from).is_none();
        if is_long || is_split || is_jid_tail(after) {
            let digits = mask_number(&digits);
            let mut digits = digits.chars();
            let masked = run.chars().filter_map(|c| match c.is_numeric() {
                true => digits.next(),
                false => Some(c),
            });
            out.extend(masked);
        } else {
            out.push_str(run);
        }
        at = start + len;
    }
    out.push_str(text.get(at..text.floor_char_boundary(limit)).unwrap_or(""));
    out
}

fn digits_end(text: &str) -> usize {
    text.find(|c: char| !c.is_numeric()).unwrap_or(text.len())
}

/// Returns the length of the number at the start of `from`, with its groups of digits.
fn number(before: &str, from: &str) -> usize {
    let has_plus = ["+", "+(", "＋", "%2B", "%2b"]
        .iter()
        .any(|plus| before.ends_with(plus));
    let is_part = |text: &str, c: Option<char>| {
        matches!(c, Some('.' | ':')) && text.starts_with(char::is_numeric)
    };
    let mut end = digits_end(from);
    // The last part of an address or a version is not the first group of a number.
    let mut back = before.chars().rev();
    if !has_plus
        && matches!(back.next(), Some('.' | ':'))
        && back.next().is_some_and(char::is_numeric)
    {
        return end;
    }
    loop {
        let rest = &from[end..];
        let group = rest
            .trim_start_matches(|c: char| is_separator(c) || (has_plus && matches!(c, '.' | '/')));
        let gap = &rest[..rest.len() - group.len()];
        let len = digits_end(group);
        let mut after = group[len..].chars();
        let next = after.next();
        // An address or a version begins here.
        let is_other = !has_plus && is_part(after.as_str(), next);
        if len == 0 || gap.chars().count() > 3 || is_other {
            return end;
        }
        end += gap.len() + len;
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Returns the length of an error code of MySQL before its SQLSTATE, as in `1062 (23000): Duplicate entry`.
fn mysql_code(before: &str, from: &str) -> Option<usize> {
    let (code, rest) = from.split_at_checked(4)?;
    let (state, after) = rest.strip_prefix(" (")?.split_at_checked(5)?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_code = is_number(code) && code.starts_with(['1', '2', '3', '4']);
    let is_state = is_number(state) && state.starts_with(['0', '2', '4']) && after.starts_with(')');
    let is_alone = !before
        .trim_end_matches(is_separator)
        .ends_with(|c: char| c.is_numeric() || c == '+');
    (is_code && is_state && is_alone).then_some(4)
}

/// Returns the length of the date at the start, as in time stamps; a longer number is no date.
fn iso_date(from: &str) -> Option<usize> {
    let (date, after) = from.split_at_checked(10)?;
    let mut parts = date
        .split('-')
        .map(|part| (part.len(), part.parse::<u16>()));
    let is_date = matches!(parts.next(), Some((4, Ok(1900..2100))))
        && matches!(parts.next(), Some((2, Ok(1..=12))))
        && matches!(parts.next(), Some((2, Ok(1..=31))));
    let rest = after.trim_start_matches(is_separator);
    let goes_on = rest.starts_with(char::is_numeric);
    let is_time = after.len() == rest.len() + 1 && rest.get(2..3) == Some(":");
    (is_date && (!goes_on || is_time)).then_some(10)
}

/// Returns whether what follows a run of digits makes it the user of a JID: `[._agent][:device]@server`, in
/// a URL too.
fn is_jid_tail(after: &str) -> bool {
    let is_part = |c: char| c.is_numeric() || matches!(c, '.' | '_' | ':' | '-');
    let mut tail = after.trim_start_matches(is_part);
    while let Some(rest) = tail.strip_prefix("%3A").or(tail.strip_prefix("%3a")) {
        tail = rest.trim_start_matches(is_part);
    }
    let server = tail.strip_prefix(['@', '＠', '﹫']);
    server.or(tail.strip_prefix("%40")).is_some_and(|server| {
        JID_SERVERS.iter().any(|known| {
            let start = server.get(..known.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(known))
        })
    })
}

/// Masks a number: `628110000041` becomes `62********41`; short ones keep one character at each end, or none.
pub(crate) fn mask_number(digits: &str) -> String {
    let count = digits.chars().count();
    let keep = match count {
        0..=2 => 0,
        3..=7 => 1,
        _ => 2,
    };
    digits
        .chars()
        .enumerate()
        .map(|(i, c)| {
            if i < keep || i >= count - keep {
                c
            } else {
                '*'
            }
        })
        .collect()
}
