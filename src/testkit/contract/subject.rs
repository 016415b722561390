//! One source under test: asks it, never waits for ever, and says which rule is broken.

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, sleep, timeout};

use super::{LID, PHONE, hang_timeout};
use crate::failure::ProtocolFailure;
use crate::jid::Jid;
use crate::phone::PhoneNumber;
use crate::source::{Assurance, Identity, InfoSource, Look};

pub(super) type LookResult = Result<Look, ProtocolFailure>;

/// The difference that two clocks may have: a source over a browser counts `max` on the browser's.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) source: &'a dyn InfoSource,
    pub(super) pace: Duration,
}

impl<'a> Subject<'a> {
    pub(super) fn new(source: &'a dyn InfoSource, pace: Duration) -> Self {
        Self { source, pace }
    }

    pub(super) fn rule(self, holds: bool, rule: &str, saw: &dyn Debug) {
        assert!(
            holds,
            "the contract of InfoSource: {rule}; `{}` gave {saw:?}",
            self.source.name()
        );
    }

    /// Returns the output of the future, which must end at most this much later than a hung source would.
    pub(super) async fn ends<T>(self, after: Duration, future: impl Future<Output = T>) -> T {
        match timeout(after + hang_timeout(self.pace), future).await {
            Ok(output) => output,
            Err(_) => {
                let name = self.source.name();
                panic!("the contract of InfoSource: every look ends; `{name}` did not");
            }
        }
    }

    pub(super) async fn probe(self) -> LookResult {
        self.ends(Duration::ZERO, self.source.probe()).await
    }

    pub(super) async fn wait(self, min: Assurance, max: Duration) -> LookResult {
        self.ends(max, self.source.wait(min, max)).await
    }

    /// Waits with no reason to return early, and leaves the thread to others meanwhile.
    pub(super) async fn wait_in_vain(self, min: Assurance) -> LookResult {
        let ticked = AtomicBool::new(false);
        let tick = async {
            sleep(self.pace / 4).await;
            ticked.store(true, Ordering::Relaxed);
        };
        let waited = async {
            let start = Instant::now();
            let answer = self.wait(min, self.pace).await;
            (answer, start.elapsed(), ticked.load(Ordering::Relaxed))
        };
        let ((), (answer, took, has_ticked)) = join(tick, waited).await;
        self.rule(
            took + CLOCK_TOLERANCE >= self.pace,
            "`wait` returns early only for a number that is sure enough, a conflict or a failure",
            &(&answer, took),
        );
        self.rule(has_ticked, "`wait` does not block the thread", &answer);
        answer
    }

    pub(super) fn not_yet(self, answer: &LookResult) {
        let rule = "while no phone is linked, a look gives `NotYet` and no error";
        self.rule(matches!(answer, Ok(Look::NotYet)), rule, answer);
    }

    pub(super) fn number(self, answer: &LookResult, assurance: Assurance) {
        let Ok(Look::Found(me)) = answer else {
            return self.rule(false, "a number that is there is `Found`", answer);
        };
        self.rule(me.phone.is_some(), "`Found` carries a number", answer);
        self.rule(is_the_account(me), "the number is the account's", answer);
        let rule = "the assurance is what there is evidence for";
        self.rule(me.assurance == assurance, rule, answer);
    }

    pub(super) fn lid(self, answer: &LookResult) {
        let rule = "a LID alone is `LidOnly`, never `Found`";
        let is_lid_only = match answer {
            Ok(Look::LidOnly(me)) => {
                me.phone.is_none() && me.lid.as_ref().is_some_and(|lid| is_same(lid, LID))
            }
            _ => false,
        };
        self.rule(is_lid_only, rule, answer);
    }
}

fn is_the_account(me: &Identity) -> bool {
    let user = PHONE.split([':', '@']).next();
    me.phone.as_ref().map(PhoneNumber::reveal) == user
        && me.jid.as_ref().is_none_or(|jid| is_same(jid, PHONE))
}

fn is_same(jid: &Jid, text: &str) -> bool {
    Jid::parse(text).is_ok_and(|other| jid.same_account(&other))
}
