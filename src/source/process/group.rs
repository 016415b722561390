//! Handles on processes that never signal an unrelated process: [`OwnedProcess`] and [`Group`].

use std::io;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// One process, held so that its number cannot pass to another process.
///
/// Linux holds a pidfd. Elsewhere, and on kernels before 5.3, the bare number is all there is.
#[derive(Debug)]
#[cfg(any(feature = "webdriver", test))]
pub(in crate::source) struct OwnedProcess {
    pid: Pid,
    #[cfg(target_os = "linux")]
    fd: Option<std::os::fd::OwnedFd>,
}

#[cfg(any(feature = "webdriver", test))]
impl OwnedProcess {
    /// Takes hold of a running process.
    pub(in crate::source) fn open(pid: u32) -> io::Result<Self> {
        let pid = to_pid(pid)?;
        #[cfg(target_os = "linux")]
        let fd = match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            Ok(fd) => Some(fd),
            // An old kernel, or a container's filter that does not know the call.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => None,
            Err(error) => return Err(error.into()),
        };
        let process = Self {
            pid,
            #[cfg(target_os = "linux")]
            fd,
        };
        if process.is_alive() {
            Ok(process)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Returns the process id.
    pub(in crate::source) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Ends it with SIGKILL. One that has ended already is no error.
    pub(in crate::source) fn kill(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(fd) = &self.fd {
            return gone_is_fine(rustix::process::pidfd_send_signal(fd, Signal::KILL));
        }
        gone_is_fine(rustix::process::kill_process(self.pid, Signal::KILL))
    }

    /// Returns whether it still runs. Without a pidfd, one that its parent has not reaped yet counts too.
    pub(in crate::source) fn is_alive(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(fd) = &self.fd {
            // A pidfd turns readable when its process ends.
            use rustix::event::{PollFd, PollFlags, Timespec, poll};
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            return !matches!(
                poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)),
                Ok(1..)
            );
        }
        rustix::process::test_kill_process(self.pid).is_ok()
    }
}

/// A child process that leads a process group of its own: what it starts belongs to the group, and
/// one signal reaches all of them at once.
///
/// The kernel does not give the number away while the leader is not reaped, so nothing here reaps
/// before [`Group::reap`], and nothing signals after it.
#[derive(Debug)]
pub(super) struct Group {
    leader: Child,
    reaped: bool,
}

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let leader = command.process_group(0).spawn()?;
        Ok(Self {
            leader,
            reaped: false,
        })
    }

    /// Returns the leader's process id, which is the group's too.
    pub(super) fn id(&self) -> u32 {
        self.leader.id()
    }

    /// Returns whether the leader has ended. Does not reap it.
    pub(super) fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.reaped
            || to_pid(self.id()).is_ok_and(|pid| {
                // An error means that other code reaped it.
                !matches!(rustix::process::waitid(WaitId::Pid(pid), look), Ok(None))
            })
    }

    /// Ends every process of the group with SIGKILL.
    pub(super) fn kill(&self) {
        if !self.reaped
            && let Ok(pid) = to_pid(self.id())
            && let Err(error) = gone_is_fine(rustix::process::kill_process_group(pid, Signal::KILL))
        {
            tracing::warn!(pid = self.id(), %error, "could not end a process group");
        }
    }

    /// Takes the leader's exit status if it has ended; `true` once that is done.
    pub(super) fn reap(&mut self) -> bool {
        // An error means that other code reaped it, so it has ended too.
        self.reaped = self.reaped || !matches!(self.leader.try_wait(), Ok(None));
        self.reaped
    }
}

/// Returns whether this process belongs to the group with this number.
#[cfg(any(feature = "webdriver", test))]
pub(in crate::source) fn is_in_group(pid: u32, group: u32) -> bool {
    to_pid(pid)
        .ok()
        .and_then(|pid| rustix::process::getpgid(Some(pid)).ok())
        .is_some_and(|found| found.as_raw_pid().unsigned_abs() == group)
}

fn to_pid(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a process id"))
}

fn gone_is_fine(outcome: rustix::io::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_to_live_and_to_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = OwnedProcess::open(child.id()).unwrap();
        assert!(process.is_alive());
        assert_eq!(process.id(), child.id());
        process.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        process.kill().unwrap();
        assert!(OwnedProcess::open(child.id()).is_err());
    }

    #[test]
    fn numbers_that_are_no_process_are_refused() {
        for pid in [0, u32::MAX] {
            assert!(OwnedProcess::open(pid).is_err(), "{pid}");
        }
    }

    #[test]
    fn a_group_ends_with_what_its_leader_started() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(std::process::Stdio::piped());
        let mut group = Group::spawn(&mut command).unwrap();
        let mut line = String::new();
        let out = group.leader.stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).unwrap();
        let grandchild = OwnedProcess::open(line.trim().parse().unwrap()).unwrap();
        assert!(is_in_group(grandchild.id(), group.id()));
        assert!(!is_in_group(std::process::id(), group.id()));
        assert!(!group.has_ended());
        group.kill();
        while !group.has_ended() {
            std::thread::yield_now();
        }
        assert!(group.reap() && group.has_ended());
        // The signal has been sent, but a busy machine may take its time to act on it.
        while grandchild.is_alive() {
            std::thread::yield_now();
        }
    }
}
