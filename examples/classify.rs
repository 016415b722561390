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
//! Exit code: 0 done, 1 the input cannot be read or the output not written, 2 wrong use, an unknown
//! `site` or a field of a wrong type among it; standard error names the line.

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

/// Why it stops: its words and its exit code.
struct Stop(String, u8);

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self(error.to_string(), 1)
    }
}

fn main() -> ExitCode {
    let args: Args = support::args();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop(why, code)) => {
            eprintln!("classify: {why}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<(), Stop> {
    let classifier = ProtocolErrorClassifier::new();
    let mut input = io::stdin().lock();
    // Each line goes out at once: somebody may wait for it before the next.
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    let mut number = 0_u64;
    while next_line(&mut input, &mut line)? {
        number += 1;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let answer = answer(&classifier, line, args.ending)
            .map_err(|why| Stop(format!("line {number}: {why}"), 2))?;
        match writeln!(output, "{answer}") {
            // Whoever reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
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

fn answer(
    classifier: &ProtocolErrorClassifier,
    line: &str,
    ending: bool,
) -> Result<String, String> {
    let object = match line.starts_with('{') {
        true => serde_json::from_str::<Map<String, Value>>(line).ok(),
        false => None,
    };
    let fields = object
        .as_ref()
        .and_then(|object| Some((object, object.get("message")?.as_str()?)));
    let Some((object, message)) = fields else {
        return Ok(told(classifier.classify_text(line), ending));
    };
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{key}` must be text")),
    };
    let ending = match object.get("ending") {
        None | Some(Value::Null) => ending,
        Some(Value::Bool(ending)) => *ending,
        Some(_) => return Err("`ending` must be true or false".to_owned()),
    };
    let site = text("site")?.map_or(Ok(Site::Unknown), site)?;
    let code = text("code")?.filter(|code| !code.is_empty());
    if code.is_none() && site == Site::Unknown {
        return Ok(told(classifier.classify_text(message), ending));
    }
    let mut failure = ProtocolFailure::new(site, message);
    if let Some(code) = code {
        failure = failure.with_code(code.to_owned());
    }
    Ok(told(classifier.classify(&failure), ending))
}

fn site(name: &str) -> Result<Site, String> {
    let mut all = Site::ALL.into_iter();
    all.find(|site| site.as_str() == name).ok_or_else(|| {
        let names = Site::ALL.map(Site::as_str).join(", ");
        format!("`site` must be one of {names}")
    })
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

    fn said(line: &str) -> Result<(String, String), String> {
        let told = answer(&ProtocolErrorClassifier::new(), line, false)?;
        assert!(told.starts_with("{\"class\":"));
        let told: Value = serde_json::from_str(&told).unwrap();
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        Ok((text("class"), text("action")))
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
        ] {
            let expected = Ok((class.to_owned(), action.to_owned()));
            assert_eq!(said(line), expected, "{line}");
        }
    }

    #[test]
    fn wrong_fields_are_named_and_not_repeated() {
        for (line, words) in [
            (
                r#"{"message": "x", "site": "hunter2"}"#,
                "`site` must be one of webdriver_command, script, cdp, sidecar, unknown",
            ),
            (r#"{"message": "x", "site": 1}"#, "`site` must be text"),
            (r#"{"message": "x", "code": 404}"#, "`code` must be text"),
            (
                r#"{"message": "x", "ending": "yes"}"#,
                "`ending` must be true or false",
            ),
        ] {
            assert_eq!(said(line), Err(words.to_owned()));
        }
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
