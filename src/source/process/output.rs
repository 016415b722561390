//! Reads what a driver and its browsers print, for as long as they live.

use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::oneshot;

use crate::source::page::lock::lock;

/// Longest text that is kept, in bytes.
const TAIL: usize = 16 << 10;

/// Most reads at a time: more than a pipe holds.
const MAX_READS: usize = 64;

/// The output of a driver and of its browsers. Text is kept only while exactly one [`Recording`] exists: without
/// one it may come from pages, and with several its owner is unknown.
#[derive(Clone)]
pub(in crate::source) struct Output(Arc<Shared>);

struct Shared {
    pipe: PipeReader,
    state: Mutex<State>,
}

struct State {
    kept: String,
    /// The bytes that are no longer kept.
    dropped: usize,
    /// The entry to which the first kept line belongs, unless it has a head of its own.
    entry: Entry,
    /// The first kept line has lost its start.
    is_mid_line: bool,
    recordings: usize,
    /// The number of recordings that began while another one lived.
    overlaps: usize,
    /// The text that the program prints once it listens; its address follows.
    announcement: &'static str,
    announce: Option<oneshot::Sender<String>>,
    /// The caller's log file.
    file: Option<File>,
}

impl Output {
    /// Reads in a thread of its own until the writers have closed, and copies everything to `file`. Not a task:
    /// a runtime may stop or be busy, and a full pipe would block the program. The address comes through the
    /// channel; an error there means that the output ended without one.
    pub(super) fn drain(
        pipe: PipeReader,
        announcement: &'static str,
        file: Option<File>,
    ) -> io::Result<(Self, oneshot::Receiver<String>)> {
        let (announce, address) = oneshot::channel();
        let state = State {
            kept: String::new(),
            dropped: 0,
            entry: Entry::Program,
            is_mid_line: false,
            recordings: 0,
            overlaps: 0,
            announcement,
            announce: Some(announce),
            file,
        };
        let output = Self(Arc::new(Shared {
            pipe,
            state: Mutex::new(state),
        }));
        let reader = output.clone();
        std::thread::Builder::new()
            .name("process-output".into())
            .spawn(move || while reader.wait() && reader.read() {})?;
        Ok((output, address))
    }

    /// Keeps the text that is printed from now on.
    pub(in crate::source) fn record(&self) -> Recording {
        self.read();
        let mut state = lock(&self.0.state);
        let overlaps = state.overlaps;
        state.overlaps += usize::from(state.recordings > 0);
        state.recordings += 1;
        Recording {
            start: state.dropped + state.kept.len(),
            has_ended: AtomicBool::new(false),
            overlaps,
            output: self.clone(),
        }
    }

