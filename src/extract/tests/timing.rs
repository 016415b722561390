//! When each source is asked, over many pairs of timings; and what a clock cannot count.

use std::pin::Pin;

use super::*;

/// The behaviour of a source at every look.
#[derive(Clone, Copy, Debug)]
enum Habit {
    NotYet,
    FailsInPassing,
    Hangs,
}

const HABITS: [Habit; 3] = [Habit::NotYet, Habit::FailsInPassing, Habit::Hangs];

/// Begin and end of each look.
type Looks = Arc<std::sync::Mutex<Vec<(Duration, Duration)>>>;

/// A source with a habit. A probe takes its time; a wait fails after it, or lasts to its end.
struct Timed {
    start: Instant,
    takes: Duration,
    habit: Habit,
    looks: Looks,
}

/// Records a look, also one that is cut.
struct Record<'a>(&'a Timed, Duration);

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let end = self.0.start.elapsed();
        self.0.looks.lock().unwrap().push((self.1, end));
    }
}

#[async_trait]
impl InfoSource for Timed {
    fn name(&self) -> &str {
        "timed"
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        self.wait(Assurance::Confirmed, self.takes).await
    }

    async fn wait(&self, _: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        let _record = Record(self, self.start.elapsed());
        match self.habit {
            Habit::NotYet => tokio::time::sleep(max).await,
            Habit::FailsInPassing => tokio::time::sleep(self.takes).await,
            Habit::Hangs => std::future::pending().await,
        }
        match self.habit {
            Habit::FailsInPassing => Err(failure("wrong origin")),
            _ => Ok(Look::NotYet),
        }
    }
}

/// Runs it to exhaustion; the looks of each source in their order, and when it ended.
async fn looks_of(
    policy: &RetryPolicy,
    pair: [(u64, Habit); 2],
) -> ([Vec<(Duration, Duration)>; 2], ExtractError) {
    let looks = [Looks::default(), Looks::default()];
    let mut sources: Vec<Arc<dyn InfoSource>> = Vec::new();
    for ((takes, habit), looks) in pair.into_iter().zip(&looks) {
        sources.push(Arc::new(Timed {
            start: Instant::now(),
            takes: ms(takes),
            habit,
            looks: looks.clone(),
        }));
    }
    let error = extract_phone_safely(&sources, policy).await.unwrap_err();
    (looks.map(|looks| looks.lock().unwrap().clone()), error)
}

