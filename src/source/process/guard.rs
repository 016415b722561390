//! [`Guard`]: ends a process group if this process ends without doing so.
//!
//! `Drop` does not run after SIGKILL, an unhandled Ctrl-C, an abort or `std::process::exit`. So a
//! shell of a few lines runs beside the group and reads a pipe whose other end only this process holds:
//! the kernel closes that end when the process ends, for any reason.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// `$1` is the process group, `$2` the directory. A line says that the group has been ended; end
/// of file without one says that we are gone. Browsers that are ending may still write, so the directory is
/// removed until that works, for some ten seconds at most. The shell's standard output is the locked file; `exec` closes
/// it once the group has ended, or after a second.
const SCRIPT: &str = r#"
if ! read -r _; then
    kill -s KILL -- "-$1"
    n=0
    while kill -s 0 -- "-$1" && [ "$n" -lt 100 ]; do n=$((n + 1)); sleep 0.01; done
fi
exec >/dev/null
n=0
until rm -rf -- "$2" || [ "$n" -ge 1000 ]; do n=$((n + 1)); sleep 0.01; done
"#;

/// The shell that stands by.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    line: Option<ChildStdin>,
}

impl Guard {
    /// Stands by for this process group and this directory. Holds the lock until the group has been ended.
    pub(super) fn stand_by(group: u32, directory: &Path, lock: Option<File>) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "whatsapp-phone-guard", &group.to_string()])
            .arg(directory)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(lock.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::null())
            // Ctrl-C reaches the foreground group, and this one has to outlive it.
            .process_group(0)
            .spawn()?;
        let line = shell.stdin.take();
        Ok(Self { shell, line })
    }

    /// Says that the group has been ended, so that only the directory is left to do. To be called
    /// before the group's leader is reaped: after that its number may belong to another group.
    pub(super) fn stand_down(&mut self) {
        if let Some(mut line) = self.line.take() {
            // It fails only if the shell has ended, and then it needs no line.
            let _ = line.write_all(b"\n");
        }
    }

    /// Returns whether the guard has done its work and ended.
    pub(super) fn is_done(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }
}
