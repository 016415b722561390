//! The processes of a run, found by a mark in their environment, which their children inherit.

use std::fs;
use std::path::Path;

use tokio::process::Command;
use whatsapp_phone::source::webdriver::{DriverProcess, DriverProcessBuilder};

use super::{signal, until};

/// The variable that has the mark.
const NAME: &str = "WHATSAPP_PHONE_TEST_RUN";

/// The mark of a run.
pub(crate) struct Run(String);

impl Run {
    pub(crate) fn new() -> Self {
        Self(format!("{NAME}={:016x}", fastrand::u64(..)))
    }

    /// Returns the run with this mark.
    pub(crate) fn from_mark(mark: &str) -> Self {
        Self(mark.to_owned())
    }

    pub(crate) fn mark(&self) -> &str {
        &self.0
    }

    /// Returns the variable with the mark, and its value.
    pub(crate) fn variable(&self) -> (&str, &str) {
        self.0.split_once('=').unwrap()
    }

    /// Makes a command whose process, with all that it starts, belongs to this run.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let (name, value) = self.variable();
        let mut command = Command::new(program);
        command.env(name, value).kill_on_drop(true);
        command
    }

    /// Makes a ChromeDriver that belongs to this run, with all that it starts.
    pub(crate) fn driver(&self) -> DriverProcessBuilder {
        let (name, value) = self.variable();
        let driver = DriverProcess::builder().start_timeout(super::LIMIT);
        driver.env(name, value)
    }

    /// The processes that live, by id, with their command lines.
    pub(crate) fn processes(&self) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let pid = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            // A process may end meanwhile. One that waits to be reaped has an empty environment.
            let environment = fs::read(path.join("environ"));
            let (Some(pid), Ok(environment)) = (pid, environment) else {
                continue;
            };
            let mut variables = environment.split(|byte| *byte == 0);
            if !variables.any(|variable| variable == self.0.as_bytes()) {
                continue;
            }
            let Ok(line) = fs::read(path.join("cmdline")) else {
                continue;
            };
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push((pid, line));
        }
        found
    }

    /// The main process of each browser whose profile is below this directory.
    pub(crate) fn browsers(&self, profiles: &Path) -> Vec<u64> {
        let profile = format!("--user-data-dir={}", profiles.display());
        let is_main = |line: &str| line.contains(&profile) && !line.contains("--type=");
        let all = self.processes().into_iter();
        all.filter(|(_, line)| is_main(line) && !is_driver(line) && !line.contains("crashpad"))
            .map(|(pid, _)| pid)
            .collect()
    }

    pub(crate) fn drivers(&self) -> Vec<u64> {
        let all = self.processes().into_iter();
        all.filter(|(_, line)| is_driver(line))
            .map(|(pid, _)| pid)
            .collect()
    }

    pub(crate) async fn none_is_left(&self) {
        until("no process of the run is left", || {
            self.processes().is_empty()
        })
        .await;
    }
}

fn is_driver(line: &str) -> bool {
    let program = line.split(' ').next().unwrap_or(line);
    program.ends_with("chromedriver")
}

/// Kills one of these processes, if there is one. It may have ended meanwhile.
pub(crate) fn kill_one(pids: &[u64]) -> bool {
    let pid = fastrand::choice(pids.iter().copied());
    let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
    pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok())
}

/// Asks a process to end, as a service manager does.
pub(crate) async fn end(child: &mut tokio::process::Child) -> std::process::ExitStatus {
    signal("-TERM", child.id().unwrap().into());
    super::within_limit("the process ends", child.wait())
        .await
        .unwrap()
}
