//! [`DriverProcessBuilder`]: starts ChromeDriver and waits until it answers.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::browser::Browsers;
use super::guard::Guard;
use super::output::Output;
use super::process::Group;
use super::{DriverProcess, Running, failure, get};
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};
use crate::source::webdriver::start_failure::{self, Row};

/// Longest directory for temporary files in which Chromium still finds room for the name of its
/// socket, of which the kernel takes 107 bytes on Linux and 103 on macOS: our own directory there
/// takes 22, what Chromium adds 45.
const LONGEST_TMP: usize = 103 - 22 - 45;

/// How often another port is tried before a taken one is an error.
const PORT_TRIES: u32 = 4;

/// The argument by which ChromeDriver prints what its browsers print. A browser that does not start names the
/// cause there, and nowhere else.
const CHROME_LOGS: &str = "--enable-chrome-logs";

/// Starts a [`DriverProcess`]; from [`DriverProcess::builder`].
#[derive(Clone)]
#[must_use = "nothing starts before `start`"]
pub struct DriverProcessBuilder {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    log_file: Option<PathBuf>,
    lock: Option<Arc<File>>,
    start_timeout: Duration,
}

impl Default for DriverProcessBuilder {
    fn default() -> Self {
        Self {
            program: "chromedriver".into(),
            args: Vec::new(),
            env: Vec::new(),
            log_file: None,
            lock: None,
            start_timeout: Duration::from_secs(20),
        }
    }
}

impl DriverProcessBuilder {
    /// Sets the program to start; a bare name is looked up in `PATH`. Default: `chromedriver`.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Adds a command line argument of ChromeDriver, for instance `--verbose` or `--allowed-ips=`.
    ///
    /// Three arguments do not fit here: with `--silent` ChromeDriver does not name its port, so it is never
    /// ready; with `--log-path` [`log_file`](Self::log_file) and errors have less text; `--url-base` moves
    /// ChromeDriver away from [`DriverProcess::url`].
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable of ChromeDriver and its browsers, for instance `DISPLAY`; the others are
    /// inherited. `TMPDIR` is always the driver's own directory.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets a file for everything that ChromeDriver and its browsers print. An existing file is overwritten; a
    /// new one is readable by its owner alone. Default: none.
    ///
    /// The text is written as it comes: it is not masked, and the file is never cut. It names URLs, profile
    /// directories and command line arguments, and it holds console messages of pages that did not come from
    /// [`Page::open`](super::super::Page::open). With the argument `--verbose` it also holds every command and
    /// its answer, so phone numbers and QR codes too; delete such a file once it was read.
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    /// Sets a file that ChromeDriver keeps open, as its standard input, until it has ended. A lock on the file, for
    /// instance of `onboard::lock_profile`, is thus held for longer than this process lives
    /// if it is killed. Default: none.
    pub fn lock(mut self, file: Arc<File>) -> Self {
        self.lock = Some(file);
        self
    }

    /// Sets how long it may take to be ready. Default: 20 seconds.
    pub const fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// Starts it. Dropping the future ends what has been started.
    ///
    /// # Errors
    ///
    /// As for [`DriverProcess::start`].
    pub async fn start(self) -> Result<DriverProcess, ProtocolFailure> {
        // ChromeDriver takes a free port of one kind of address, and ends if another program has the
        // same one of the other kind.
        for _ in 0..PORT_TRIES {
            match self.start_once().await {
                Err(failure) if failure.message().contains("Address already in use") => {}
                outcome => return outcome,
            }
        }
        self.start_once().await
    }

