//! [`ChromeProcess`]: a Chrome of our own without a ChromeDriver, which ends with everything that it started.

use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::error;
use super::socket::Socket;
use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::devtools::DebuggerAddress;
use crate::source::process::{EXIT_CHECK_INTERVAL, Launch, Processes, Program};

/// Longest time that [`ChromeProcess::stop`] lets the browser close by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

const CHROME: Program = Program {
    name: "Chrome or Chromium",
    announcement: "DevTools listening on ",
    site: Site::Cdp,
    install: "Install Chromium (Debian: `apt-get install chromium`, Ubuntu: `apt-get install chromium-browser`) \
              or Google Chrome, or name the program with `ChromeProcess::builder().program(..)`",
};

/// The programs that are tried in this order, if none is named.
const PROGRAMS: [&str; 4] = [
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "chromium",
];

/// The arguments of every browser. The last two keep a profile readable by ChromeDriver's browsers.
const ARGS: [&str; 9] = [
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-default-apps",
    "--disable-sync",
    "--log-level=2",
    "--password-store=basic",
    "--use-mock-keychain",
];

/// A Chrome or Chromium of our own, without ChromeDriver.
///
/// Its address is read from its output, not from `DevToolsActivePort` in the profile: that file may be left from an
/// earlier browser.
///
/// It ends with this value, as [`DriverProcess`](crate::source::webdriver::DriverProcess) does: [`stop`](Self::stop) lets
/// it close first, so that its profile is written out; dropping ends it at once, with everything that it started. It
/// ends too if this process is killed; that needs `sh` in `PATH`. Its temporary files are removed with it. Available
/// on Unix.
///
/// ```no_run
/// use whatsapp_phone::source::cdp::{CdpPage, ChromeProcess, OpenOptions};
///
/// # async fn example() -> Result<(), whatsapp_phone::ProtocolFailure> {
/// let chrome = ChromeProcess::builder().headless(true).profile("/var/lib/sessions/7").start().await?;
/// let page = CdpPage::open(&chrome, OpenOptions::default()).await?;
/// page.close().await;
/// chrome.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the browser"]
pub struct ChromeProcess {
    processes: Processes,
    address: DebuggerAddress,
}

impl ChromeProcess {
    /// Returns a builder of a visible browser with a fresh profile.
    ///
    /// ```
    /// use whatsapp_phone::source::cdp::ChromeProcess;
    ///
    /// let builder = ChromeProcess::builder().headless(true).arg("--lang=en");
    /// ```
    pub fn builder() -> ChromeProcessBuilder {
        ChromeProcessBuilder::default()
    }

    /// Returns its debugging address.
    #[must_use]
    pub const fn address(&self) -> &DebuggerAddress {
        &self.address
    }

    /// Returns its process id, which is also its process group's.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.processes.id()
    }

    /// Lets the browser close, for five seconds at most, then ends what is left by force.
    ///
    /// # Errors
    ///
    /// If a process could not be ended or a file not be removed even so. That work then continues in the background.
    pub async fn stop(mut self) -> Result<(), ProtocolFailure> {
        let orderly = async {
            let socket = self.socket().await?;
            // The browser may close before it answers.
            let _ = socket.command("Browser.close", json!({})).await;
            while !self.processes.has_ended() {
                sleep(EXIT_CHECK_INTERVAL).await;
            }
            Ok::<_, ProtocolFailure>(())
        };
        match timeout(CLOSE_TIMEOUT, orderly).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the browser refused to close"),
            Err(_) => tracing::debug!("the browser did not close when asked to"),
        }
        // The force may block for a moment, which is not for a runtime's own threads.
        let ended = tokio::task::spawn_blocking(move || self.processes.end()).await;
        if ended.unwrap_or(false) {
            Ok(())
        } else {
            let text =
                "the browser or its temporary files are not gone half a second after SIGKILL";
            Err(ProtocolFailure::new(Site::Cdp, text))
        }
    }

    /// Opens the DevTools socket of the browser itself. The caller limits the time.
    pub(super) async fn socket(&self) -> Result<Socket, ProtocolFailure> {
        let path = self.address.browser_path().unwrap_or_default();
        let socket = Socket::open_path(&self.address.to_string(), path).await;
        socket.map_err(|error| match self.processes.has_ended() {
            true => error::browser_gone().failure,
            false => error.failure,
        })
    }
}

/// Starts a [`ChromeProcess`]; from [`ChromeProcess::builder`].
#[derive(Clone)]
#[must_use = "nothing starts before `start`"]
pub struct ChromeProcessBuilder {
    launch: Launch,
    is_named: bool,
    is_headless: bool,
    profile: Option<PathBuf>,
}

