//! Combines the answers of one round.

use super::asked_source::{Answer, AskedSource};
use super::error::ErrorKind;
use crate::classify::{ErrorClass, Phase, ProtocolErrorClassifier, Verdict};
use crate::source::{Assurance, Identity, Look, PageState, Pending};

/// The result of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Judgement {
    /// Nothing yet.
    Open,
    /// This source's number is the answer.
    Found { lane: usize },
    /// It ends without a number.
    Over(ErrorKind),
}

/// Judges the answers that this round has so far; a rival that has not answered is not waited for.
///
/// An end (closed page, lost browser) takes precedence over a number, which is then stale.
pub(super) fn judge(
    lanes: &[AskedSource<'_>],
    round: u32,
    accept: Assurance,
    classifier: &ProtocolErrorClassifier,
) -> Judgement {
    let answers = || lanes.iter().map(|lane| lane.answer_of(round));
    if let Some(end) = answers()
        .flatten()
        .find_map(|answer| ending(answer, classifier))
    {
        return Judgement::Over(end);
    }
    if let Some(reason) = hopeless(lanes, classifier) {
        return Judgement::Over(reason);
    }
    let found = || {
        answers()
            .enumerate()
            .filter_map(|(i, answer)| Some((i, number(answer?)?)))
    };
    let Some(best) = found()
        .map(|(_, me)| me.assurance)
        .max()
        .filter(|best| *best >= accept)
    else {
        return Judgement::Open;
    };
    let mut rivals = found().filter(|(_, me)| me.assurance == best);
    match rivals.next() {
        None => Judgement::Open,
        Some((lane, first)) if rivals.all(|(_, other)| is_same(first, other)) => {
            Judgement::Found { lane }
        }
        Some(_) => Judgement::Over(ErrorKind::SourcesDisagree),
    }
}

/// The reason why no source can ever answer: each has last said that its own set-up is wrong.
fn hopeless(lanes: &[AskedSource<'_>], classifier: &ProtocolErrorClassifier) -> Option<ErrorKind> {
    let mut reason = None;
    for lane in lanes {
        let failure = lane.last()?.as_ref().err()?;
        let class = classifier.classify(failure).class;
        if class != ErrorClass::Setup {
            return None;
        }
        reason = reason.or(ErrorKind::of(failure, class));
    }
    reason
}

/// The best assurance among the numbers that sources last gave.
pub(super) fn best_seen(lanes: &[AskedSource<'_>]) -> Option<Assurance> {
    lanes
        .iter()
        .filter_map(|lane| Some(number(lane.last()?)?.assurance))
        .max()
}

/// The shortest time after which a source would have given an answer that is accepted.
pub(super) fn pending(lanes: &[AskedSource<'_>], accept: Assurance) -> Option<Pending> {
    let identities = lanes.iter().filter_map(|lane| match lane.last()? {
        Ok(Look::Found(me) | Look::LidOnly(me)) => me.pending.clone(),
        _ => None,
    });
    identities
        .filter(|pending| pending.assurance >= accept)
        .min_by_key(|pending| pending.left)
}

/// The first known state of a source's page.
pub(super) fn page_state(lanes: &[AskedSource<'_>]) -> Option<PageState> {
    let states = || lanes.iter().filter_map(AskedSource::page_state);
    let known = states().find(|state| *state != PageState::Unknown);
    known.or_else(|| states().next())
}

/// The reason when time or attempts are over.
pub(super) fn exhausted(
    lanes: &[AskedSource<'_>],
    accept: Assurance,
    classifier: &ProtocolErrorClassifier,
) -> ErrorKind {
    // A number that was not sure enough says more than a LID: the account has one, and time gives it.
    if best_seen(lanes).is_some() {
        return ErrorKind::NotReady;
    }
    let last = || lanes.iter().filter_map(AskedSource::last);
    if last().any(|answer| matches!(answer, Ok(Look::LidOnly(me)) if me.assurance >= accept)) {
        return ErrorKind::LidOnly;
    }
    if last().any(Result::is_ok) {
        return ErrorKind::NotReady;
    }
    last()
        .filter_map(|answer| answer.as_ref().err())
        .find_map(|failure| ErrorKind::of(failure, classifier.classify(failure).class))
        .unwrap_or(ErrorKind::NotReady)
}

fn ending(answer: &Answer, classifier: &ProtocolErrorClassifier) -> Option<ErrorKind> {
    match answer {
        Ok(Look::Conflict) => Some(ErrorKind::SourcesDisagree),
        Ok(_) => None,
        Err(failure) => match classifier.classify(failure).verdict(Phase::Live) {
            Verdict::EndSession => Some(ErrorKind::PageClosed),
            Verdict::EndBrowser => Some(ErrorKind::BrowserGone),
            _ => None,
        },
    }
}

/// The identity, if it has a number.
fn number(answer: &Answer) -> Option<&Identity> {
    match answer {
        Ok(Look::Found(me)) if me.phone.is_some() => Some(me),
        _ => None,
    }
}

fn is_same(a: &Identity, b: &Identity) -> bool {
    match (&a.jid, &b.jid) {
        (Some(a), Some(b)) => a.same_account(b),
        _ => a.phone == b.phone,
    }
}