    /// Waits until there is something to read; `false` if that cannot be waited for.
    fn wait(&self) -> bool {
        match poll(&mut [PollFd::new(&self.0.pipe, PollFlags::IN)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Reads what the pipe holds now. Returns `false` at its end.
    fn read(&self) -> bool {
        let mut state = lock(&self.0.state);
        let mut bytes = [0; 4096];
        for _ in 0..MAX_READS {
            let mut pipe = [PollFd::new(&self.0.pipe, PollFlags::IN)];
            // A recording may have read it meanwhile.
            if !matches!(poll(&mut pipe, Some(&Timespec::default())), Ok(1..)) {
                return true;
            }
            match (&self.0.pipe).read(&mut bytes) {
                Ok(0) => {
                    state.announce = None;
                    return false;
                }
                Ok(n) => state.take(&bytes[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    state.announce = None;
                    return false;
                }
            }
        }
        true
    }
}

impl State {
    fn take(&mut self, piece: &[u8]) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(piece)
        {
            tracing::warn!(%error, "cannot write a log file; it ends here");
            self.file = None;
        }
        if self.recordings != 1 {
            return;
        }
        self.kept.push_str(&String::from_utf8_lossy(piece));
        if let Some(excess) = self.kept.len().checked_sub(TAIL) {
            self.drop_oldest(excess);
        }
        if self.announce.is_some()
            && let Some(address) = announced(&self.kept, self.announcement)
        {
            let address = address.to_owned();
            let _ = self.announce.take().map(|announce| announce.send(address));
        }
    }
}

impl State {
    /// Drops this many bytes, and the rest of the line that they end in.
    fn drop_oldest(&mut self, len: usize) {
        let cut = match self.kept.as_bytes()[len..]
            .iter()
            .position(|byte| *byte == b'\n')
        {
            Some(rest) => len + rest + 1,
            None => self.kept.len(),
        };
        for line in self.kept[..cut].split_inclusive('\n') {
            if !self.is_mid_line {
                self.entry = Entry::at(line).unwrap_or(self.entry);
            }
            self.is_mid_line = !line.ends_with('\n');
        }
        self.kept.drain(..cut);
        self.dropped += cut;
    }

    /// Drops everything.
    fn clear(&mut self) {
        self.dropped += self.kept.len();
        self.kept = String::new();
        (self.entry, self.is_mid_line) = (Entry::Program, false);
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// Keeps the end of what is printed until it ends.
pub(in crate::source) struct Recording {
    output: Output,
    start: usize,
    has_ended: AtomicBool,
    /// Those of the output when this one began.
    overlaps: usize,
}

impl Recording {
    /// Returns whether another recording lived at the same time, so that text is missing here.
    pub(in crate::source) fn has_overlapped(&self) -> bool {
        lock(&self.output.0.state).overlaps != self.overlaps
    }

    /// Returns what was printed before this call, as lines: the end of it if it is long, and nothing after
    /// [`end`](Self::end). The lines that every start prints, console messages of pages and ChromeDriver's record
    /// of commands are left out.
    pub(in crate::source) fn text(&self) -> String {
        self.output.read();
        let state = lock(&self.output.0.state);
        if self.has_ended.load(Ordering::Relaxed) {
            return String::new();
        }
        let (mut recorded, mut entry) = match self.start.checked_sub(state.dropped) {
            Some(start) => (state.kept.get(start..).unwrap_or_default(), Entry::Program),
            None => (&*state.kept, state.entry),
        };
        if self.start < state.dropped && state.is_mid_line {
            // Half a line may be half a secret.
            recorded = recorded.split_once('\n').map_or("", |(_, rest)| rest);
        }
        let lines = recorded.lines().filter(|line| {
            entry = Entry::at(line).unwrap_or(entry);
            let is_kept = match entry {
                Entry::Program => true,
                Entry::Page => false,
                Entry::Command => Entry::at(line).is_none() && !line.starts_with([' ', '}', ']']),
            };
            let line = line.trim();
            is_kept
                && !line.is_empty()
                && !line.starts_with("Only local")
                && !line.starts_with("Please see")
        });
        let lines = lines.map(str::trim);
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// An entry of a log; further lines of its text follow without a head.
#[derive(Clone, Copy)]
enum Entry {
    /// Written by Chrome or ChromeDriver.
    Program,
    /// A console message of a page.
    Page,
    /// ChromeDriver's record of a command, if it is verbose; further lines are indented JSON.
    Command,
}

impl Entry {
    /// Returns the entry that this line begins. Chrome: `[pid:thread:date/time:INFO:CONSOLE:line] "text"`;
    /// ChromeDriver: `[time][INFO]: COMMAND ...`.
    fn at(line: &str) -> Option<Self> {
        let (head, rest) = line.strip_prefix('[')?.split_once(']')?;
        if !head.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        Some(if head.contains(":CONSOLE") {
            Self::Page
        } else if rest.starts_with("[INFO]") || rest.starts_with("[DEBUG]") {
            Self::Command
        } else {
            Self::Program
        })
    }
}

impl Recording {
    /// Ends it, even if other handles on it remain.
    pub(in crate::source) fn end(&self) {
        // The pipe's present content does not belong to another recording.
        self.output.read();
        let mut state = lock(&self.output.0.state);
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        state.recordings -= 1;
        if state.recordings == 0 {
            state.clear();
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns the rest of the line of the announcement, if it is there to its end.
fn announced<'t>(text: &'t str, announcement: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(announcement)?;
    rest.split_once('\n').map(|(line, _)| line.trim_end())
}

#[cfg(test)]
mod tests;
