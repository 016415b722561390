//! The time limits of all tests. A test waits for a condition under [`LIMIT`], and so passes while another
//! build uses every core. Bounds that the docs state are tested under paused time; speed is for benches.
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// The longest time that a test waits for what has to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

const _: () = assert!(LIMIT.as_secs() >= 30);

/// Returns the output of a future that has to end.
pub(crate) async fn within_limit<T>(what: &str, future: impl Future<Output = T>) -> T {
    let output = timeout(LIMIT, future).await;
    output.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"))
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    until_async(what, async || holds()).await;
}

/// Waits until the condition, which has to be asked for, holds.
pub(crate) async fn until_async(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    within_limit(what, async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Lets a random time pass, at most this: then something is done to a program at any moment of its work.
pub(crate) async fn random_moment(most: Duration) {
    sleep(most.mul_f64(fastrand::f64())).await;
}

/// Drops a future after this time, which may be short: the future must not end before.
#[track_caller]
pub(crate) fn cancel_after<T>(
    time: Duration,
    future: impl Future<Output = T>,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let ended = timeout(time, future).await.is_ok();
        assert!(!ended, "{caller}: it ended before it was cancelled");
    }
}

/// Returns the output of a future with this deadline, and prints how much later than that it ended, without
/// the lateness of a plain sleep beside it. A figure only: `tests/bounds.rs` tests the deadlines themselves.
pub(crate) async fn print_overrun<T>(deadline: Duration, future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let asleep = tokio::spawn(async move {
        sleep(deadline).await;
        start.elapsed()
    });
    let output = within_limit("it ends", future).await;
    let elapsed = start.elapsed();
    match elapsed.checked_sub(deadline) {
        None => asleep.abort(),
        Some(_) => {
            let late = elapsed.saturating_sub(asleep.await.unwrap());
            println!("deadline overrun: {:.1} ms", late.as_secs_f64() * 1000.0);
        }
    }
    output
}
