//! A source of one's own: reads the file in which a session keeps who it is, one object of JSON:
//!
//! ```json
//! {"wid": "628110000041:12@c.us", "lid": "123456789012345@lid", "connected": true}
//! ```
//!
//! All fields may be missing; so may the file, or its content, until the session has written it.
//! Exit code: 0 done, 1 no answer with the reason, 2 wrong use or a file that is no such object.

mod support;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use whatsapp_phone::failure::Site;
use whatsapp_phone::retry::LookMode;
use whatsapp_phone::{
    Assurance, ErrorKind, ExtractError, Extraction, Extractor, Identity, InfoSource, Jid, Look,
    ProtocolFailure, RetryPolicy,
};

/// The longest part of a file that is read: its writer decides on its length.
const MAX_BYTES: u64 = 64 * 1024;

/// Prints the phone number that a session's file names
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The file, which may not exist yet
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    /// When to give up
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,
}

#[derive(Debug, Deserialize)]
struct Session {
    wid: Option<Jid>,
    lid: Option<Jid>,
    /// Whether the link is verified; missing, the file offers no evidence.
    connected: Option<bool>,
}

#[derive(Debug)]
struct SessionFile(PathBuf);

#[async_trait::async_trait]
impl InfoSource for SessionFile {
    fn name(&self) -> &str {
        "session file"
    }

    // `wait` is not written here: a file reports no change, so the default is used.
    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        let text = read(&self.0).await?;
        if text.trim().is_empty() {
            return Ok(Look::NotYet);
        }
        let session: Session = serde_json::from_str(&text).map_err(|error| bad(&self.0, &error))?;
        let assurance = match session.connected {
            Some(true) => Assurance::Confirmed,
            Some(false) => Assurance::Provisional,
            None => Assurance::Unverified,
        };
        let Some(jid) = session.wid.or_else(|| session.lid.clone()) else {
            return Ok(Look::NotYet);
        };
        let me = Identity::new(jid, assurance, "wid");
        Ok(Look::from_identity(match session.lid {
            Some(lid) => me.with_lid(lid),
            None => me,
        }))
    }
}

/// The file's text; none while there is no file.
async fn read(path: &Path) -> Result<String, ProtocolFailure> {
    match tokio::fs::metadata(path).await {
        Ok(meta) if !meta.is_file() => return Err(bad(path, &"it is not a regular file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        _ => {}
    }
    let mut text = String::new();
    let file = File::open(path).await.map_err(|error| bad(path, &error))?;
    let read = file.take(MAX_BYTES).read_to_string(&mut text).await;
    read.map_err(|error| bad(path, &error))?;
    Ok(text)
}

/// Code `misconfigured`: looking again does not help, a person has to.
fn bad(path: &Path, why: &dyn std::fmt::Display) -> ProtocolFailure {
    let text = format!("{} is no session file: {why}", path.display());
    ProtocolFailure::new(Site::Unknown, text).with_code("misconfigured")
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    // Eager, but asked repeatedly, since no event reports a change.
    let policy = RetryPolicy::eager().to_builder().look_mode(LookMode::Poll);
    let policy = match policy.deadline(args.deadline).build() {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            return ExitCode::from(2);
        }
    };
    match run(SessionFile(args.file), policy).await {
        Ok(found) => {
            println!("{}", found.phone.reveal());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            let cause = cause.unwrap_or_default();
            eprintln!("no phone number ({}): {error}{cause}", error.code());
            let is_bad_input = error.kind() == ErrorKind::Misconfigured;
            ExitCode::from(if is_bad_input { 2 } else { 1 })
        }
    }
}

async fn run(source: SessionFile, policy: RetryPolicy) -> Result<Extraction, ExtractError> {
    // A file that is wrong from the start is said at once, not after the deadline.
    source.probe().await?;
    let extractor = Extractor::builder().source(source).policy(policy).build()?;
    extractor.extract().await
}
