//! What errors mean: reads them from standard input, one a line, and answers each with a line of JSON,
//! `{"class":"page_closed","action":"end_session","rule":"target_closed"}`.
//!
//! A line is plain text, or an object of JSON: `{"message", "code", "site", "ending"}`, all but the
//! message optional. `ending` says that the error's session was being ended on purpose. A line that
//! begins with `{` but is no JSON object with a `message` that is text is plain text too, since
//! programs print their objects in such a form. Lines that are empty are skipped. Of a line longer than
//! 64 KiB the rest is left unread; an object that long is plain text. What is no UTF-8 is read with
//! marks in its place. Nothing of the errors is printed again.
//!
//! A `site` is one of `webdriver_command`, `script`, `cdp`, `sidecar` and `unknown`; others count as
//! `unknown`. A `code` that is a number is read as text. A field of another type counts as missing.
//!
//! Exit code: 0 done, 1 the input cannot be read or the output not written, 2 wrong use, an unlisted
//! `site` or a field of a wrong type among it: standard error names the line and every line is
//! answered all the same.

mod support;

use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value};
use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::{Classification, MAX_READ, Phase};
use whatsapp_phone::failure::{ProtocolFailure, Site};

/// What errors mean and what to do about them: one a line on standard input
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Take every session as one that was being ended on purpose, unless its line says otherwise
    #[arg(long)]
    ending: bool,
}

fn main() -> ExitCode {
    let args: Args = support::args();
    match run(&args) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(2),
        Err(error) => {
            eprintln!("classify: {error}");
            ExitCode::from(1)
        }
    }
}

