//! The suite on the sources of the core, and on sources of which each breaks one rule.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::time::sleep;

use super::*;
use crate::failure::{ProtocolFailure, Site};
use crate::source::mock::MockSource;
use crate::source::{Look, from_fn};

fn failure() -> ProtocolFailure {
    ProtocolFailure::new(Site::Unknown, "it is broken")
}

fn mock(scenario: SourceScenario) -> MockSource {
    let mock = MockSource::new("mock");
    let jid = |text: &str| text.parse().unwrap();
    match scenario {
        SourceScenario::Unlinked => mock,
        SourceScenario::Number { assurance, after } => {
            let number = mock.look(jid(PHONE), assurance);
            mock.at(after, number)
        }
        SourceScenario::LidOnly => {
            let lid = mock.look(jid(LID), Assurance::Confirmed);
            mock.at(Duration::ZERO, lid)
        }
        SourceScenario::Conflict => mock.at(Duration::ZERO, Look::Conflict),
        SourceScenario::Broken => mock.at(Duration::ZERO, failure()),
    }
}

/// A fixture from a function, of sources that notice or do not.
struct Made<F>(F, bool);

#[async_trait]
impl<F: Fn(SourceScenario) -> Arc<dyn InfoSource> + Send + Sync> Fixture for Made<F> {
    async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>> {
        Some((self.0)(scenario))
    }

    fn notices(&self) -> bool {
        self.1
    }
}

#[tokio::test(start_paused = true)]
async fn the_mock_keeps_the_contract() {
    all(&Made(|scenario| Arc::new(mock(scenario)) as _, true)).await;
    let slow = |scenario| Arc::new(mock(scenario).taking(Duration::from_millis(300))) as _;
    all(&Made(slow, true)).await;
}

#[tokio::test(start_paused = true)]
async fn a_closure_keeps_the_contract() {
    let closure = |scenario| {
        let mock = Arc::new(mock(scenario));
        let source = from_fn("closure", move || {
            let mock = Arc::clone(&mock);
            async move { mock.probe().await }
        });
        Arc::new(source) as _
    };
    all(&Made(closure, false)).await;
}

#[tokio::test(start_paused = true)]
async fn it_runs_in_a_task() {
    struct Spawned;

    #[async_trait]
    impl Fixture for Spawned {
        async fn source(&self, scenario: SourceScenario) -> Option<Arc<dyn InfoSource>> {
            matches!(
                scenario,
                SourceScenario::Unlinked | SourceScenario::Number { .. }
            )
            .then(|| Arc::new(mock(scenario)) as _)
        }
    }

    tokio::spawn(all(&Spawned)).await.unwrap();
}

/// How a source breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    NoName,
    ChangingName,
    MissingIsAnError,
    FoundWithoutNumber,
    LidTakenForANumber,
    OtherNumber,
    TooSure,
    PicksOneOfTwo,
    EarlyForNothing,
    EarlyForTooLittle,
    Blocks,
    NoLookWithoutTime,
    SwallowsFailures,
    NeverEnds,
    NeverNotices,
    DroppedProbeBreaks,
    DroppedWaitBreaks,
    OneAtATime,
    LeaderTakesAll,
}

use Fault::*;

struct Faulty {
    fault: Fault,
    inner: MockSource,
    names: AtomicU32,
    is_busy: AtomicBool,
    turn: tokio::sync::Mutex<()>,
    leader: Mutex<Option<std::sync::Weak<()>>>,
}

impl Faulty {
    fn new(fault: Fault, scenario: SourceScenario) -> Self {
        Self {
            fault,
            inner: mock(scenario),
            names: AtomicU32::new(0),
            is_busy: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            leader: Mutex::default(),
        }
    }

    fn look(&self, look: Result<Look, ProtocolFailure>) -> Result<Look, ProtocolFailure> {
        let other = |text: &str, assurance| self.inner.look(text.parse().unwrap(), assurance);
        match (self.fault, look) {
            (MissingIsAnError, Ok(Look::NotYet)) => Err(failure()),
            (FoundWithoutNumber, Ok(Look::Found(mut me))) => {
                me.phone = None;
                Ok(Look::Found(me))
            }
            (LidTakenForANumber, Ok(Look::LidOnly(me))) => {
                Ok(other("123456789012345@c.us", me.assurance))
            }
            (OtherNumber, Ok(Look::Found(me))) => Ok(other("628990000099@c.us", me.assurance)),
            (TooSure, Ok(Look::Found(_))) | (PicksOneOfTwo, Ok(Look::Conflict)) => {
                Ok(other(PHONE, Assurance::Confirmed))
            }
            (SwallowsFailures, Err(_)) => Ok(Look::NotYet),
            (_, look) => look,
        }
    }
}

#[async_trait]
impl InfoSource for Faulty {
    fn name(&self) -> &str {
        match self.fault {
            NoName => " ",
            ChangingName => match self.names.fetch_add(1, Ordering::Relaxed) {
                0 => "one",
                _ => "two",
            },
            _ => "faulty",
        }
    }

