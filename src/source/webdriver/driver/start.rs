//! [`DriverProcessBuilder`]: starts ChromeDriver and waits until it answers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::browser::Browsers;
use super::guard::Guard;
use super::output::Output;
use super::process::Group;
use super::{DriverProcess, Running, failure, get};
use crate::failure::{ProtocolFailure, Site};

/// Longest directory for temporary files in which Chromium still finds room for the name of its
/// socket, of which the kernel takes 107 bytes on Linux and 103 on macOS: our own directory there
/// takes 22, what Chromium adds 45.
const LONGEST_TMP: usize = 103 - 22 - 45;

/// How often another port is tried before a taken one is an error.
const PORT_TRIES: u32 = 4;

/// Starts a [`DriverProcess`]; from [`DriverProcess::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing starts before `start`"]
pub struct DriverProcessBuilder {
    program: PathBuf,
    start_timeout: Duration,
}

impl Default for DriverProcessBuilder {
    fn default() -> Self {
        Self {
            program: "chromedriver".into(),
            start_timeout: Duration::from_secs(20),
        }
    }
}

impl DriverProcessBuilder {
    /// The program to start; a bare name is looked up in `PATH`. Default: `chromedriver`.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// How long it may take to be ready. Default: 20 seconds.
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
        let (output, port) = Output::drain(pipe).map_err(|error| self.not_run(&error))?;
        // The command is dropped at once: it holds the pipe's other end, and the output could not
        // end while it lives.
        let group = Group::spawn(
            Command::new(&self.program)
                .arg("--port=0")
                .env("TMPDIR", scratch.path())
                .stdin(Stdio::null())
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
            running: Some(Running {
                group,
                guard,
                scratch,
            }),
        };

        let ready = async {
            let Ok(port) = port.await else {
                return Err(misconfigured(format!(
                    "`{}` ended before it was ready; it said: {}",
                    self.program.display(),
                    output.text(),
                )));
            };
            driver.url = format!("http://127.0.0.1:{port}/");
            get(&driver.url, "status").await
        };
        match timeout(self.start_timeout, ready).await {
            Ok(ready) => ready.map(|()| driver),
            Err(_) => Err(failure(format!(
                "`{}` was not ready after {}; it said: {}",
                self.program.display(),
                humantime::format_duration(self.start_timeout),
                output.text(),
            ))
            .with_code("timeout")),
        }
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

/// A directory for the driver's and the browsers' temporary files. Neither program removes all of
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

fn misconfigured(message: impl AsRef<str>) -> ProtocolFailure {
    failure(message).with_code("misconfigured")
}
