//! Runs the crate's own extractor on paused time, once for each readiness time.

use std::error::Error;
use std::thread;
use std::time::Duration;

use whatsapp_phone::Extractor;
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::mock::MockSource;

const NUMBER: &str = "628110000041@c.us";

/// Extractions that share a clock. Each takes at most a day, and the timers of tokio cover two years.
const RUNS_PER_CLOCK: usize = 250;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The outcome of one extraction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// When the extraction returned the number, and how much later than the number was readable.
    pub(crate) found: Option<(Duration, Duration)>,
    /// The looks that were started; a wait in the page counts as one look for each slot.
    pub(crate) looks: u32,
}

/// Runs the policy once for each time, on all cores. Equal for equal seeds. `done` is called with the
/// number of runs that have ended since its last call.
pub(crate) fn simulate(
    policy: &RetryPolicy,
    times: &[Option<Duration>],
    seed: u64,
    done: &(dyn Fn(usize) + Sync),
) -> Outcome<Vec<Run>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let per_thread = times
        .len()
        .div_ceil(threads)
        .next_multiple_of(RUNS_PER_CLOCK);
    thread::scope(|scope| {
        let part = |(first, times): (usize, &[Option<Duration>])| {
            let mut runs = Vec::with_capacity(times.len());
            for (n, times) in times.chunks(RUNS_PER_CLOCK).enumerate() {
                let first = first + n * RUNS_PER_CLOCK;
                runs.extend(on_one_clock(
                    policy,
                    times,
                    seed.wrapping_add(first as u64),
                )?);
                done(times.len());
            }
            Outcome::Ok(runs)
        };
        let parts: Vec<_> = times
            .chunks(per_thread.max(1))
            .enumerate()
            .map(|(n, times)| scope.spawn(move || part((n * per_thread, times))))
            .collect();
        let mut runs = Vec::with_capacity(times.len());
        for part in parts {
            runs.extend(part.join().map_err(|_| "a simulation thread panicked")??);
        }
        Ok(runs)
    })
}

fn on_one_clock(policy: &RetryPolicy, times: &[Option<Duration>], seed: u64) -> Outcome<Vec<Run>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    // The jitter of policies is drawn from the thread's generator.
    fastrand::seed(seed);
    runtime.block_on(async {
        let mut runs = Vec::with_capacity(times.len());
        for ready in times {
            runs.push(run(policy, *ready).await?);
        }
        Ok(runs)
    })
}

async fn run(policy: &RetryPolicy, ready: Option<Duration>) -> Outcome<Run> {
    let source = |name: &'static str| {
        let source = MockSource::new(name);
        match ready {
            Some(ready) => source.number_at(ready, NUMBER),
            None => source,
        }
    };
    let mut builder = Extractor::builder()
        .policy(policy.clone())
        .source(source("page"));
    if policy.fallback_after_exhaustion() {
        builder = builder.source(source("fallback"));
    }
    match builder.build()?.extract().await {
        Ok(found) => Ok(Run {
            found: ready.map(|ready| (found.elapsed, found.elapsed.saturating_sub(ready))),
            looks: found.attempt,
        }),
        Err(error) if error.code() == "not_ready" => Ok(Run {
            found: None,
            looks: error.attempts(),
        }),
        Err(error) => Err(error.into()),
    }
}
