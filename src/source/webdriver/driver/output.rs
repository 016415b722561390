//! Reads what ChromeDriver prints, for as long as it lives.

use std::io::{self, PipeReader, Read as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// What is kept of the output, in bytes.
const TAIL: usize = 4096;

/// What ChromeDriver prints once it listens; the port follows.
const ANNOUNCEMENT: &str = "started successfully on port ";

/// The end of what a driver has printed until it announced its port.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Mutex<String>>);

impl Output {
    /// Reads in a thread of its own until the writers have closed. Not a task: a runtime may stop
    /// or be busy, and a full pipe would hold up the driver. The port comes through the channel;
    /// an error there means that the output ended without one.
    pub(super) fn drain(mut pipe: PipeReader) -> io::Result<(Self, oneshot::Receiver<u16>)> {
        let output = Self::default();
        let (announce, port) = oneshot::channel();
        let kept = output.clone();
        std::thread::Builder::new()
            .name("chromedriver-out".into())
            .spawn(move || {
                let mut announce = Some(announce);
                let mut bytes = [0; 1024];
                loop {
                    match pipe.read(&mut bytes) {
                        Ok(0) => break,
                        // Nothing is kept once it runs: later text may come from pages.
                        Ok(n) if announce.is_some() => {
                            if let Some(port) = kept.push(&bytes[..n]) {
                                let _ = announce.take().map(|announce| announce.send(port));
                            }
                        }
                        Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                        Ok(_) | Err(_) => {}
                    }
                }
            })?;
        Ok((output, port))
    }

    /// The text kept, without the lines that every start prints.
    pub(super) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kept.lines().map(str::trim).filter(|line| {
            !line.is_empty() && !line.starts_with("Only local") && !line.starts_with("Please see")
        });
        lines.collect::<Vec<_>>().join("; ")
    }

    /// Adds a piece; the port if the text now announces it.
    fn push(&self, piece: &[u8]) -> Option<u16> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(&String::from_utf8_lossy(piece));
        if let Some(too_much) = kept.len().checked_sub(TAIL) {
            let cut = kept.ceil_char_boundary(too_much);
            kept.drain(..cut);
        }
        announced_port(&kept)
    }
}

/// The port of the announcement, if it is there to its end.
fn announced_port(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once(ANNOUNCEMENT)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_port_is_read_only_when_it_is_complete() {
        for (text, port) in [
            (
                "ChromeDriver was started successfully on port 32929.\n",
                Some(32929),
            ),
            ("ChromeDriver was started successfully on port 329", None),
            ("Starting ChromeDriver 156.0.8078.79 on port 0\n", None),
            (
                "ChromeDriver was started successfully on port 99999.\n",
                None,
            ),
        ] {
            assert_eq!(announced_port(text), port, "{text}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_bounded_and_does_not_hold_up_the_writer() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (output, port) = Output::drain(reader).unwrap();
        for _ in 0..1000 {
            writer.write_all("é".repeat(500).as_bytes()).unwrap();
        }
        writer.write_all(b"\nlast words\n").unwrap();
        drop(writer);
        assert!(port.await.is_err());
        let text = output.text();
        assert!(
            text.len() <= TAIL + 2 && text.ends_with("; last words"),
            "{text}"
        );
    }
}
