//! [`DriverProcess`]: a ChromeDriver of our own, which ends with everything that it started.

mod browser;
mod guard;
mod output;
mod process;
mod start;

use std::thread;
use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

pub(crate) use self::browser::{Browsers, OwnedBrowser};
use self::guard::Guard;
use self::output::Output;
pub(crate) use self::output::Recording;
use self::process::Group;
pub use self::start::DriverProcessBuilder;
use crate::failure::{ProtocolFailure, Site};

/// Longest time that [`DriverProcess::stop`] lets browsers close by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often, and how many times, the end of what was killed is looked for: half a second in all.
const EXIT_CHECK_INTERVAL: Duration = Duration::from_millis(2);
const MAX_EXIT_CHECKS: u32 = 250;

/// A ChromeDriver process of our own, and the browsers that it starts.
///
/// All of them end with this value: [`stop`](Self::stop) lets browsers close first, so that a
/// profile of yours is written out; dropping ends them at once, also when a panic unwinds. Dropping
/// needs no runtime and blocks for 20 to 200 ms, half a second at the very most.
///
/// They end too when this process ends without running destructors: on SIGKILL, Ctrl-C, an abort or
/// `std::process::exit`. A small `sh` stands by for that (without `sh` in `PATH` this one promise
/// is void, and a warning says so). They are left behind only if that shell is killed as well.
///
/// Driver and browsers form a process group of their own. Ctrl-C in a terminal therefore does not
/// reach them: a program that catches it can finish its work with the pages it has, and one that does
/// not takes them with it.
///
/// Their temporary files, profiles included, are kept in one directory and removed with it (macOS
/// lets programs choose their own). Available on Unix.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use whatsapp_phone::source::webdriver::DriverProcess;
///
/// let driver = DriverProcess::start().await?;
/// println!("ChromeDriver listens at {}", driver.url());
/// driver.stop().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends ChromeDriver and its browsers"]
pub struct DriverProcess {
    url: String,
    id: u32,
    browsers: Browsers,
    output: Output,
    /// `None` once it has been ended.
    running: Option<Running>,
}

impl DriverProcess {
    /// Starts the `chromedriver` found in `PATH` on a free port of this machine.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` when it is missing, cannot be run or ends at once; code `timeout` when
    /// it is not ready after 20 seconds. The message says what to do.
    pub async fn start() -> Result<Self, ProtocolFailure> {
        Self::builder().start().await
    }

    /// Returns a builder: for another program than `chromedriver`, its arguments and environment, a log file, or
    /// another timeout.
    pub fn builder() -> DriverProcessBuilder {
        DriverProcessBuilder::default()
    }

    /// Returns the URL at which it listens, for instance `http://127.0.0.1:32929/`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its process id, which is also its process group's.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Returns a handle for single browsers of this driver, so that each can be ended before the driver is.
    pub(crate) const fn browsers(&self) -> &Browsers {
        &self.browsers
    }

    /// Records what driver and browsers print from now on.
    pub(crate) fn record(&self) -> Recording {
        self.output.record()
    }

    /// Lets the browsers close, then ends what is left by force. Takes five seconds at most, and
    /// some 200 ms as a rule.
    ///
    /// # Errors
    ///
    /// When a process could not be ended or a file not be removed even so. That work is then
    /// carried on in the background.
    pub async fn stop(mut self) -> Result<(), ProtocolFailure> {
        let orderly = async {
            // The answer comes once the browsers have closed; the driver ends by itself after it.
            get(&self.url, "shutdown").await?;
            while self
                .running
                .as_ref()
                .is_some_and(|running| !running.group.has_ended())
            {
                sleep(EXIT_CHECK_INTERVAL).await;
            }
            Ok::<_, ProtocolFailure>(())
        };
        match timeout(CLOSE_TIMEOUT, orderly).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "ChromeDriver refused to shut down"),
            Err(_) => tracing::debug!("ChromeDriver and its browsers did not end when asked to"),
        }
        // The force may block for a moment, which is not for a runtime's own threads.
        let ended = tokio::task::spawn_blocking(move || self.end()).await;
        if ended.unwrap_or(false) {
            Ok(())
        } else {
            Err(failure(
                "ChromeDriver or its temporary files are not gone half a second after SIGKILL",
            ))
        }
    }

    /// Ends everything by force and waits for that within bounds. `false`: the rest is being done
    /// in the background.
    fn end(&mut self) -> bool {
        let Some(mut running) = self.running.take() else {
            return true;
        };
        running.kill();
        for _ in 0..MAX_EXIT_CHECKS {
            if running.is_gone() {
                return true;
            }
            pause(EXIT_CHECK_INTERVAL);
        }
        tracing::warn!(pid = self.id, "ChromeDriver is slow to end");
        let rest = move || {
            for _ in 0..MAX_EXIT_CHECKS {
                if running.is_gone() {
                    break;
                }
                pause(EXIT_CHECK_INTERVAL * 50);
            }
        };
        // Should there be no thread, nothing is lost but an entry in the process table.
        let _ = thread::Builder::new()
            .name("chromedriver-end".into())
            .spawn(rest);
        false
    }
}

