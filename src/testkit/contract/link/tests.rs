//! The suite on a scripted source, and on sources that each break one rule.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Weak};

use tokio::time::{Instant, sleep};

use super::*;
use crate::failure::{ProtocolFailure, Site};
use crate::link::QrCode;

fn failure(code: &'static str) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, "it is broken").with_code(code)
}

/// Follows its scenario; each look takes this long.
struct Scripted {
    scenario: LinkScenario,
    start: Instant,
    takes: Duration,
    document: Mutex<Option<bool>>,
}

fn scripted(scenario: LinkScenario, takes: u64) -> Scripted {
    Scripted {
        scenario,
        start: Instant::now(),
        takes: Duration::from_millis(takes),
        document: Mutex::default(),
    }
}

#[async_trait]
impl LinkSource for Scripted {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        sleep(self.takes).await;
        let is_reloaded = |after| self.start.elapsed() >= after;
        *self.document.lock().unwrap() = match self.scenario {
            LinkScenario::Reloads { after } => Some(is_reloaded(after)),
            _ => Some(false),
        };
        match self.scenario {
            LinkScenario::Reloads { .. } => Ok(LinkState::Linked),
            LinkScenario::Stays(state) => Ok(state),
            LinkScenario::Turns { from, after, .. } if self.start.elapsed() < after => Ok(from),
            LinkScenario::Turns { to, .. } => Ok(to),
            LinkScenario::Broken => Err(failure("unexpected alert open")),
            LinkScenario::Gone => Err(failure("no such window")),
        }
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        Ok(match self.link().await? {
            LinkState::Unlinked => QrCode::new("2@contract").ok(),
            LinkState::QrExpired => Some(QrCode::expired()),
            _ => None,
        })
    }

    fn document(&self) -> Option<String> {
        Some((*self.document.lock().unwrap())?.to_string())
    }
}

/// A fixture from a function.
struct Made<F>(F);

#[async_trait]
impl<F: Fn(LinkScenario) -> Option<Arc<dyn LinkSource>> + Send + Sync> LinkFixture for Made<F> {
    async fn source(&self, scenario: LinkScenario) -> Option<Arc<dyn LinkSource>> {
        (self.0)(scenario)
    }

    fn reads_qr(&self) -> bool {
        true
    }

