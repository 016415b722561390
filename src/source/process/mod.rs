//! Processes that this crate starts, and that end with everything they started: [`Processes`].

mod group;
mod guard;
mod launch;
mod output;
pub(super) mod start_failure;

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use self::group::Group;
#[cfg(feature = "webdriver")]
pub(super) use self::group::{OwnedProcess, is_in_group};
use self::guard::Guard;
pub(super) use self::launch::{Launch, Program};
use self::output::Output;
#[cfg(feature = "webdriver")]
pub(super) use self::output::Recording;

/// How often, and how many times, the end of what was killed is looked for: half a second in all.
pub(super) const EXIT_CHECK_INTERVAL: Duration = Duration::from_millis(2);
const MAX_EXIT_CHECKS: u32 = 250;

/// A process group of our own, its output and its directory for temporary files. Dropping it ends all of it, and blocks
/// for half a second at most.
#[derive(Debug)]
pub(super) struct Processes {
    /// The name of the program in logs.
    name: &'static str,
    id: u32,
    output: Output,
    /// `None` once it has been ended.
    running: Option<Running>,
}

impl Processes {
    /// Returns the process id of the leader, which is also the group's.
    pub(super) const fn id(&self) -> u32 {
        self.id
    }

    /// Records what the processes print from now on.
    #[cfg(feature = "webdriver")]
    pub(super) fn record(&self) -> Recording {
        self.output.record()
    }

    /// Returns whether the leader has ended.
    pub(super) fn has_ended(&self) -> bool {
        let running = self.running.as_ref();
        running.is_none_or(|running| running.group.has_ended())
    }

    /// Ends everything by force and waits for that within bounds. `false`: the rest is being done
    /// in the background.
    pub(super) fn end(&mut self) -> bool {
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
        tracing::warn!(pid = self.id, "{} is slow to end", self.name);
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
            .name("process-end".into())
            .spawn(rest);
        false
    }
}

#[cfg(test)]
impl Processes {
    /// Returns no more than a process and a directory.
    pub(super) fn sleeping() -> (Self, std::path::PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("left"), "over").unwrap();
        let group = Group::spawn(std::process::Command::new("sleep").arg("600")).unwrap();
        let (pipe, _) = io::pipe().unwrap();
        let processes = Self {
            name: "sleep",
            id: group.id(),
            output: Output::drain(pipe, "", None).unwrap().0,
            running: Some(Running {
                group,
                guard: None,
                scratch,
            }),
        };
        (processes, path)
    }
}

impl Drop for Processes {
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

    /// Returns whether leader and guard are gone and reaped, and the directory too.
    fn is_gone(&mut self) -> bool {
        let reaped = self.group.reap();
        let guard_done = self.guard.as_mut().is_none_or(Guard::is_done);
        // The guard removes the directory; without one, or after it gave up, that is done here.
        reaped && guard_done && remove(self.scratch.path())
    }
}

/// Removes a directory; `true` if it is gone. Processes that are ending may still write into it, so
/// one try may not be enough.
pub(super) fn remove(directory: &Path) -> bool {
    match fs::remove_dir_all(directory) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Waits on the spot: for destructors and for threads of our own.
#[expect(
    clippy::disallowed_methods,
    reason = "callers bound it, and a destructor cannot await"
)]
pub(super) fn pause(time: Duration) {
    thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_shell_to_stand_by_the_directory_is_removed_all_the_same() {
        let (mut processes, path) = Processes::sleeping();
        // `false`: on a busy machine the rest is done in the background.
        if processes.end() {
            assert!(!path.exists());
        }
        assert!(processes.end() && processes.has_ended());
        for _ in 0..6000 {
            if !path.exists() {
                return;
            }
            pause(Duration::from_millis(10));
        }
        panic!("the directory is still there after sixty seconds");
    }

    #[test]
    fn the_guard_holds_a_lock_until_it_has_ended_the_group() {
        let directory = tempfile::tempdir().unwrap();
        let file = || fs::File::create(directory.path().join("lock")).unwrap();
        let group = Group::spawn(std::process::Command::new("sleep").arg("600")).unwrap();
        let lock = file();
        lock.lock().unwrap();
        let scratch = directory.path().join("scratch");
        let guard = Guard::stand_by(group.id(), &scratch, Some(lock)).unwrap();
        for _ in 0..50 {
            assert!(file().try_lock().is_err());
            pause(Duration::from_millis(10));
        }
        // As if this process were killed.
        drop(guard);
        for _ in 0..6000 {
            if group.has_ended() && file().try_lock().is_ok() {
                return;
            }
            pause(Duration::from_millis(10));
        }
        panic!("the lock is still held after sixty seconds");
    }
}
