//! [`Launch`]: starts a program in a process group of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::group::Group;
use super::guard::Guard;
use super::output::{Output, Recording};
use super::start_failure::{self, Row};
use super::{Processes, Running};
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};

/// Longest directory for temporary files in which Chromium still finds room for the name of its
/// socket, of which the kernel takes 107 bytes on Linux and 103 on macOS: our own directory there
/// takes 22, what Chromium adds 45.
const LONGEST_TMP: usize = 103 - 22 - 45;

/// A kind of program.
#[derive(Debug)]
pub(in crate::source) struct Program {
    pub(in crate::source) name: &'static str,
    /// The text that it prints once it listens; its address follows.
    pub(in crate::source) announcement: &'static str,
    pub(in crate::source) site: Site,
    /// The remedy if it is not found.
    pub(in crate::source) install: &'static str,
}

/// How a program is started.
#[derive(Clone)]
pub(in crate::source) struct Launch {
    pub(in crate::source) program: PathBuf,
    pub(in crate::source) args: Vec<OsString>,
    pub(in crate::source) env: Vec<(OsString, OsString)>,
    pub(in crate::source) log_file: Option<PathBuf>,
    /// The program's standard input. The guard keeps it open too, since the program may be a script that closes its input.
    pub(in crate::source) lock: Option<Arc<File>>,
    pub(in crate::source) start_timeout: Duration,
}

/// A program that has been started.
pub(in crate::source) struct Launched {
    pub(in crate::source) processes: Processes,
    pub(in crate::source) scratch: PathBuf,
    /// Its announced address; an error if its output ended without one.
    pub(in crate::source) address: oneshot::Receiver<String>,
    pub(in crate::source) recording: Recording,
}

impl Launch {
    pub(in crate::source) fn new(program: &str) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            log_file: None,
            lock: None,
            start_timeout: Duration::from_secs(20),
        }
    }

    /// Starts it. Arguments that depend on its directory for temporary files come first.
    pub(in crate::source) fn start(
        &self,
        kind: &Program,
        args: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Result<Launched, ProtocolFailure> {
        let scratch = scratch().map_err(|error| {
            kind.misconfigured("no directory for temporary files could be made")
                .caused_by(ProtocolFailure::from_error(kind.site, &error))
        })?;
        let not_run = |error: io::Error| self.not_run(kind, &error);
        let (pipe, writer) = io::pipe().map_err(not_run)?;
        let stderr = writer.try_clone().map_err(not_run)?;
        let file = self.open_log_file(kind)?;
        let lock = || self.lock.as_ref().map(|lock| lock.try_clone()).transpose();
        let (lock, lock_of_guard) = (lock().map_err(not_run)?, lock().map_err(not_run)?);
        let (output, address) = Output::drain(pipe, kind.announcement, file).map_err(not_run)?;
        let recording = output.record();
        // The command is dropped at once: it holds the pipe's other end, and the output could not
        // end while it exists.
        let group = Group::spawn(
            Command::new(&self.program)
                .args(args(scratch.path()))
                .args(&self.args)
                .envs(self.env.iter().map(|(name, value)| (name, value)))
                .env("TMPDIR", scratch.path())
                .stdin(lock.map_or_else(Stdio::null, Stdio::from))
                .stdout(writer)
                .stderr(stderr),
        )
        .map_err(not_run)?;
        let guard = Guard::stand_by(group.id(), scratch.path(), lock_of_guard)
            .inspect_err(|error| {
                tracing::warn!(%error, "no `sh` to end {} should this process be killed", kind.name);
            })
            .ok();
        // From here on its drop cleans up.
        Ok(Launched {
            scratch: scratch.path().to_owned(),
            processes: Processes {
                name: kind.name,
                id: group.id(),
                output,
                running: Some(Running {
                    group,
                    guard,
                    scratch,
                }),
            },
            address,
            recording,
        })
    }

    /// Returns the failure of a program that was not ready in time.
    pub(in crate::source) fn late(&self, kind: &Program, recording: &Recording) -> ProtocolFailure {
        let text = format!(
            "`{}` was not ready after {}; {}",
            self.program.display(),
            humantime::format_duration(self.start_timeout),
            quoted(&recording.text()),
        );
        ProtocolFailure::new(kind.site, text).with_code("timeout")
    }

    /// Returns the failure of a program that ended before it was ready.
    pub(in crate::source) fn ended(
        &self,
        kind: &Program,
        recording: &Recording,
    ) -> ProtocolFailure {
        let program = self.program.display();
        let printed = recording.text();
        let printed_text = quoted(&printed);
        kind.misconfigured(match start_failure::find(&printed) {
            Some(Row { cause, remedy, .. }) => {
                let remedy = kind.remedy(remedy);
                format!("`{program}` ended before it was ready: {cause}; {remedy}; {printed_text}")
            }
            None => format!(
                "`{program}` ended before it was ready; check that it is {}; {printed_text}",
                kind.name
            ),
        })
    }

    fn open_log_file(&self, kind: &Program) -> Result<Option<File>, ProtocolFailure> {
        let Some(path) = &self.log_file else {
            return Ok(None);
        };
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(|error| {
            let text = format!("the log file `{}` cannot be written", path.display());
            kind.misconfigured(text)
                .caused_by(ProtocolFailure::from_error(Site::Unknown, &error))
        })?;
        Ok(Some(file))
    }

    fn not_run(&self, kind: &Program, error: &io::Error) -> ProtocolFailure {
        let program = self.program.display();
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("`{program}` was not found. {}", kind.install),
            io::ErrorKind::PermissionDenied => format!("`{program}` may not be run by this user"),
            _ => format!("`{program}` could not be run"),
        };
        kind.misconfigured(message)
            .caused_by(ProtocolFailure::from_error(kind.site, error))
    }

    /// Returns the names of the environment's variables; their values may be secrets.
    pub(in crate::source) fn env_names(&self) -> Vec<&OsStr> {
        self.env.iter().map(|(name, _)| &**name).collect()
    }
}

impl Program {
    fn misconfigured(&self, message: impl AsRef<str>) -> ProtocolFailure {
        ProtocolFailure::new(self.site, message).with_code(MISCONFIGURED)
    }

    /// Returns this remedy by the methods with which this program is started. The table has those of ChromeDriver.
    fn remedy(&self, remedy: &str) -> String {
        match self.site {
            Site::Cdp => remedy
                .replace("OpenOptions::browser_arg", "ChromeProcessBuilder::arg")
                .replace("OpenOptions::browser", "ChromeProcessBuilder::program")
                .replace("OpenOptions::headless", "ChromeProcessBuilder::headless")
                .replace("DriverProcessBuilder::", "ChromeProcessBuilder::"),
            _ => remedy.to_owned(),
        }
    }
}

/// Makes a directory for the temporary files of a program and its children. No browser or driver removes all of
/// its own: not when asked to end, and none when killed.
fn scratch() -> io::Result<TempDir> {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("whatsapp-phone-");
        builder
    };
    let usual = std::env::temp_dir();
    if usual.as_os_str().len() > LONGEST_TMP && Path::new("/tmp").is_dir() {
        return builder()
            .tempdir_in("/tmp")
            .or_else(|_| builder().tempdir());
    }
    builder().tempdir_in(usual)
}

fn quoted(printed: &str) -> String {
    match printed {
        "" => "it printed nothing".into(),
        printed => format!("it said: {}", printed.replace('\n', "; ")),
    }
}