#[tokio::test(start_paused = true)]
async fn no_source_is_asked_before_its_pause_is_over_and_no_attempt_is_burnt() {
    let tempo = [3, 40, 100, 130, 260, 480, 600, 1300];
    for mode in [LookMode::Poll, LookMode::Wait] {
        let policy = policy(mode, 8).to_builder().look_timeout(ms(130 + 800));
        let policy = policy.build().unwrap();
        for (a, b) in tempo.iter().flat_map(|a| tempo.map(|b| (*a, b))) {
            for (x, y) in HABITS.iter().flat_map(|x| HABITS.map(|y| (*x, y))) {
                let case = format!("{mode:?}: {a} ms {x:?}, {b} ms {y:?}");
                let (looks, error) = looks_of(&policy, [(a, x), (b, y)]).await;
                assert_eq!(error.attempts(), 8, "{case}");
                assert!(error.elapsed() >= ms(7 * 500), "{case}: {error}");
                for (looks, habit) in looks.iter().zip([x, y]) {
                    // A wait fills its slot, so the next may follow; a probe has its pause. A
                    // source that fails in passing is asked again in its slot.
                    let pause = match (mode, habit) {
                        (_, Habit::FailsInPassing) => ms(50),
                        (LookMode::Poll, _) => ms(500),
                        _ => ms(0),
                    };
                    let is_rested = |two: &[(Duration, Duration)]| two[1].0 >= two[0].1 + pause;
                    assert!(looks.windows(2).all(is_rested), "{case}: {looks:?}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_does_not_end_the_slot_in_which_it_comes() {
    let policy = policy(LookMode::Poll, 10);
    let pair = [(100, Habit::FailsInPassing), (40, Habit::NotYet)];
    let ([_, steady], _) = looks_of(&policy, pair).await;
    let starts: Vec<_> = steady.iter().map(|(start, _)| *start).collect();
    let expected: Vec<_> = (0..10).map(|n| ms(540 * n)).collect();
    assert_eq!(starts, expected);
}

#[tokio::test(start_paused = true)]
async fn a_hung_source_burns_no_attempt_of_a_wait() {
    let policy = policy(LookMode::Wait, 20)
        .to_builder()
        .look_timeout(ms(130));
    let pair = [(0, Habit::NotYet), (0, Habit::Hangs)];
    let (_, error) = looks_of(&policy.build().unwrap(), pair).await;
    assert_eq!((error.attempts(), error.elapsed()), (20, ms(20 * 500)));
}

fn scheduled(
    page: &MockSource,
    mode: LookMode,
    schedule: impl Fn() -> Box<dyn Iterator<Item = Duration> + Send> + Send + Sync + 'static,
) -> Extractor {
    let builder = Extractor::builder().source(page.clone());
    let policy = policy(mode, 1).to_builder().fallback_after_exhaustion(true);
    let builder = builder.policy(policy.build().unwrap());
    builder.schedule(schedule).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_delay_that_no_clock_counts_lasts_until_the_deadline() {
    for mode in [LookMode::Poll, LookMode::Wait] {
        for at in 0..3 {
            let page = MockSource::new("page");
            let extractor = scheduled(&page, mode, move || {
                let mut delays = [ms(0); 3];
                delays[at] = Duration::MAX;
                Box::new(delays.into_iter())
            });
            let error = extractor.extract().await.unwrap_err();
            let seen = (error.kind(), error.elapsed());
            assert_eq!(seen, (ErrorKind::NotReady, ms(60_000)), "{mode:?} {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_zeros_does_not_spin() {
    for mode in [LookMode::Poll, LookMode::Wait] {
        let page = MockSource::new("page");
        let zeros = scheduled(&page, mode, || Box::new(std::iter::repeat_n(ms(0), 101)));
        let error = zeros.extract().await.unwrap_err();
        assert_eq!(page.calls()[0].at, ms(0));
        assert_eq!(error.attempts(), 101);
        assert!(error.elapsed() >= ms(1000), "{mode:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_schedule_is_misconfigured() {
    let page = MockSource::new("page");
    let empty = scheduled(&page, LookMode::Poll, || Box::new(std::iter::empty()));
    let error = empty.extract().await.unwrap_err();
    let seen = (error.kind(), error.attempts(), error.elapsed());
    assert_eq!(seen, (ErrorKind::Misconfigured, 0, ms(0)));
    assert!(page.calls().is_empty());
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("the schedule is empty"), "{source}");
}

/// Its looks panic when they are dropped.
struct BadDrop {
    hangs: bool,
}

impl InfoSource for BadDrop {
    fn name(&self) -> &str {
        "bad drop"
    }

    fn probe<'a: 'x, 'x>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Look, ProtocolFailure>> + Send + 'x>> {
        struct PanicsOnDrop;
        impl Drop for PanicsOnDrop {
            fn drop(&mut self) {
                panic!("a look was dropped");
            }
        }
        // It belongs to the future itself, so it outlives the answer.
        let (panics, hangs) = (PanicsOnDrop, self.hangs);
        Box::pin(std::future::poll_fn(move |_| {
            let _ = &panics;
            match hangs {
                true => std::task::Poll::Pending,
                false => std::task::Poll::Ready(Ok(Look::NotYet)),
            }
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn the_payload_of_a_source_s_panic_is_dropped_safely() {
    struct Thrown;
    impl Drop for Thrown {
        fn drop(&mut self) {
            panic!("what was thrown was dropped");
        }
    }
    let source = from_fn("fn", || async { std::panic::panic_any(Thrown) });
    let sources: [Arc<dyn InfoSource>; 1] = [Arc::new(source)];
    let error = extract_phone_safely(&sources, &policy(LookMode::Poll, 2)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::SourcePanicked);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_drop_of_a_look_does_not_escape() {
    for hangs in [true, false] {
        let sources: [Arc<dyn InfoSource>; 1] = [Arc::new(BadDrop { hangs })];
        // By its look timeout, by the deadline, and by its caller.
        let error = extract_phone_safely(&sources, &policy(LookMode::Poll, 2)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotReady);
        let short = policy(LookMode::Poll, 2).to_builder().deadline(ms(700));
        let error = extract_phone_safely(&sources, &short.build().unwrap()).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotReady);
        let policy = policy(LookMode::Poll, 2);
        let left = tokio::time::timeout(ms(100), extract_phone_safely(&sources, &policy)).await;
        assert!(left.is_err());
    }
}
