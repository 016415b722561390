//! Measures how much later 700 sessions get their numbers while 300 others fail.
//!
//! `cargo bench --bench isolation`; takes about 40 seconds.
//!
//! A thousand supervised sessions run on scripted sources, on a runtime with two workers; their numbers
//! become readable over two seconds. In a quiet run no session fails. In a disturbed run 300 fail, each
//! when its number becomes readable and in one of ten ways: lost pages and browsers, panics of sources,
//! tasks, destructors and error texts, hangs, unknown errors, and errors that are retried until their
//! deadline. Quiet and disturbed runs take turns. The latency of a session is the time from "its number is
//! readable" to "the program has it". It includes the start of the session, and the rounding of timers to
//! milliseconds.
//!
//! The bench replaces the panic hook with an empty one: the default hook prints, and with `RUST_BACKTRACE` it
//! takes some milliseconds of processor time for each panic, also if the panic is caught.
//!
//! Latencies are printed and not checked. The bench fails if one of the 700 has no number or a wrong one.

// A bench has no caller to report to.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/many_sessions.rs"]
mod many_sessions;

use std::time::Duration;

use whatsapp_phone::{RetryPolicy, Supervisor};

const ROUNDS: usize = 9;
const SPREAD: Duration = Duration::from_secs(2);

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut quiet, mut disturbed) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        for (failing, late) in [(false, &mut quiet), (true, &mut disturbed)] {
            let of_round = lateness(failing);
            if round > 0 {
                late.extend(of_round);
            }
        }
    }
    println!("milliseconds late, 700 sessions beside 300 others, {ROUNDS} runs each");
    println!(
        "  {:<28}{:>10}{:>10}{:>10}{:>10}",
        "", "median", "p95", "p99", "max"
    );
    let rows = [("all sound", quiet), ("300 of 1,000 fail", disturbed)].map(|(name, mut late)| {
        late.sort_unstable();
        let row = [50, 95, 99, 100]
            .map(|percent: usize| late[(late.len() - 1) * percent / 100].as_secs_f64() * 1e3);
        println!(
            "  {name:<28}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
            row[0], row[1], row[2], row[3]
        );
        row
    });
    let ratio = |at: usize| rows[1][at] / rows[0][at];
    println!(
        "  {:<28}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
        "ratio",
        ratio(0),
        ratio(1),
        ratio(2),
        ratio(3)
    );
}

/// How late each of the 700 had its number.
fn lateness(failing: bool) -> Vec<Duration> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        let supervisor = Supervisor::new();
        let finished =
            many_sessions::run(&supervisor, &RetryPolicy::eager(), SPREAD, failing).await;
        supervisor.stop(Duration::ZERO).await;
        assert_eq!(finished.len(), 700);
        let late = finished.into_iter().map(|it| {
            assert_eq!(format!("{}@c.us", it.phone), many_sessions::jid(it.session));
            it.at
                .saturating_sub(many_sessions::ready(it.session, SPREAD))
        });
        late.collect()
    })
}
