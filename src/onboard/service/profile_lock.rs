//! [`lock_profile`]: lets one process at a time use a browser profile.
//!
//! Chromium's own lock names a host and a process, so a host that has got another name, as a new container has,
//! takes the lock of its own killed browser for one of another host. The lock of this module is one of the
//! kernel on a file in the profile: it ends with the last process that holds it, however that ends.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::codes::MISCONFIGURED;
use crate::failure::{ProtocolFailure, Site};

/// The file that is locked. It holds the name of the host that has locked it last.
const LOCK_FILE: &str = "whatsapp-phone.lock";

/// Chromium's lock: a symbolic link to `<host>-<process id>`.
const BROWSER_LOCK: &str = "SingletonLock";

/// How long the lock is waited for: a killed service's browser takes a moment to end.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Locks a profile directory before a browser is opened on it, as long as the returned file or a
/// [clone](crate::source::webdriver::DriverProcessBuilder::lock) of it is open. Waits up to 5 s for another process
/// to release it.
///
/// If the last process that held this lock was killed, its browser has left a lock with the host's name,
/// `SingletonLock`. If the host had another name then, as a container that is made anew has, the browser's lock is
/// removed, since the browser has ended; otherwise Chromium recognises it by itself. A `SingletonLock` of a browser
/// that was opened without this function stays.
///
/// Hosts that share the directory must share locks of files (`flock`) too, as they do over NFS.
///
/// # Errors
///
/// Code `misconfigured` if another process holds the lock, or the file `whatsapp-phone.lock` in the directory cannot
/// be opened or locked.
pub async fn lock_profile(profile: &Path) -> Result<File, ProtocolFailure> {
    let start = Instant::now();
    loop {
        match try_lock(profile) {
            Ok(file) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => {
                sleep(LOCK_INTERVAL).await;
            }
            Err(TryLockError::WouldBlock) => {
                let text = "another process uses the browser profile of this session; end it first";
                return Err(misconfigured(text));
            }
            Err(TryLockError::Error(error)) => {
                let text = format!(
                    "the browser profile of this session cannot be locked; make `{LOCK_FILE}` in it writable, on a file system with locks"
                );
                let cause = ProtocolFailure::from_error(Site::Unknown, &error);
                return Err(misconfigured(text).caused_by(cause));
            }
        }
    }
}

fn try_lock(profile: &Path) -> Result<File, TryLockError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let opened = options.open(profile.join(LOCK_FILE));
    let mut file = opened.map_err(TryLockError::Error)?;
    file.try_lock()?;
    take_over(&mut file, profile).map_err(TryLockError::Error)?;
    Ok(file)
}

fn take_over(file: &mut File, profile: &Path) -> io::Result<()> {
    let mut host_before = Vec::new();
    file.read_to_end(&mut host_before)?;
    let system = rustix::system::uname();
    let host = system.nodename().to_bytes();
    let browser_lock = profile.join(BROWSER_LOCK);
    let locked_by = fs::read_link(&browser_lock).unwrap_or_default();
    let locked_by = locked_by.to_string_lossy();
    // On the same host Chromium finds out whether that process still runs.
    if let Some((locked_by, _)) = locked_by.rsplit_once('-')
        && locked_by.as_bytes() != host
        && locked_by.as_bytes() == host_before
    {
        tracing::info!("the lock of a browser that has ended under another host name was removed");
        fs::remove_file(browser_lock)?;
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(host)
}

fn misconfigured(text: impl Into<String>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text.into()).with_code(MISCONFIGURED)
}
