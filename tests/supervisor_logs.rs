//! Log lines of supervised sessions: their length, and the causes that they give.
#![cfg(feature = "supervisor")]
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::{Backoff, Supervisor};

/// Collects what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let lines = tracing_subscriber::fmt().without_time().with_ansi(false);
        let lines = lines.with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(lines))
    }

    fn lines(&self, with: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|line| line.contains(with));
        lines.map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn page_closed() -> ProtocolFailure {
    ProtocolFailure::new(Site::Cdp, "Target closed").with_code("no such window")
}

#[tokio::test(start_paused = true)]
async fn a_line_has_the_same_length_after_150_restarts() {
    let (log, _guard) = Log::begin();
    let backoff = Backoff::builder()
        .attempts(150)
        .initial_delay(Duration::from_millis(100))
        .growth(1.0)
        .build()
        .unwrap();
    let supervisor = Supervisor::builder().restart(backoff, |session, _| async move {
        tracing::info!("the hook runs");
        // Both that the hook's own task ends the session, and that one of its tasks does.
        drop(session.spawn("watch", async {
            tracing::info!("the task runs");
            Err::<(), _>(page_closed())
        }));
        Ok::<_, io::Error>(())
    });
    let supervisor = supervisor.build();
    let session = tracing::info_span!("request").in_scope(|| supervisor.start("7").unwrap());
    drop(session.spawn("watch", async { Err::<(), _>(page_closed()) }));
    tokio::time::sleep(Duration::from_secs(60)).await;

    let ends = log.lines("session ended");
    assert_eq!(ends.len(), 151);
    // The last one has no restart.
    assert_eq!(log.lines("restart_in=None").len(), 1);
    for lines in [
        ends[..150].to_vec(),
        log.lines("the hook runs"),
        log.lines("the task runs"),
    ] {
        assert_eq!(lines.len(), 150);
        let first = &lines[0];
        println!("{} characters: {first}", first.len());
        assert!(!first.contains("request"), "{first}");
        assert!(lines.iter().all(|line| line == first), "{:?}", lines.last());
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the page of session 7 is lost")]
struct Lost(#[source] ProtocolFailure);

#[tokio::test(start_paused = true)]
async fn a_reason_gives_the_chain_of_causes_masked_and_bounded() {
    let (log, _guard) = Log::begin();
    let cause =
        page_closed().caused_by(ProtocolFailure::new(Site::Cdp, "no chat with 628110000041"));
    let supervisor = Supervisor::new();
    let session = supervisor.start("7").unwrap();
    let task = session.spawn("watch", async { Err::<(), _>(Lost(cause)) });
    let error = task.await.unwrap_err();
    let start = "task `watch` failed, page_closed (no_such_window): the page of session 7 is lost";
    let chain = format!("{start}: Target closed: no chat with 62********41");
    assert_eq!(error.reason().to_string(), chain);
    // Its causes are reached through `source`.
    assert_eq!(error.to_string(), start);
    assert_eq!(anyhow::Error::from(error).chain().count(), 3);
    tokio::task::yield_now().await;
    assert_eq!(log.lines(&chain).len(), 1);

    let long = |text: &str| ProtocolFailure::new(Site::Unknown, text.repeat(900));
    let error = long("x").caused_by(long("y"));
    let session = supervisor.start("8").unwrap();
    let error = session
        .spawn("import", async { Err::<(), _>(error) })
        .await
        .unwrap_err();
    let text = error.reason().to_string();
    assert!(
        text.len() < 1_100 && text.contains("xx: yy") && text.ends_with('…'),
        "{text}"
    );

    // A cause that the error quotes is not repeated.
    let error = anyhow::anyhow!("duplicate key").context("insert failed: duplicate key");
    let task = session.spawn("import", async { Err::<(), _>(error) });
    let text = task.await.unwrap_err().reason().to_string();
    assert_eq!(text.matches("duplicate key").count(), 1, "{text}");
}
