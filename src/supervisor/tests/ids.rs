//! Ids: which there are, and how they are printed.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span;

use super::*;

const NUMBER: &str = "628110000041";

/// Writes down every field of every span and event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut log = self.0.lock().unwrap();
        write!(log, "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn an_id_prints_masked_and_is_returned_raw() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (builder, reports) = reported();
    let policy = RetryPolicy::builder().attempts(1).initial_delay(S(5));
    let builder = builder.restart(policy.build().unwrap().backoff().clone(), |_, _| {
        fail("no browser")
    });
    let supervisor = builder.build();
    let session = supervisor.start(NUMBER).unwrap();
    assert_eq!(session.id(), NUMBER);
    let taken = supervisor.start(NUMBER).unwrap_err();
    assert_eq!(taken, StartError::Taken { id: id(NUMBER) });
    let hang = session.spawn("hang", hang());
    let mut printed = format!("{session:?} {hang:?} {taken:?} {taken}");

    drop(session.spawn("surfaces", fail("what")));
    drop(session.spawn("panics", async {
        if true {
            panic!("panic");
        }
        Ok::<_, io::Error>(())
    }));
    end_of(&session).await;
    session.handle_error("late", &page_closed());
    // The session that follows, and its failing hook.
    tokio::time::sleep(S(10)).await;
    let session = supervisor.start(NUMBER).unwrap();
    drop(session.spawn("hang", self::hang()));
    let stopped = supervisor.stop(S(0)).await;
    assert_eq!(stopped.aborted, [NUMBER]);
    let all: Vec<_> = reports.try_iter().collect();
    assert!(all.iter().all(|report| report.session.as_str() == NUMBER));
    write!(printed, "{supervisor:?} {stopped:?} {all:?}").unwrap();
    for report in &all {
        write!(printed, "{}", report.session).unwrap();
    }
    let log = log.0.lock().unwrap().clone();
    for printed in [printed, log] {
        assert!(printed.contains("62********41"), "{printed}");
        assert!(!printed.contains(NUMBER), "{printed}");
    }
}

#[test]
fn ids_that_cannot_be_printed_are_refused() {
    on_both(async || {
        let supervisor = Supervisor::new();
        for id in ["", "a\nb", &"x".repeat(Id::MAX_LEN + 1)] {
            assert_eq!(supervisor.start(id).unwrap_err(), StartError::BadId);
        }
        for id in ["ü".repeat(Id::MAX_LEN / 2), "x".repeat(Id::MAX_LEN)] {
            supervisor.start(id).unwrap().end(S(0)).await;
        }
    });
}

#[test]
fn the_id_of_a_report_finds_its_session() {
    on_both(async || {
        let supervisor = Supervisor::new();
        let _session = supervisor.start("7").unwrap();
        let id = Id::new("7").unwrap();
        assert!(supervisor.session(&id).is_some());
    });
}
