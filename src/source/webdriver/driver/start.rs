//! [`DriverProcessBuilder`]: starts ChromeDriver and waits until it answers.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::browser::Browsers;
use super::{DriverProcess, get};
use crate::failure::{ProtocolFailure, Site};
use crate::source::process::{Launch, Program};

const CHROMEDRIVER: Program = Program {
    name: "ChromeDriver",
    announcement: "started successfully on port ",
    site: Site::WebDriverCommand,
    install: "Install Chromium and ChromeDriver (Debian: `apt-get install \
              chromium chromium-driver`, Ubuntu: `apt-get install chromium-browser chromium-chromedriver`) \
              or name the program with `DriverProcess::builder().program(..)`",
};

/// How often another port is tried before a taken one is an error.
const PORT_TRIES: u32 = 4;

/// The argument by which ChromeDriver prints what its browsers print. A browser that does not start names the
/// cause there, and nowhere else.
const CHROME_LOGS: &str = "--enable-chrome-logs";

/// Starts a [`DriverProcess`]; from [`DriverProcess::builder`].
#[derive(Clone)]
#[must_use = "nothing starts before `start`"]
pub struct DriverProcessBuilder(Launch);

impl Default for DriverProcessBuilder {
    fn default() -> Self {
        Self(Launch::new("chromedriver"))
    }
}

impl DriverProcessBuilder {
    /// Sets the program to start; a bare name is looked up in `PATH`. Default: `chromedriver`.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.0.program = program.into();
        self
    }

    /// Adds a command line argument of ChromeDriver, for instance `--verbose` or `--allowed-ips=`.
    ///
    /// Three arguments do not fit here: with `--silent` ChromeDriver does not name its port, so it is never
    /// ready; with `--log-path` [`log_file`](Self::log_file) and errors have less text; `--url-base` moves
    /// ChromeDriver away from [`DriverProcess::url`].
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.0.args.push(arg.into());
        self
    }

    /// Sets an environment variable of ChromeDriver and its browsers, for instance `DISPLAY`; the others are
    /// inherited. `TMPDIR` is always the driver's own directory.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.env.push((name.into(), value.into()));
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
        self.0.log_file = Some(path.into());
        self
    }

    /// Sets a file that ChromeDriver keeps open as its standard input, and that the guard process keeps open too. A lock on
    /// it, for instance of `onboard::lock_profile`, is therefore held after this process is killed, until ChromeDriver and its
    /// browsers have ended. Default: none.
    pub fn lock(mut self, file: Arc<File>) -> Self {
        self.0.lock = Some(file);
        self
    }

    /// Sets how long it may take to be ready. Default: 20 seconds.
    pub const fn start_timeout(mut self, limit: Duration) -> Self {
        self.0.start_timeout = limit;
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
        let launched = self.0.start(&CHROMEDRIVER, |_| {
            vec!["--port=0".into(), CHROME_LOGS.into()]
        })?;
        let mut driver = DriverProcess {
            url: String::new(),
            browsers: Browsers::new(launched.processes.id(), &launched.scratch),
            processes: launched.processes,
        };
        let ready = async {
            let Ok(port) = launched.address.await else {
                return Err(self.0.ended(&CHROMEDRIVER, &launched.recording));
            };
            driver.url = format!("http://127.0.0.1:{}/", port.trim_end_matches('.'));
            get(&driver.url, "status").await
        };
        match timeout(self.0.start_timeout, ready).await {
            Ok(ready) => ready.map(|()| driver),
            Err(_) => Err(self.0.late(&CHROMEDRIVER, &launched.recording)),
        }
    }
}

impl fmt::Debug for DriverProcessBuilder {
    /// Leaves out the values of the environment, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverProcessBuilder")
            .field("program", &self.0.program)
            .field("args", &self.0.args.len())
            .field("env", &self.0.env_names())
            .field("log_file", &self.0.log_file)
            .field("start_timeout", &self.0.start_timeout)
            .finish()
    }
}