impl Drop for DriverProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// Everything that has to end.
#[derive(Debug)]
struct Running {
    group: Group,
    guard: Option<Guard>,
    scratch: TempDir,
}

impl Running {
    /// Sends the signals; waits for nothing.
    fn kill(&mut self) {
        self.group.kill();
        if let Some(guard) = &mut self.guard {
            guard.stand_down();
        }
    }

    /// Returns whether driver and guard are gone and reaped, and the directory too.
    fn is_gone(&mut self) -> bool {
        let reaped = self.group.reap();
        let guard_done = self.guard.as_mut().is_none_or(Guard::is_done);
        // The guard removes the directory; without one, or after it gave up, that is done here.
        reaped && guard_done && browser::remove(self.scratch.path())
    }
}

/// Sends a request of ChromeDriver's that needs no session.
async fn get(url: &str, path: &str) -> Result<(), ProtocolFailure> {
    let client: Client<_, String> = Client::builder(TokioExecutor::new()).build_http();
    let Ok(address) = format!("{url}{path}").parse() else {
        return Err(failure("ChromeDriver's address is not a URL"));
    };
    let answer = client.get(address).await.map_err(|error| {
        failure(format!("ChromeDriver does not answer `{path}`"))
            .caused_by(ProtocolFailure::from_error(Site::WebDriverCommand, &error))
    })?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(failure(format!(
            "ChromeDriver answers `{path}` with HTTP {}",
            answer.status()
        )))
    }
}

fn failure(message: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, message)
}

/// Waits on the spot: for destructors and for threads of our own.
#[expect(
    clippy::disallowed_methods,
    reason = "callers bound it, and a destructor cannot await"
)]
fn pause(time: Duration) {
    thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// Makes a driver that is no more than a process and a directory.
    fn driver(url: String) -> (DriverProcess, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("left"), "over").unwrap();
        let group = Group::spawn(Command::new("sleep").arg("600")).unwrap();
        let (pipe, _) = std::io::pipe().unwrap();
        let driver = DriverProcess {
            url,
            id: group.id(),
            browsers: Browsers::new(group.id(), &path),
            output: Output::drain(pipe, None).unwrap().0,
            running: Some(Running {
                group,
                guard: None,
                scratch,
            }),
        };
        (driver, path)
    }

    fn until(what: &str, met: impl Fn() -> bool) {
        for _ in 0..6000 {
            if met() {
                return;
            }
            pause(Duration::from_millis(10));
        }
        panic!("not within sixty seconds: {what}");
    }

    #[test]
    fn without_a_shell_to_stand_by_the_directory_is_removed_all_the_same() {
        let (mut driver, path) = driver(String::new());
        // `false`: on a busy machine the rest is done in the background.
        if driver.end() {
            assert!(!path.exists());
        }
        assert!(driver.end());
        until("the directory is gone", || !path.exists());
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_does_not_answer_is_stopped_after_five_seconds() {
        // A queue of connections that are never accepted.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (driver, _) = driver(format!("http://{}/", silent.local_addr().unwrap()));
        let process = process::OwnedProcess::open(driver.id()).unwrap();
        let start = tokio::time::Instant::now();
        // On a busy machine the rest is done in the background, which is an error.
        let _ = driver.stop().await;
        assert_eq!(start.elapsed(), CLOSE_TIMEOUT);
        until("the process is gone", || !process.is_alive());
    }
}
