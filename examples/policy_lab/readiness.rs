//! When the numbers become readable, counted from the start of the extraction.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::published::Weibull;

/// The largest file of times, in bytes.
const MAX_BYTES: u64 = 16 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const COLUMN: &str = "ready_ms";
const STAND_IN: &str = include_str!("standin.csv");

/// Readiness times of sessions; `None` is a session that never gets ready.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) name: String,
    /// One sentence: what it is, and whether it is an assumption or measured.
    pub(crate) origin: String,
    pub(crate) times: Vec<Option<Duration>>,
}

/// Reads each of these.
pub(crate) fn all(
    names: &[String],
    samples: usize,
    seed: u64,
) -> Result<Vec<Readiness>, Box<dyn Error>> {
    let mut all: Vec<Readiness> = Vec::new();
    for name in names {
        let next = read(name, samples, seed)?;
        if all.iter().any(|other| other.name == next.name) {
            let name = next.name;
            return Err(format!(
                "two readiness times would both write {name}-time.svg: rename a file"
            )
            .into());
        }
        all.push(next);
    }
    Ok(all)
}

/// Returns `reference`, `standin`, or the times of a file.
fn read(name: &str, samples: usize, seed: u64) -> Result<Readiness, Box<dyn Error>> {
    match name {
        "reference" => {
            let fitted = Weibull::fitted();
            let times = fitted.times(samples, seed).into_iter();
            Ok(Readiness {
                name: name.to_owned(),
                origin: format!(
                    "assumption: Weibull, shape {:.3}, scale {:.3} s, fitted to the reference's published figures",
                    fitted.shape, fitted.scale
                ),
                times: times.map(|time| Some(whole_millis(time))).collect(),
            })
        }
        "standin" => Ok(Readiness {
            name: name.to_owned(),
            origin: "measured on the stand-in page: see examples/policy_lab/standin.csv".to_owned(),
            times: parse(STAND_IN.as_bytes()).map_err(|error| format!("standin.csv{error}"))?,
        }),
        path => from_file(Path::new(path)).map_err(|error| format!("{path}{error}").into()),
    }
}

fn from_file(path: &Path) -> Result<Readiness, String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = stem.chars().filter(|c| is_plain(*c)).take(40).collect();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!(": {error}"))?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!(": {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(": the file is larger than 16 MiB: use a sample of its lines".to_owned());
    }
    if name == "reference" || name == "standin" {
        return Err(format!(": `{name}` is a built-in name: rename the file"));
    }
    Ok(Readiness {
        origin: format!("times of {}", path.display()),
        name: if name.is_empty() {
            "times".into()
        } else {
            name
        },
        times: parse(&bytes)?,
    })
}

/// Reads the column `ready_ms` of a CSV text: a header line, then one session a line. Empty lines and
/// lines that begin with `#` are skipped. Errors begin with the line.
fn parse(bytes: &[u8]) -> Result<Vec<Option<Duration>>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // The number of columns, and which one it is.
    let mut header = None;
    let mut times = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1_u32..) {
        let fail = |what: String| Err(format!(", line {number}: {what}"));
        let Ok(line) = std::str::from_utf8(line) else {
            return fail("it is not UTF-8: save the file as UTF-8".to_owned());
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let cells: Vec<_> = line
            .split(',')
            .map(|cell| cell.trim().trim_matches('"'))
            .collect();
        let Some((columns, column)) = header else {
            let Some(column) = cells.iter().position(|cell| *cell == COLUMN) else {
                return fail(format!(
                    "the header has no column {COLUMN}: name the column of the times so, in milliseconds"
                ));
            };
            header = Some((cells.len(), column));
            continue;
        };
        if cells.len() != columns {
            let found = cells.len();
            return fail(format!(
                "{found} columns, but the header has {columns}: a value must not contain a comma"
            ));
        }
        match time(cells[column]) {
            Some(time) => times.push(time),
            None => {
                let shown: String = cells[column].chars().take(40).collect();
                return fail(format!(
                    "{COLUMN} is {shown:?}: write a time in milliseconds, from 0 to 24 hours, or never"
                ));
            }
        }
    }
    match times.is_empty() {
        true if header.is_none() => Err(format!(": it has no header line with {COLUMN}")),
        true => Err(": it has a header and no times: write one session a line".to_owned()),
        false => Ok(times),
    }
}

fn time(cell: &str) -> Option<Option<Duration>> {
    if cell == "never" {
        return Some(None);
    }
    let millis: f64 = cell.parse().ok()?;
    let time = Duration::try_from_secs_f64(millis / 1e3).ok()?;
    (time <= DAY).then(|| Some(whole_millis(time)))
}

/// Rounds to whole milliseconds: tokio's clock has no finer ones.
fn whole_millis(time: Duration) -> Duration {
    let millis = (time + Duration::from_micros(500)).as_millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
