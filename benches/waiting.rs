//! The cost of ten thousand extractions that wait at the same time: bytes each, and how late they look.
//!
//! `cargo bench --bench waiting`; some thirty seconds.
//!
//! **Bytes.** 10,000 extractions are spawned, each with an extractor and a source of its own that were
//! made before; when all wait, 20,000 more. The growth between these two moments, divided by 20,000,
//! is what one costs: the future, its task, its source and the look under way, but no table of the
//! runtime that is there once. It is taken twice: what was asked of the allocator and not given back
//! (`stats_alloc`, exact), and the resident memory of the process (`VmRSS`, which adds the allocator's
//! own share). Nothing is freed in between, so no memory of an earlier round is used again. The first
//! look of `poll` is over and its extraction sleeps; that of `wait` sits in a source that sleeps, which
//! is as little as a source can hold. The size of the future alone is by `size_of_val`.
//!
//! **Lateness.** 10,000 extractions under `LookMode::Poll`, 500 ms apart, on a runtime with two workers,
//! eleven looks each. A look is due 500 ms after the end of the one before; each notes by how much it
//! came later. Tokio's timers count whole milliseconds upwards, so about 0.5 ms are the timers'; the same
//! number of bare `sleep` loops shows what the runtime alone does. "at once" has all begin in the same
//! moment, the worst case; "spread" over one interval, as sessions do.
//!
//! Numbers are printed, not checked; it fails only if a measurement did not happen.

// A bench has no caller to report to.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use whatsapp_phone::extract::Extractor;
use whatsapp_phone::failure::ProtocolFailure;
use whatsapp_phone::retry::{LookMode, RetryPolicy};
use whatsapp_phone::source::{Assurance, InfoSource, Look};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 10_000;
const INTERVAL: Duration = Duration::from_millis(500);
const LOOKS: u32 = 11;
const HOUR: Duration = Duration::from_secs(3600);

fn main() {
    let runtime = two_workers();
    println!("bytes per waiting extraction, of {} and {}", MANY, 3 * MANY);
    println!(
        "  {:<28}{:>10}{:>12}{:>10}",
        "policy", "future", "allocated", "resident"
    );
    for look_mode in [LookMode::Poll, LookMode::Wait] {
        let Bytes {
            future,
            allocated,
            resident,
        } = bytes(&runtime, look_mode);
        println!("  {look_mode:<28}{future:>10}{allocated:>12}{resident:>10}");
    }
    // Its drop ends who still waits.
    drop(runtime);
    let runtime = two_workers();

    println!(
        "milliseconds late, {MANY} at a time, {} looks each",
        LOOKS - 1
    );
    println!(
        "  {:<28}{:>10}{:>10}{:>10}{:>10}",
        "", "median", "p95", "p99", "max"
    );
    for (begun, spread) in [("at once", Duration::ZERO), ("spread", INTERVAL)] {
        for (kind, is_bare) in [("extractions", false), ("bare sleeps", true)] {
            let late = lateness(&runtime, spread, is_bare);
            let at = |percent: usize| late[(late.len() - 1) * percent / 100].as_secs_f64() * 1e3;
            let (median, p95, p99, max) = (at(50), at(95), at(99), at(100));
            let row = format!("{kind}, {begun}");
            println!("  {row:<28}{median:>10.2}{p95:>10.2}{p99:>10.2}{max:>10.2}");
        }
    }
}

fn two_workers() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_time().build().unwrap()
}

struct Bytes {
    future: usize,
    allocated: usize,
    resident: usize,
}

/// Counts who waits, and gives nothing.
struct Idle(Arc<AtomicUsize>);

#[async_trait]
impl InfoSource for Idle {
    fn name(&self) -> &str {
        "idle"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Look::NotYet)
    }

    async fn wait(&self, _: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        sleep(max).await;
        Ok(Look::NotYet)
    }
}

fn bytes(runtime: &Runtime, look_mode: LookMode) -> Bytes {
    let policy = RetryPolicy::builder()
        .look_mode(look_mode)
        .interval(HOUR)
        .deadline(2 * HOUR);
    let policy = policy.build().unwrap();
    let waiting = Arc::new(AtomicUsize::new(0));
    let extractor = || {
        let source = Idle(Arc::clone(&waiting));
        let builder = Extractor::builder().source(source).policy(policy.clone());
        builder.build().unwrap()
    };
    let one = extractor();
    let future = std::mem::size_of_val(&one.extract());
    let grow = |by: usize| {
        let extractors: Vec<_> = (0..by).map(|_| extractor()).collect();
        let before = (allocated(), resident());
        runtime.block_on(async {
            let all = waiting.load(Ordering::Relaxed) + by;
            for extractor in extractors {
                tokio::spawn(async move { drop(extractor.extract().await) });
            }
            while waiting.load(Ordering::Relaxed) < all {
                sleep(Duration::from_millis(10)).await;
            }
            // The last have looked; let them go to sleep again.
            sleep(Duration::from_millis(200)).await;
        });
        (allocated() - before.0, resident() - before.1)
    };
    grow(MANY);
    let (allocated, resident) = grow(2 * MANY);
    Bytes {
        future,
        allocated: allocated / (2 * MANY),
        resident: resident / (2 * MANY),
    }
}

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Bytes of the process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|text| text.trim().strip_suffix(" kB"))
        .unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// Notes how late each look but the first is.
#[derive(Clone)]
struct Punctual(Arc<Mutex<(Option<Instant>, Vec<Duration>)>>);

impl Punctual {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((
            None,
            Vec::with_capacity(LOOKS as usize),
        ))))
    }

    fn note(&self) {
        let (due, late) = &mut *self.0.lock().unwrap();
        late.extend(due.map(|due| due.elapsed()));
        *due = Some(Instant::now() + INTERVAL);
    }
}

#[async_trait]
impl InfoSource for Punctual {
    fn name(&self) -> &str {
        "punctual"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.note();
        Ok(Look::NotYet)
    }
}

/// All that was noted, in order of size.
fn lateness(runtime: &Runtime, spread: Duration, is_bare: bool) -> Vec<Duration> {
    let policy = RetryPolicy::builder()
        .look_mode(LookMode::Poll)
        .interval(INTERVAL)
        .attempts(LOOKS);
    let policy = policy.deadline(HOUR).build().unwrap();
    let sources: Vec<_> = (0..MANY).map(|_| Punctual::new()).collect();
    let mut tasks = JoinSet::new();
    runtime.block_on(async {
        let start = Instant::now() + INTERVAL;
        for (source, n) in sources.iter().cloned().zip(0..) {
            let extractor = Extractor::builder()
                .source(source.clone())
                .policy(policy.clone());
            let extractor = extractor.build().unwrap();
            let begin = start + spread * n / u32::try_from(MANY).unwrap();
            tasks.spawn(async move {
                tokio::time::sleep_until(begin).await;
                if !is_bare {
                    assert!(extractor.extract().await.is_err());
                    return;
                }
                for _ in 0..LOOKS {
                    source.note();
                    sleep(INTERVAL).await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    });
    let mut late: Vec<_> = sources
        .iter()
        .flat_map(|source| std::mem::take(&mut source.0.lock().unwrap().1))
        .collect();
    assert_eq!(late.len(), MANY * (LOOKS as usize - 1), "a look is missing");
    late.sort_unstable();
    late
}
