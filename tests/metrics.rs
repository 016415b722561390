//! The metrics, as the recorder for Prometheus renders them.
#![cfg(all(feature = "metrics", feature = "events", feature = "supervisor"))]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use whatsapp_phone::classify::{ErrorClass, Verdict};
use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::metrics::register;
use whatsapp_phone::source::mock::MockSource;
use whatsapp_phone::store::{RowValues, StoreSink, memory::MemoryStore};
use whatsapp_phone::{Assurance, ErrorKind, Extractor, Identity, Jid, Look, Supervisor};

const NUMBER: &str = "628110000041";

/// Returns everything that a scrape shows after this work.
fn scrape(work: impl Future<Output = ()>) -> String {
    let recorder: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        register();
        runtime.block_on(work);
    });
    recorder.handle().render()
}

fn assert_has(scraped: &str, line: &str) {
    assert!(
        scraped.lines().any(|other| other == line),
        "no line `{line}` in:\n{scraped}"
    );
}

#[test]
fn extractions_are_counted_by_outcome_and_source() {
    let scraped = scrape(async {
        let jid: Jid = format!("{NUMBER}@c.us").parse().unwrap();
        let unverified = Identity::new(jid, Assurance::Unverified, "storage");
        for source in [
            MockSource::new("page").number_at(Duration::from_secs(3), "628110000041@c.us"),
            MockSource::new("page").number_at(Duration::ZERO, "628110000041@c.us"),
            MockSource::new("page").at(Duration::ZERO, Look::Found(unverified)),
            MockSource::new("page"),
        ] {
            let extractor = Extractor::builder().source(source).build().unwrap();
            drop(extractor.extract().await);
        }
    });
    assert_has(&scraped, "# TYPE whatsapp_phone_extractions_total counter");
    assert_has(
        &scraped,
        r#"whatsapp_phone_extractions_total{outcome="confirmed",source="page"} 2"#,
    );
    assert_has(
        &scraped,
        r#"whatsapp_phone_extractions_total{outcome="unverified",source="page"} 1"#,
    );
    assert_has(
        &scraped,
        r#"whatsapp_phone_extractions_total{outcome="not_ready",source="none"} 1"#,
    );
    assert_has(
        &scraped,
        r#"whatsapp_phone_extraction_failures{outcome="not_ready"} 1"#,
    );
    assert_has(
        &scraped,
        r#"whatsapp_phone_extraction_duration_seconds_sum{outcome="confirmed",source="page"} 3"#,
    );
    assert!(!scraped.contains(NUMBER));
}

#[test]
fn the_time_of_a_session_ready_is_recorded_by_outcome() {
    let scraped = scrape(async {
        let sink = StoreSink::new(MemoryStore::default()).register_unknown(RowValues::default());
        let session = SessionKey::new(7, "session-1").unwrap();
        let found = Extractor::builder()
            .source(MockSource::new("page").number_at(Duration::ZERO, "628110000041@c.us"))
            .build()
            .unwrap()
            .extract()
            .await
            .unwrap();
        let ready = SessionEvent::session_ready(session.clone(), &found);
        sink.send(&SessionEvent::session_authenticated(session))
            .await
            .unwrap();
        for _ in 0..2 {
            sink.send(&ready).await.unwrap();
        }
        let other = SessionKey::new(7, "session-2").unwrap();
        let taken = SessionEvent::session_ready(other, &found);
        sink.send(&taken).await.unwrap_err();
    });
    let counts = ["applied", "ignored", "number_already_connected"];
    for outcome in counts {
        assert_has(
            &scraped,
            &format!(r#"whatsapp_session_ready_processing_time_ms_count{{outcome="{outcome}"}} 1"#),
        );
    }
    assert!(!scraped.contains("session-1") && !scraped.contains(NUMBER));
}

#[test]
fn errors_after_the_end_of_a_session_are_counted_by_class() {
    let scraped = scrape(async {
        let supervisor = Supervisor::new();
        let session = supervisor.start("a").unwrap();
        session.end(Duration::from_secs(1)).await;
        let error = ProtocolFailure::new(
            Site::Cdp,
            "Protocol error (Runtime.callFunctionOn): Target closed.",
        );
        assert_eq!(session.handle_error("callback", &error), Verdict::Suppress);
    });
    assert_has(
        &scraped,
        r#"whatsapp_protocol_errors_suppressed_total{class="page_closed"} 1"#,
    );
}

#[test]
fn the_counters_of_errors_start_at_zero() {
    let scraped = scrape(async {});
    for code in ErrorKind::ALL.iter().map(|kind| kind.code()) {
        assert_has(
            &scraped,
            &format!(r#"whatsapp_phone_extraction_failures{{outcome="{code}"}} 0"#),
        );
    }
    for class in ErrorClass::ALL {
        assert_has(
            &scraped,
            &format!(r#"whatsapp_protocol_errors_suppressed_total{{class="{class}"}} 0"#),
        );
    }
}
