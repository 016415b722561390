//! Classifies errors from standard input, one a line, and answers each with a line of JSON:
//! `{"class":"page_closed","action":"end_session","rule":"target_closed"}`.
//!
//! A line is plain text or a JSON object, `{"message", "code", "site", "ending"}`, of which only the
//! message is required. `ending` means that the session of the error was being ended on purpose. A line
//! that begins with `{` is plain text unless it is a JSON object with a `message` of text, because
//! programs also print their objects in this form. Empty lines are skipped. Only the first 64 KiB of a
//! line are read; a longer object is plain text. Invalid UTF-8 is replaced. The output quotes no error.
//!
//! `site` is `webdriver_command`, `script`, `cdp`, `sidecar` or `unknown`; any other value counts as
//! `unknown`. A numeric `code` is read as text. A field of another type counts as missing.
//!
//! Exit code: 0 done; 1 the input cannot be read or the output cannot be written; 2 wrong use, which
//! includes an unlisted `site` and a field of a wrong type: standard error names the line, and every
//! line is answered all the same.

mod support;

use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Map, Value};
use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::{Classification, MAX_READ, Phase};
use whatsapp_phone::failure::{ProtocolFailure, Site};

/// Classifies errors, one a line on standard input, and prints the action to take
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Treat every session as one that was being ended on purpose, unless its line says otherwise
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

/// Answers every line. Returns whether a line had a wrong field.
fn run(args: &Args) -> io::Result<bool> {
    let classifier = ProtocolErrorClassifier::new();
    let mut input = io::stdin().lock();
    // `StdoutLock` flushes each line, so that a caller can send one line at a time.
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
            // A closed standard error must not stop the answers.
            let _ = writeln!(io::stderr(), "classify: line {number}: {why}");
        }
        match writeln!(output, "{answer}") {
            // The reader of the output has closed it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(is_wrong)
}

/// Reads the next line without its end, up to the limit of the classifier, and skips its rest.
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

/// Returns the answer to a line and the errors in its fields.
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
        return (json(classifier.classify_text(line), ending), Vec::new());
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
                "`site` must be webdriver_command, script, cdp, sidecar or unknown; unknown is assumed",
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
    let answer = match code {
        None => json(classifier.classify_text_at(site, message), ending),
        Some(code) => {
            let failure = ProtocolFailure::new(site, message).with_code(code);
            json(classifier.classify(&failure), ending)
        }
    };
    (answer, wrong)
}

fn site(name: &Value) -> Option<Site> {
    name.as_str()?.parse().ok()
}

fn json(found: Classification<'_>, ending: bool) -> String {
    let phase = if ending { Phase::Ending } else { Phase::Live };
    // The names need no escapes; the order of the fields is documented.
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

    /// Returns the class, the action and the errors.
    fn answer_to(line: &str) -> (String, String, Vec<&'static str>) {
        let (answer, wrong) = answer(&ProtocolErrorClassifier::new(), line, false);
        assert!(answer.starts_with("{\"class\":"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
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
            assert_eq!(answer_to(line), expected, "{line}");
        }
    }

    #[test]
    fn wrong_fields_are_named_and_the_line_is_answered() {
        let site =
            "`site` must be webdriver_command, script, cdp, sidecar or unknown; unknown is assumed";
        for (fields, words) in [
            (r#""site": "hunter2""#, site),
            (r#""site": "webdriver""#, site),
            (r#""site": 1"#, site),
            (r#""code": [404]"#, "`code` must be text"),
            (r#""ending": "yes""#, "`ending` must be true or false"),
        ] {
            let line = format!(r#"{{"message": "Page crashed!", {fields}}}"#);
            let expected = ("page_closed".to_owned(), "end_session".to_owned());
            assert_eq!(
                answer_to(&line),
                (expected.0, expected.1, vec![words]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_long_traceback_is_read_to_its_end_at_its_site() {
        let frames = "  File \\\"x.py\\\", line 7, in look\\n".repeat(100);
        let (class, ..) = answer_to(&format!(
            r#"{{"message": "Traceback (most recent call last):\n{frames}OSError: socket hang up", "site": "cdp"}}"#
        ));
        assert_eq!(class, "browser_gone");
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