    fn names_documents(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_scripted_source_keeps_the_contract() {
    for takes in [0, 300] {
        all(&Made(|scenario| {
            Some(Arc::new(scripted(scenario, takes)) as _)
        }))
        .await;
    }
    // Boxed and in an `Arc`.
    all(&Made(|scenario| {
        let boxed: Box<dyn LinkSource> = Box::new(scripted(scenario, 20));
        Some(Arc::new(boxed) as _)
    }))
    .await;
    all(&Made(|scenario| {
        Some(Arc::new(Arc::new(scripted(scenario, 20))) as _)
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_runs_in_a_task() {
    struct Spawned;

    #[async_trait]
    impl LinkFixture for Spawned {
        async fn source(&self, scenario: LinkScenario) -> Option<Arc<dyn LinkSource>> {
            use LinkState::{Linked, Unlinked};
            let is_shown = match scenario {
                LinkScenario::Stays(state) => state == Linked,
                LinkScenario::Turns { from, to, .. } => (from, to) == (Linked, Unlinked),
                _ => true,
            };
            is_shown.then(|| Arc::new(scripted(scenario, 1)) as _)
        }
    }

    tokio::spawn(all(&Spawned)).await.unwrap();
}

/// How a source breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    UnknownIsAnError,
    TakesLinkingForLinked,
    TakesBarsForUnlinked,
    TakesExpiredForShown,
    StaysWithItsFirst,
    SwallowsFailures,
    HidesTheEnd,
    NeverEnds,
    DroppedLookBreaks,
    OneAtATime,
    LeaderTakesAll,
    Blocks,
    ReadsNoCode,
    ShowsCodeWhenLinked,
    TakesExpiredCodeForValid,
    NoCodeIsAnError,
    NamesNoDocument,
    KeepsItsFirstDocument,
    NamesEachLook,
}

use Fault::*;

struct Faulty {
    fault: Fault,
    inner: Scripted,
    first: Mutex<Option<LinkState>>,
    is_busy: AtomicBool,
    turn: tokio::sync::Mutex<()>,
    leader: Mutex<Weak<()>>,
}

impl Faulty {
    fn new(fault: Fault, scenario: LinkScenario) -> Self {
        Self {
            fault,
            inner: scripted(scenario, 20),
            first: Mutex::default(),
            is_busy: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
            leader: Mutex::default(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the fault")]
fn block() {
    std::thread::sleep(Duration::from_millis(10));
}

#[async_trait]
impl LinkSource for Faulty {
    async fn link(&self) -> Result<LinkState, ProtocolFailure> {
        if self.is_busy.load(Ordering::Relaxed) {
            return Err(failure("timeout"));
        }
        self.is_busy
            .store(self.fault == DroppedLookBreaks, Ordering::Relaxed);
        let me = Arc::new(());
        let _turn = match self.fault {
            OneAtATime => Some(self.turn.try_lock().map_err(|_| failure("timeout"))?),
            _ => None,
        };
        match self.fault {
            NeverEnds => std::future::pending().await,
            Blocks => block(),
            LeaderTakesAll => {
                // The second look waits for the first, even if that was dropped.
                let follows = {
                    let mut leader = self.leader.lock().unwrap();
                    let follows = leader.strong_count() > 0;
                    if !follows {
                        *leader = Arc::downgrade(&me);
                    }
                    follows
                };
                if follows {
                    std::future::pending::<()>().await;
                }
            }
            _ => {}
        }
        let state = self.inner.link().await;
        self.is_busy.store(false, Ordering::Relaxed);
        match (self.fault, state) {
            (UnknownIsAnError, Ok(LinkState::Unknown)) => Err(failure("javascript error")),
            (TakesLinkingForLinked, Ok(LinkState::Linking)) => Ok(LinkState::Linked),
            (TakesBarsForUnlinked, Ok(LinkState::Barred(_)))
            | (TakesExpiredForShown, Ok(LinkState::QrExpired)) => Ok(LinkState::Unlinked),
            (StaysWithItsFirst, Ok(state)) => Ok(*self.first.lock().unwrap().get_or_insert(state)),
            (SwallowsFailures, Err(_)) => Ok(LinkState::Unknown),
            (HidesTheEnd, Err(_)) => Err(failure("unexpected alert open")),
            (_, state) => state,
        }
    }

    async fn qr(&self) -> Result<Option<QrCode>, ProtocolFailure> {
        let valid = || QrCode::new("2@contract").ok();
        Ok(match (self.fault, self.inner.link().await?) {
            (ReadsNoCode, _) => None,
            (NoCodeIsAnError, LinkState::Linking) => return Err(failure("no such element")),
            (ShowsCodeWhenLinked, LinkState::Linked)
            | (TakesExpiredCodeForValid, LinkState::QrExpired) => valid(),
            _ => self.inner.qr().await?,
        })
    }

    fn document(&self) -> Option<String> {
        match self.fault {
            NamesNoDocument => None,
            KeepsItsFirstDocument => Some("first".to_owned()),
            NamesEachLook => Some(format!("{:?}", self.inner.start.elapsed())),
            _ => self.inner.document(),
        }
    }
}

macro_rules! caught {
    ($($test:ident: $fault:ident, $rule:literal;)*) => {$(
        #[tokio::test(start_paused = true)]
        #[should_panic(expected = $rule)]
        async fn $test() {
            all(&Made(|scenario| Some(Arc::new(Faulty::new($fault, scenario)) as _))).await;
        }
    )*};
}

caught! {
    an_error_without_evidence_is_caught: UnknownIsAnError, "is `Unknown`, not an error";
    too_early_a_link_is_caught: TakesLinkingForLinked, "a look reports the present state";
    a_bar_taken_for_something_else_is_caught: TakesBarsForUnlinked, "a look reports the present state";
    an_expired_code_taken_for_a_valid_one_is_caught: TakesExpiredForShown, "a look reports the present state";
    an_old_answer_is_caught: StaysWithItsFirst, "a look reports a change";
    swallowed_failures_are_caught: SwallowsFailures, "a look that fails is an error";
    an_end_reported_as_something_else_is_caught: HidesTheEnd, "is gone is an error of";
    a_look_without_end_is_caught: NeverEnds, "every look ends";
    damage_by_a_dropped_look_is_caught: DroppedLookBreaks, "may be dropped at any point";
    refusing_a_second_look_is_caught: OneAtATime, "several looks at once all work";
    a_code_that_is_not_read_is_caught: ReadsNoCode, "a valid code while it can be linked";
    a_code_of_a_linked_page_is_caught: ShowsCodeWhenLinked, "no code once it is linked";
    an_expired_code_given_as_valid_is_caught: TakesExpiredCodeForValid, "a valid code while";
    an_error_without_a_code_is_caught: NoCodeIsAnError, "a page without a code is no error";
    a_document_that_is_not_named_is_caught: NamesNoDocument, "keeps its document";
    a_reload_that_is_not_noticed_is_caught: KeepsItsFirstDocument, "has seen another document";
    a_new_document_at_each_look_is_caught: NamesEachLook, "keeps its document";
    hanging_on_a_dropped_look_is_caught: LeaderTakesAll, "every look ends";
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a look does not block the thread")]
async fn a_blocked_thread_is_caught() {
    let blocking = Faulty::new(Blocks, LinkScenario::Stays(LinkState::Linked));
    leaves_the_thread(&blocking, Duration::from_millis(50)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a session that stays linked")]
async fn a_fixture_without_scenarios_is_refused() {
    all(&Made(|_| None)).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "a session that turns")]
async fn a_fixture_without_a_turn_is_refused() {
    all(&Made(|scenario| {
        let stays = matches!(scenario, LinkScenario::Stays(_));
        stays.then(|| Arc::new(scripted(scenario, 0)) as _)
    }))
    .await;
}
