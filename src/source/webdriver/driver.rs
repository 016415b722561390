//! [`DriverProcess`]: a ChromeDriver of our own, which ends with everything that it started.

mod browser;
mod start;

use std::time::Duration;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::{sleep, timeout};

pub(crate) use self::browser::{Browsers, OwnedBrowser};
pub use self::start::DriverProcessBuilder;
use crate::failure::{ProtocolFailure, Site};
pub(super) use crate::source::process::Recording;
use crate::source::process::{EXIT_CHECK_INTERVAL, Processes};

/// Longest time that [`DriverProcess::stop`] lets browsers close by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

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
    browsers: Browsers,
    processes: Processes,
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
        self.processes.id()
    }

    /// Returns a handle for single browsers of this driver, so that each can be ended before the driver is.
    pub(crate) const fn browsers(&self) -> &Browsers {
        &self.browsers
    }

    /// Records what driver and browsers print from now on.
    pub(in crate::source) fn record(&self) -> Recording {
        self.processes.record()
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
            while !self.processes.has_ended() {
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
        let ended = tokio::task::spawn_blocking(move || self.processes.end()).await;
        if ended.unwrap_or(false) {
            Ok(())
        } else {
            Err(failure(
                "ChromeDriver or its temporary files are not gone half a second after SIGKILL",
            ))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::process::OwnedProcess;

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_does_not_answer_is_stopped_after_five_seconds() {
        // A queue of connections that are never accepted.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (processes, scratch) = Processes::sleeping();
        let driver = DriverProcess {
            url: format!("http://{}/", silent.local_addr().unwrap()),
            browsers: Browsers::new(processes.id(), &scratch),
            processes,
        };
        let process = OwnedProcess::open(driver.id()).unwrap();
        let start = tokio::time::Instant::now();
        // On a busy machine the rest is done in the background, which is an error.
        let _ = driver.stop().await;
        assert_eq!(start.elapsed(), CLOSE_TIMEOUT);
        while process.is_alive() {
            std::thread::yield_now();
        }
    }
}
