//! Measures the core: schedules, JIDs, classification, and one look of an extraction.
//!
//! `cargo bench --bench core`
//!
//! | group | one iteration |
//! |---|---|
//! | `delays` | a schedule of 15 delays, run through; `thrpt` counts delays |
//! | `jid` | one text parsed |
//! | `classify` | one failure, one plain text of 1 KiB, or every message of `tests/fixtures/errors.jsonl`; then the median over these is printed |
//! | `classify, long texts` | one plain text of 1, 8 or 64 KiB; `thrpt` counts bytes |
//! | `look` | one look of an extraction, see below |
//!
//! **Overhead per look.** A source that needs no time is ready after N looks. An extraction of N looks
//! is timed, then N bare probes of the same source through the same `dyn InfoSource`. The difference,
//! divided by N, is the cost of a look: the source and its timeout, the catching of panics, the decision, the
//! timers, and a share of the start of the extraction. No interval is below 10 ms, so the benches run
//! under a paused clock:
//!
//! - `look/overhead, 500 ms apart`: the policy's own schedule under tokio's paused clock. Between two
//!   looks the runtime goes idle, advances its clock and wakes the task, as in real waiting.
//! - `look/a bare sleep and probe, 500 ms apart`: a loop of `sleep` and `probe`, less the probes: the
//!   share of the line above that any loop spends in tokio.
//! - `look/an extraction ready at its first look`: a whole extraction, nothing subtracted; and with feature
//!   `metrics` the same, `recorded` by the recorder for Prometheus.
//!
//! All run on a current-thread runtime. The stopwatch uses the system clock.

// A bench has no caller that could handle an error.
#![allow(clippy::unwrap_used, missing_docs)]

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use criterion::measurement::{Measurement, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use whatsapp_phone::classify::ProtocolErrorClassifier;
use whatsapp_phone::extract::Extractor;
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::jid::Jid;
use whatsapp_phone::retry::{LookMode, RetryPolicy};
use whatsapp_phone::source::{Assurance, Identity, InfoSource, Look};

const HALF_SECOND: Duration = Duration::from_millis(500);

fn delays(c: &mut Criterion) {
    let steady = RetryPolicy::classic();
    let growing = steady.to_builder().growth(1.2);
    let jittered = steady.to_builder().jitter(0.3);
    let mut group = c.benchmark_group("delays");
    group.throughput(Throughput::Elements(15));
    for (name, policy) in [
        ("fixed", steady.clone()),
        ("growing", growing.build().unwrap()),
        ("jittered", jittered.build().unwrap()),
    ] {
        assert_eq!(policy.delays().count(), 15);
        group.bench_function(name, |b| {
            b.iter(|| {
                for delay in black_box(policy.backoff()).delays_with_seed(7) {
                    let _ = black_box(delay);
                }
            });
        });
    }
    group.finish();
}

fn jid(c: &mut Criterion) {
    let mut group = c.benchmark_group("jid");
    for (name, text) in [
        ("number", "628110000041@c.us"),
        ("number with device", "628110000041:12@s.whatsapp.net"),
        ("lid", "123456789012345@lid"),
        ("refused", "628110000041:12@example.org"),
    ] {
        group.bench_function(name, |b| b.iter(|| Jid::parse(black_box(text))));
    }
    let jid = Jid::parse("628110000041:12@c.us").unwrap();
    group.bench_function("its phone number", |b| {
        b.iter(|| black_box(&jid).phone_number());
    });
    group.finish();
}

fn classify(c: &mut Criterion) {
    let classifier = ProtocolErrorClassifier::new();
    let webdriver = |text: &str| ProtocolFailure::new(Site::WebDriverCommand, text);
    let kib = "the mail server said no, and will say so again; ".repeat(22)[..1024].to_owned();
    let by_code =
        webdriver("no such window: target window already closed").with_code("no such window");
    let by_text = ProtocolFailure::new(
        Site::Cdp,
        "Protocol error (Runtime.callFunctionOn): Target closed.",
    );
    let missed = ProtocolFailure::new(Site::Unknown, &kib);
    assert_eq!(missed.message().len(), 1024);

    let mut group = c.benchmark_group("classify");
    for (name, failure, rule_is_listed) in [
        ("hit by code", &by_code, true),
        ("hit by text", &by_text, true),
        ("miss, 1 KiB", &missed, false),
    ] {
        let found = classifier.classify(failure);
        assert_eq!(
            found != classifier.classify_text(""),
            rule_is_listed,
            "{name}"
        );
        group.bench_function(name, |b| b.iter(|| classifier.classify(black_box(failure))));
    }
    group.bench_function("plain text missed, 1 KiB", |b| {
        b.iter(|| classifier.classify_text(black_box(&kib)));
    });
    let messages = fixture();
    group.throughput(Throughput::Elements(messages.len() as u64));
    group.bench_function("every known message as plain text", |b| {
        b.iter(|| {
            for message in &messages {
                black_box(classifier.classify_text(black_box(message)));
            }
        });
    });
    group.finish();
    median_of_messages(&classifier, &messages);
}

fn fixture() -> Vec<String> {
    let fixture = include_str!("../tests/fixtures/errors.jsonl");
    let lines = fixture.lines().map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["message"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

/// Prints the median over the messages, which criterion does not report. Each message counts with the
/// best of five runs.
fn median_of_messages(classifier: &ProtocolErrorClassifier, messages: &[String]) {
    const RUNS: u32 = 1000;
    let stopwatch = WallTime;
    let mut times: Vec<_> = messages
        .iter()
        .map(|message| {
            let times = (0..5).map(|_| {
                let start = stopwatch.start();
                for _ in 0..RUNS {
                    black_box(classifier.classify_text(black_box(message)));
                }
                stopwatch.end(start) / RUNS
            });
            times.min().unwrap()
        })
        .collect();
    times.sort();
    println!(
        "one message: median {:?}, 95th percentile {:?}, slowest {:?}",
        times[times.len() / 2],
        times[times.len() * 95 / 100],
        times[times.len() - 1]
    );
}

/// Measures texts of 1, 8 and 64 KiB: the throughput is the same if time grows linearly.
fn long_texts(c: &mut Criterion) {
    let classifier = ProtocolErrorClassifier::new();
    let mut group = c.benchmark_group("classify, long texts");
    for (name, piece) in [
        ("prose", "the mail server said no, and will say so again; "),
        // Beginnings of phrases, the slowest case.
        (
            "near misses",
            "Protocol error [Target closes Session closer. Most likely ",
        ),
        ("lines that begin like rules", "Error: Page crashed? \n"),
        ("empty lines", "\n"),
        (
            "blanks",
            "most likely                                        \n",
        ),
    ] {
        for kib in [1, 8, 64] {
            let text = piece.repeat(kib * 1024 / piece.len() + 1)[..kib * 1024].to_owned();
            assert_eq!(classifier.classify_text(&text).rule, "unlisted", "{name}");
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("{name}, {kib} KiB"), |b| {
                b.iter(|| classifier.classify_text(black_box(&text)));
            });
        }
    }
    group.finish();
}

/// A source that is ready at every `period`th look, at once.
struct Counting {
    looks: AtomicU64,
    period: AtomicU64,
    number: Look,
}

#[async_trait]
impl InfoSource for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        let look = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
        if look.is_multiple_of(self.period.load(Ordering::Relaxed)) {
            Ok(self.number.clone())
        } else {
            Ok(Look::NotYet)
        }
    }
}