impl Default for ChromeProcessBuilder {
    fn default() -> Self {
        Self {
            launch: Launch::new(PROGRAMS[0]),
            is_named: false,
            is_headless: false,
            profile: None,
        }
    }
}

impl ChromeProcessBuilder {
    /// Sets the program; a bare name is looked up in `PATH`. Default: the first one that exists of `google-chrome`,
    /// `google-chrome-stable`, `chromium-browser` and `chromium`.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.launch.program = program.into();
        self.is_named = true;
        self
    }

    /// Sets the profile directory, which stays. Default: an empty one that is removed with the browser.
    pub fn profile(mut self, directory: impl Into<PathBuf>) -> Self {
        self.profile = Some(directory.into());
        self
    }

    /// Sets whether the browser runs without a window. Default: false.
    pub fn headless(mut self, is_headless: bool) -> Self {
        self.is_headless = is_headless;
        self
    }

    /// Adds a command line argument, for instance `--lang=en`.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.launch.args.push(arg.into());
        self
    }

    /// Sets an environment variable, for instance `DISPLAY`; the others are inherited. `TMPDIR` is always a new
    /// directory that is removed with the browser.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.launch.env.push((name.into(), value.into()));
        self
    }

    /// Sets a file for everything that the browser prints. An existing file is overwritten; a new one is readable by its
    /// owner alone. The text is not masked: it names URLs and the profile directory. Default: none.
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.launch.log_file = Some(path.into());
        self
    }

    /// Sets a file that the browser keeps open as its standard input, and that the guard process keeps open too. A lock on it,
    /// for instance of `onboard::lock_profile`, is therefore held after this process is killed, until the browser has ended.
    /// Default: none.
    pub fn lock(mut self, file: Arc<File>) -> Self {
        self.launch.lock = Some(file);
        self
    }

    /// Sets how long it may take to be ready. Default: 20 seconds.
    pub const fn start_timeout(mut self, limit: Duration) -> Self {
        self.launch.start_timeout = limit;
        self
    }

    /// Starts it. Dropping the future ends what has been started.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if the program is missing, cannot be run or ends at once (the message names the cause and
    /// the remedy); code `timeout` if it is not ready in time.
    pub async fn start(mut self) -> Result<ChromeProcess, ProtocolFailure> {
        if !self.is_named {
            for program in PROGRAMS {
                self.launch.program = program.into();
                if is_in_path(program) {
                    break;
                }
            }
        }
        if let Some(profile) = &self.profile {
            check_profile(profile)?;
        }
        let launch = &self.launch;
        let launched = launch.start(&CHROME, |scratch| self.args(scratch))?;
        match timeout(launch.start_timeout, launched.address).await {
            Ok(Ok(url)) => Ok(ChromeProcess {
                processes: launched.processes,
                address: DebuggerAddress::from_socket(&url)?,
            }),
            Ok(Err(_)) => Err(launch.ended(&CHROME, &launched.recording)),
            Err(_) => Err(launch.late(&CHROME, &launched.recording)),
        }
    }

    fn args(&self, scratch: &Path) -> Vec<OsString> {
        let mut args: Vec<OsString> = ARGS.iter().map(Into::into).collect();
        if self.is_headless {
            args.push("--headless=new".into());
        }
        let mut profile = OsString::from("--user-data-dir=");
        match &self.profile {
            Some(directory) => profile.push(directory),
            None => profile.push(scratch.join("profile")),
        }
        args.push(profile);
        args
    }
}

/// Checks that the profile can be written: otherwise Chrome would silently use another one.
fn check_profile(profile: &Path) -> Result<(), ProtocolFailure> {
    // As Chrome makes it: it will hold the session's keys.
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(profile);
    let written = made.and_then(|()| tempfile::tempfile_in(profile));
    written.map(drop).map_err(|error| {
        let text = format!(
            "the browser cannot write to its profile directory; make `{}` writable for this user, or name another one",
            profile.display()
        );
        let cause = ProtocolFailure::from_error(Site::Cdp, &error);
        ProtocolFailure::new(Site::Cdp, text).with_code(MISCONFIGURED).caused_by(cause)
    })
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

impl fmt::Debug for ChromeProcessBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChromeProcessBuilder")
            .field("program", &self.launch.program)
            .field("profile", &self.profile)
            .field("is_headless", &self.is_headless)
            .field("args", &self.launch.args.len())
            .field("env", &self.launch.env_names())
            .finish_non_exhaustive()
    }
}
