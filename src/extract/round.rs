//! Combines the answers of one round.

use super::asked_source::{AskedSource, LookResult};
use super::error::ErrorKind;
use crate::classify::{ErrorClass, Phase, ProtocolErrorClassifier, Verdict};
use crate::source::{Assurance, Identity, Look, PageState, Pending};

/// The result of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RoundResult {
    /// Nothing yet.
    Open,
    /// This source's number is the answer.
    Found { source: usize },
    /// It ends without a number.
    Over(ErrorKind),
}

/// Combines the answers that this round has so far; a source that has not answered is not waited for.
///
/// An end (closed page, lost browser) takes precedence over a number, which is then stale.
pub(super) fn combine(
    sources: &[AskedSource<'_>],
    round: u32,
    accept: Assurance,
    classifier: &ProtocolErrorClassifier,
) -> RoundResult {
    let answers = || sources.iter().map(|source| source.answer_of(round));
    if let Some(end) = answers()
        .flatten()
        .find_map(|answer| ending(answer, classifier))
    {
        return RoundResult::Over(end);
    }
    if let Some(reason) = all_misconfigured(sources, classifier) {
        return RoundResult::Over(reason);
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
        return RoundResult::Open;
    };
    let mut rivals = found().filter(|(_, me)| me.assurance == best);
    match rivals.next() {
        None => RoundResult::Open,
        Some((source, first)) if rivals.all(|(_, other)| is_same(first, other)) => {
            RoundResult::Found { source }
        }
        Some(_) => RoundResult::Over(ErrorKind::SourcesDisagree),
    }
}

/// Returns the reason why no source can ever answer: each has last said that its own set-up is wrong.
fn all_misconfigured(
    sources: &[AskedSource<'_>],
    classifier: &ProtocolErrorClassifier,
) -> Option<ErrorKind> {
    let mut reason = None;
    for source in sources {
        let failure = source.last()?.as_ref().err()?;
        let class = classifier.classify(failure).class;
        if class != ErrorClass::Setup {
            return None;
        }
        reason = reason.or(ErrorKind::of(failure, class));
    }
    reason
}

/// Returns the best assurance among the numbers that sources last gave.
pub(super) fn best_assurance(sources: &[AskedSource<'_>]) -> Option<Assurance> {
    sources
        .iter()
        .filter_map(|source| Some(number(source.last()?)?.assurance))
        .max()
}

/// Returns the shortest time after which a source would have given an answer that is accepted.
pub(super) fn pending(sources: &[AskedSource<'_>], accept: Assurance) -> Option<Pending> {
    let identities = sources.iter().filter_map(|source| match source.last()? {
        Ok(Look::Found(me) | Look::LidOnly(me)) => me.pending.clone(),
        _ => None,
    });
    identities
        .filter(|pending| pending.assurance >= accept)
        .min_by_key(|pending| pending.left)
}

/// Returns the first known state of a source's page.
pub(super) fn page_state(sources: &[AskedSource<'_>]) -> Option<PageState> {
    let states = || sources.iter().filter_map(AskedSource::page_state);
    let known = states().find(|state| *state != PageState::Unknown);
    known.or_else(|| states().next())
}

/// Returns the reason when time or attempts are over.
pub(super) fn exhausted(
    sources: &[AskedSource<'_>],
    accept: Assurance,
    classifier: &ProtocolErrorClassifier,
) -> ErrorKind {
    // A number that was not sure enough says more than a LID: the account has one, and time gives it.
    if best_assurance(sources).is_some() {
        return ErrorKind::NotReady;
    }
    let last = || sources.iter().filter_map(AskedSource::last);
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

fn ending(answer: &LookResult, classifier: &ProtocolErrorClassifier) -> Option<ErrorKind> {
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

/// Returns the identity, if it has a number.
fn number(answer: &LookResult) -> Option<&Identity> {
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