impl Counting {
    fn new() -> Arc<Self> {
        let me = Jid::parse("628110000041@c.us").unwrap();
        Arc::new(Self {
            looks: AtomicU64::new(0),
            period: AtomicU64::new(1),
            number: Look::Found(Identity::new(me, Assurance::Confirmed, "bench")),
        })
    }
}

/// Returns the time of `looks` looks less that of the same number of bare probes.
async fn beyond_probes<F: Future<Output = u64>>(
    source: &Arc<Counting>,
    looks: u64,
    run: impl FnOnce() -> F,
) -> Duration {
    source.looks.store(0, Ordering::Relaxed);
    source.period.store(looks, Ordering::Relaxed);
    let stopwatch = WallTime;
    let start = stopwatch.start();
    let looked = run().await;
    let all = stopwatch.end(start);
    assert_eq!(looked, looks);

    let source: &dyn InfoSource = black_box(&**source);
    let start = stopwatch.start();
    for _ in 0..looks {
        let _ = black_box(source.probe().await);
    }
    all.saturating_sub(stopwatch.end(start))
}

fn look(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime: Runtime = { runtime }
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let source = Counting::new();
    // The largest attempts and deadline: the source ends each extraction.
    let policy = RetryPolicy::builder()
        .look_mode(LookMode::Poll)
        .interval(HALF_SECOND);
    let day = Duration::from_secs(24 * 60 * 60);
    let policy = policy.unlimited_attempts().deadline(day).build().unwrap();
    let builder = Extractor::builder().policy(policy);
    let extractor = builder.source(Arc::clone(&source)).build().unwrap();

    let mut group = c.benchmark_group("look");
    group.bench_function("overhead, 500 ms apart", |b| {
        b.iter_custom(|looks| {
            runtime.block_on(in_runs(looks, |looks| {
                beyond_probes(&source, looks, async || {
                    u64::from(extractor.extract().await.unwrap().attempt)
                })
            }))
        });
    });
    group.bench_function("an extraction ready at its first look", |b| {
        source.period.store(1, Ordering::Relaxed);
        b.iter(|| runtime.block_on(extractor.extract()));
    });
    #[cfg(feature = "metrics")]
    group.bench_function("an extraction ready at its first look, recorded", |b| {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        source.period.store(1, Ordering::Relaxed);
        metrics::with_local_recorder(&recorder, || {
            b.iter(|| runtime.block_on(extractor.extract()));
        });
    });
    group.bench_function("a bare sleep and probe, 500 ms apart", |b| {
        b.iter_custom(|looks| {
            runtime.block_on(in_runs(looks, |looks| {
                beyond_probes(&source, looks, async || {
                    let mut looked = 1;
                    while source.probe().await == Ok(Look::NotYet) {
                        tokio::time::sleep(HALF_SECOND).await;
                        looked += 1;
                    }
                    looked
                })
            }))
        });
    });
    group.finish();
}

/// Splits many looks into extractions that end within a day of the paused clock.
async fn in_runs<F: Future<Output = Duration>>(mut looks: u64, run: impl Fn(u64) -> F) -> Duration {
    const LONGEST: u64 = 10_000;
    let mut total = Duration::ZERO;
    while looks > 0 {
        let part = looks.min(LONGEST);
        total += run(part).await;
        looks -= part;
    }
    total
}

criterion_group!(benches, delays, jid, classify, long_texts, look);
criterion_main!(benches);