/// Answers every line; whether a field of one was wrong.
fn run(args: &Args) -> io::Result<bool> {
    let classifier = ProtocolErrorClassifier::new();
    let mut input = io::stdin().lock();
    // Each line goes out at once: somebody may wait for it before the next.
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    let mut number = 0_u64;
    let mut is_wrong = false;
    while next_line(&mut input, &mut line)? {
        number += 1;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (answer, wrong) = answer(&classifier, line, args.ending);
        for why in wrong {
            is_wrong = true;
            // Nobody who listens there is no reason to leave the other lines unanswered.
            let _ = writeln!(io::stderr(), "classify: line {number}: {why}");
        }
        match writeln!(output, "{answer}") {
            // Whoever reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(is_wrong)
}

/// Reads the next line without its end, at most what the classifier reads of it; the rest is skipped.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut is_line = false;
    loop {
        let read = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read.is_empty() {
            return Ok(is_line);
        }
        is_line = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = &read[..end.unwrap_or(read.len())];
        let room = MAX_READ.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// The answer to a line, and what is wrong with its fields.
fn answer(
    classifier: &ProtocolErrorClassifier,
    line: &str,
    ending: bool,
) -> (String, Vec<&'static str>) {
    let object = match line.starts_with('{') {
        true => serde_json::from_str::<Map<String, Value>>(line).ok(),
        false => None,
    };
    let fields = object
        .as_ref()
        .and_then(|object| Some((object, object.get("message")?.as_str()?)));
    let Some((object, message)) = fields else {
        return (told(classifier.classify_text(line), ending), Vec::new());
    };
    let mut wrong = Vec::new();
    let ending = match object.get("ending") {
        None | Some(Value::Null) => ending,
        Some(Value::Bool(ending)) => *ending,
        Some(_) => {
            wrong.push("`ending` must be true or false");
            ending
        }
    };
    let site = match object.get("site") {
        None | Some(Value::Null) => Site::Unknown,
        Some(name) => site(name).unwrap_or_else(|| {
            wrong.push(
                "`site` is none of webdriver_command, script, cdp, sidecar, unknown: unknown it is",
            );
            Site::Unknown
        }),
    };
    let code = match object.get("code") {
        None | Some(Value::Null) => None,
        Some(Value::String(code)) => Some(code.clone()).filter(|code| !code.is_empty()),
        Some(Value::Number(code)) => Some(code.to_string()),
        Some(_) => {
            wrong.push("`code` must be text");
            None
        }
    };
    let told = match code {
        None => told(classifier.classify_text_at(site, message), ending),
        Some(code) => {
            let failure = ProtocolFailure::new(site, message).with_code(code);
            told(classifier.classify(&failure), ending)
        }
    };
    (told, wrong)
}

fn site(name: &Value) -> Option<Site> {
    let name = name.as_str()?;
    Site::ALL.into_iter().find(|site| site.as_str() == name)
}

fn told(found: Classification<'_>, ending: bool) -> String {
    let phase = if ending { Phase::Ending } else { Phase::Live };
    // The names are ours and need no escapes; the order is the one that is promised.
    format!(
        r#"{{"class":"{}","action":"{}","rule":"{}"}}"#,
        found.class,
        found.verdict(phase),
        found.rule
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class, the action, and what is wrong.
    fn said(line: &str) -> (String, String, Vec<&'static str>) {
        let (told, wrong) = answer(&ProtocolErrorClassifier::new(), line, false);
        assert!(told.starts_with("{\"class\":"));
        let told: Value = serde_json::from_str(&told).unwrap();
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        (text("class"), text("action"), wrong)
    }

    #[test]
    fn lines_are_text_or_objects() {
        for (line, class, action) in [
            ("Error: Page crashed!", "page_closed", "end_session"),
            ("{ Error: Page crashed!", "page_closed", "end_session"),
            (r#"{"text": "Page crashed!"}"#, "unrelated", "surface"),
            (
                r#"{"message": "Page crashed!", "code": null, "x": [1]}"#,
                "page_closed",
                "end_session",
            ),
            (
                r#"{"message": "x", "code": "no such window", "ending": true}"#,
                "page_closed",
                "suppress",
            ),
            (
                r#"{"message": "x", "code": "no such window", "ending": false}"#,
                "page_closed",
                "end_session",
            ),
            (
                r#"{"message": "Page crashed!", "site": "script"}"#,
                "page_script",
                "surface",
            ),
            (
                r#"{"message": "Connection refused", "site": "webdriver_command"}"#,
                "browser_gone",
                "end_browser",
            ),
            (
                r#"{"message": "No node with given id found (-32000)", "code": -32000}"#,
                "navigation",
                "retry",
            ),
        ] {
            let expected = (class.to_owned(), action.to_owned(), Vec::new());
            assert_eq!(said(line), expected, "{line}");
        }
    }

    #[test]
    fn wrong_fields_are_named_and_not_repeated_and_the_line_is_answered() {
        let site =
            "`site` is none of webdriver_command, script, cdp, sidecar, unknown: unknown it is";
        for (fields, words) in [
            (r#""site": "hunter2""#, site),
            (r#""site": "webdriver""#, site),
            (r#""site": 1"#, site),
            (r#""code": [404]"#, "`code` must be text"),
            (r#""ending": "yes""#, "`ending` must be true or false"),
        ] {
            let line = format!(r#"{{"message": "Page crashed!", {fields}}}"#);
            let expected = ("page_closed".to_owned(), "end_session".to_owned());
            assert_eq!(said(&line), (expected.0, expected.1, vec![words]), "{line}");
        }
    }

    #[test]
    fn a_long_traceback_is_read_to_its_end_at_its_site() {
        let frames = "  File \\\"x.py\\\", line 7, in look\\n".repeat(100);
        let said = said(&format!(
            r#"{{"message": "Traceback (most recent call last):\n{frames}OSError: socket hang up", "site": "cdp"}}"#
        ));
        assert_eq!(said.0, "browser_gone");
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_is_whole() {
        let input = ["x".repeat(3 * MAX_READ).as_bytes(), b"\nnext\r\n\xff\nlast"].concat();
        let (mut input, mut line) = (io::BufReader::with_capacity(7, &input[..]), Vec::new());
        let mut lengths = Vec::new();
        while next_line(&mut input, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [MAX_READ, 5, 1, 4]);
    }
}