    async fn probe(&self) -> Result<Look, ProtocolFailure> {
        if self.is_busy.load(Ordering::Relaxed) {
            return Err(failure());
        }
        let _turn = match self.fault {
            OneAtATime => Some(self.turn.try_lock().map_err(|_| failure())?),
            _ => None,
        };
        if matches!(self.fault, DroppedProbeBreaks | OneAtATime) {
            let breaks = self.fault == DroppedProbeBreaks;
            self.is_busy.store(breaks, Ordering::Relaxed);
            sleep(Duration::from_millis(20)).await;
            self.is_busy.store(false, Ordering::Relaxed);
        }
        self.look(self.inner.probe().await)
    }

    async fn wait(&self, min: Assurance, max: Duration) -> Result<Look, ProtocolFailure> {
        match self.fault {
            EarlyForNothing => return self.probe().await,
            EarlyForTooLittle => {
                return self.look(self.inner.wait(Assurance::Provisional, max).await);
            }
            NoLookWithoutTime if max.is_zero() => return Ok(Look::NotYet),
            NeverEnds => std::future::pending().await,
            Blocks => {
                #[allow(clippy::disallowed_methods)] // the fault
                std::thread::sleep(max);
                return self.probe().await;
            }
            NeverNotices => sleep(max).await,
            LeaderTakesAll => {
                // The second caller waits for the first, even for one that was dropped.
                let me = Arc::new(());
                let follows = {
                    let mut leader = self.leader.lock().unwrap();
                    let follows = leader
                        .as_ref()
                        .is_some_and(|other| other.strong_count() > 0);
                    if !follows {
                        *leader = Some(Arc::downgrade(&me));
                    }
                    follows
                };
                if follows {
                    std::future::pending::<()>().await;
                }
                return self.inner.wait(min, max).await;
            }
            _ => {}
        }
        self.is_busy
            .store(self.fault == DroppedWaitBreaks, Ordering::Relaxed);
        let look = self.inner.wait(min, max).await;
        self.is_busy.store(false, Ordering::Relaxed);
        self.look(look)
    }
}

async fn run(fault: Fault) {
    let faulty = |scenario| Arc::new(Faulty::new(fault, scenario)) as _;
    all(&Made(faulty, true)).await;
}

macro_rules! caught {
    ($($test:ident: $fault:ident, $rule:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        #[should_panic(expected = $rule)]
        async fn $test() {
            run($fault).await;
        }
    )*};
}

caught! {
    no_name_is_caught: NoName, "a source has a name";
    a_changing_name_is_caught: ChangingName, "a source keeps its name";
    a_missing_number_as_an_error_is_caught: MissingIsAnError, "gives `NotYet` and no error";
    found_without_a_number_is_caught: FoundWithoutNumber, "`Found` carries a number";
    a_lid_as_a_number_is_caught: LidTakenForANumber, "a LID alone is `LidOnly`, never `Found`";
    a_wrong_number_is_caught: OtherNumber, "the number is the account's";
    too_much_assurance_is_caught: TooSure, "the assurance is what there is evidence for";
    one_of_two_rivals_is_caught: PicksOneOfTwo, "live readers that disagree are a `Conflict`";
    returning_early_for_nothing_is_caught: EarlyForNothing, "`wait` returns early only for";
    returning_early_for_too_little_is_caught: EarlyForTooLittle, "`wait` returns early only for";
    a_wait_without_a_look_is_caught: NoLookWithoutTime, "a `wait` without time is still one look";
    swallowed_failures_are_caught: SwallowsFailures, "a look that does not work is an error";
    a_wait_without_end_is_caught: NeverEnds, "every look ends";
    a_wait_that_does_not_notice_is_caught: NeverNotices, "a source that notices returns";
    damage_by_a_dropped_probe_is_caught: DroppedProbeBreaks, "may be dropped at any point";
    damage_by_a_dropped_wait_is_caught: DroppedWaitBreaks, "may be dropped at any point";
    refusing_a_second_look_is_caught: OneAtATime, "several looks at once all work";
    hanging_on_a_dropped_look_is_caught: LeaderTakesAll, "every look ends";
}

/// In real time: a blocked thread does not move the paused clock.
#[tokio::test]
#[should_panic(expected = "`wait` does not block the thread")]
async fn a_blocking_wait_is_caught() {
    let blocking = Faulty::new(Blocks, SourceScenario::Unlinked);
    finds_no_account(&blocking, Duration::from_millis(40)).await;
}

#[tokio::test]
#[should_panic(expected = "SourceScenario::Unlinked")]
async fn a_fixture_without_worlds_proves_nothing() {
    struct Empty;

    #[async_trait]
    impl Fixture for Empty {
        async fn source(&self, _: SourceScenario) -> Option<Arc<dyn InfoSource>> {
            None
        }
    }

    all(&Empty).await;
}
