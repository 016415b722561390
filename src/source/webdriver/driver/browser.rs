//! [`OwnedBrowser`]: one browser of our driver, which can be ended before the driver is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::failure::{ProtocolFailure, Site};
use crate::source::process::{OwnedProcess, is_in_group, pause, remove};

/// How long after its end a browser's helpers may still write into its profile.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
const MAX_CHECKS: u32 = 500;

/// For how many looks in a row a profile has to be gone.
const MIN_ABSENT_CHECKS: u32 = 20;

/// Takes hold of browsers of one driver. Cheap to clone; outlives the driver without keeping it.
#[derive(Clone, Debug)]
pub(crate) struct Browsers {
    group: u32,
    scratch: Arc<Path>,
}

impl Browsers {
    pub(super) fn new(group: u32, scratch: &Path) -> Self {
        Self {
            group,
            scratch: scratch.into(),
        }
    }

    /// Takes hold of the browser with this process id (capability `goog:processID` of a new
    /// session). `profile` (`userDataDir` in capability `chrome`) is removed with it, provided that
    /// it is the driver's own temporary one; a directory of the caller's is left alone.
    ///
    /// # Errors
    ///
    /// When there is no such process, or this driver did not start it.
    pub(crate) fn adopt(
        &self,
        pid: u32,
        profile: Option<&Path>,
    ) -> Result<OwnedBrowser, ProtocolFailure> {
        // Held first, looked at second: what the look says is then about the process held.
        let process = OwnedProcess::open(pid).map_err(|error| {
            ProtocolFailure::new(
                Site::WebDriverCommand,
                format!("browser process {pid} is gone"),
            )
            .with_code("chrome not reachable")
            .caused_by(ProtocolFailure::from_error(Site::WebDriverCommand, &error))
        })?;
        if !is_in_group(pid, self.group) {
            let message = format!(
                "process {pid} was not started by ChromeDriver {}",
                self.group
            );
            return Err(ProtocolFailure::new(Site::WebDriverCommand, message));
        }
        let profile = profile.filter(|path| path.parent() == Some(&*self.scratch));
        Ok(OwnedBrowser {
            process: Some(process),
            profile: profile.map(Path::to_path_buf),
        })
    }
}

/// One browser of our driver. Dropping it ends the browser at once and blocks for nothing; its
/// temporary profile is removed in the background.
///
/// A killed browser stays in the process table until ChromeDriver notices or its session is deleted.
#[derive(Debug)]
pub(crate) struct OwnedBrowser {
    /// `None` only while it is dropped.
    process: Option<OwnedProcess>,
    profile: Option<PathBuf>,
}

impl OwnedBrowser {
    /// Returns the browser's process id.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, OwnedProcess::id)
    }

    /// Returns whether its main process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.process.as_ref().is_some_and(OwnedProcess::is_alive)
    }
}

impl Drop for OwnedBrowser {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        if let Err(error) = process.kill() {
            tracing::warn!(pid = process.id(), %error, "could not end a browser");
        }
        let Some(profile) = self.profile.take() else {
            return;
        };
        let removal = move || {
            let mut gone = 0;
            for _ in 0..MAX_CHECKS {
                // A helper that is ending may create it again.
                let is_gone = !process.is_alive() && remove(&profile);
                gone = if is_gone { gone + 1 } else { 0 };
                if gone == MIN_ABSENT_CHECKS {
                    break;
                }
                pause(CHECK_INTERVAL);
            }
        };
        // Should there be no thread, or no time for it, the profile goes with the driver.
        let _ = std::thread::Builder::new()
            .name("browser-profile".into())
            .spawn(removal);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fantoccini::ClientBuilder;
    use fantoccini::wd::Capabilities;
    use serde_json::{Value, json};

    use super::super::DriverProcess;
    use super::*;

    /// Opens a browser; its process id and its profile.
    async fn open(driver: &DriverProcess) -> (fantoccini::Client, u32, PathBuf) {
        let mut asked = Capabilities::new();
        // Root cannot have Chromium's sandbox.
        let is_root = rustix::process::geteuid().is_root();
        let args = if is_root {
            json!({"args": ["--headless", "--no-sandbox"]})
        } else {
            json!({"args": ["--headless"]})
        };
        asked.insert("goog:chromeOptions".into(), args);
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let client = builder
            .capabilities(asked)
            .connect(driver.url())
            .await
            .unwrap();
        let given = client.capabilities().unwrap();
        let pid = given["goog:processID"].as_u64().unwrap();
        let profile = given["chrome"]["userDataDir"].as_str().unwrap().into();
        assert!(matches!(given["goog:chromeOptions"], Value::Object(_)));
        (client, u32::try_from(pid).unwrap(), profile)
    }

    async fn until(what: &str, met: impl Fn() -> bool) {
        for _ in 0..6000 {
            if met() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within sixty seconds: {what}");
    }

    #[tokio::test]
    async fn a_browser_ends_alone_with_its_profile_and_the_driver_goes_on() {
        let driver = DriverProcess::start().await.unwrap();
        let (_first, pid, profile) = open(&driver).await;
        let browser = driver.browsers().adopt(pid, Some(&profile)).unwrap();
        assert!(browser.is_alive() && browser.id() == pid && profile.is_dir());
        drop(browser);
        until("the profile is gone", || !profile.exists()).await;

        let (_second, pid, profile) = open(&driver).await;
        let browser = driver.browsers().adopt(pid, Some(&profile)).unwrap();
        let look = OwnedProcess::open(pid).unwrap();
        drop(driver);
        until("the browser ends with the driver", || !look.is_alive()).await;
        assert!(!browser.is_alive());
        until("its profile too", || !profile.exists()).await;
    }

    #[tokio::test]
    async fn foreign_processes_and_directories_are_unchanged() {
        let driver = DriverProcess::start().await.unwrap();
        let refused = driver
            .browsers()
            .adopt(std::process::id(), None)
            .unwrap_err();
        assert!(
            refused.message().contains("was not started by"),
            "{refused}"
        );

        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let refused = driver.browsers().adopt(ended.id(), None).unwrap_err();
        assert_eq!(refused.code(), Some("chrome not reachable"));

        let foreign = tempfile::tempdir().unwrap();
        let browser = driver
            .browsers()
            .adopt(driver.id(), Some(foreign.path()))
            .unwrap();
        assert_eq!(browser.profile, None);
    }
}