    async fn start_once(&self) -> Result<DriverProcess, ProtocolFailure> {
        let scratch = scratch().map_err(|error| {
            misconfigured("no directory for temporary files could be made")
                .caused_by(ProtocolFailure::from_error(Site::WebDriverCommand, &error))
        })?;
        let (pipe, writer) = io::pipe().map_err(|error| self.not_run(&error))?;
        let stderr = writer.try_clone().map_err(|error| self.not_run(&error))?;
        let file = self.open_log_file()?;
        let lock = self.lock.as_ref().map(|lock| lock.try_clone());
        let lock = lock.transpose().map_err(|error| self.not_run(&error))?;
        let (output, port) = Output::drain(pipe, file).map_err(|error| self.not_run(&error))?;
        let recording = output.record();
        // The command is dropped at once: it holds the pipe's other end, and the output could not
        // end while it exists.
        let group = Group::spawn(
            Command::new(&self.program)
                .args([OsStr::new("--port=0"), OsStr::new(CHROME_LOGS)])
                .args(&self.args)
                .envs(self.env.iter().map(|(name, value)| (name, value)))
                .env("TMPDIR", scratch.path())
                .stdin(lock.map_or_else(Stdio::null, Stdio::from))
                .stdout(writer)
                .stderr(stderr),
        )
        .map_err(|error| self.not_run(&error))?;
        let guard = Guard::stand_by(group.id(), scratch.path())
            .inspect_err(|error| {
                tracing::warn!(%error, "no `sh` to end ChromeDriver should this process be killed");
            })
            .ok();
        // From here on its drop cleans up, whichever way this function is left.
        let mut driver = DriverProcess {
            url: String::new(),
            id: group.id(),
            browsers: Browsers::new(group.id(), scratch.path()),
            output,
            running: Some(Running {
                group,
                guard,
                scratch,
            }),
        };

        let ready = async {
            let Ok(port) = port.await else {
                return Err(self.ended(&recording.text()));
            };
            driver.url = format!("http://127.0.0.1:{port}/");
            get(&driver.url, "status").await
        };
        match timeout(self.start_timeout, ready).await {
            Ok(ready) => ready.map(|()| driver),
            Err(_) => Err(failure(format!(
                "`{}` was not ready after {}; {}",
                self.program.display(),
                humantime::format_duration(self.start_timeout),
                quoted(&recording.text()),
            ))
            .with_code("timeout")),
        }
    }

    fn open_log_file(&self) -> Result<Option<File>, ProtocolFailure> {
        let Some(path) = &self.log_file else {
            return Ok(None);
        };
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(|error| {
            let text = format!("the log file `{}` cannot be written", path.display());
            misconfigured(text).caused_by(ProtocolFailure::from_error(Site::Unknown, &error))
        })?;
        Ok(Some(file))
    }

    /// Returns the failure of a program that ended before it was ready.
    fn ended(&self, printed: &str) -> ProtocolFailure {
        let program = self.program.display();
        let printed_text = quoted(printed);
        misconfigured(match start_failure::find(printed) {
            Some(Row { cause, remedy, .. }) => {
                format!("`{program}` ended before it was ready: {cause}; {remedy}; {printed_text}")
            }
            None => format!(
                "`{program}` ended before it was ready; check that it is ChromeDriver; {printed_text}"
            ),
        })
    }

    fn not_run(&self, error: &io::Error) -> ProtocolFailure {
        let program = self.program.display();
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!(
                "`{program}` was not found. Install Chromium and ChromeDriver (Debian: `apt-get install \
                 chromium chromium-driver`, Ubuntu: `apt-get install chromium-browser chromium-chromedriver`) \
                 or name the program with `DriverProcess::builder().program(..)`"
            ),
            io::ErrorKind::PermissionDenied => format!("`{program}` may not be run by this user"),
            _ => format!("`{program}` could not be run"),
        };
        misconfigured(message).caused_by(ProtocolFailure::from_error(Site::WebDriverCommand, error))
    }
}

/// Makes a directory for the driver's and the browsers' temporary files. Neither program removes all of
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

fn misconfigured(message: impl AsRef<str>) -> ProtocolFailure {
    failure(message).with_code(MISCONFIGURED)
}

impl fmt::Debug for DriverProcessBuilder {
    /// Leaves out the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("DriverProcessBuilder")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &names)
            .field("log_file", &self.log_file)
            .field("start_timeout", &self.start_timeout)
            .finish()
    }
}
