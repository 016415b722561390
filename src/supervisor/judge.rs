//! What an error of a task means: [`Judged`].

use std::error::Error;
use std::iter::successors;

use crate::classify::{Classification, ErrorClass, Phase, ProtocolErrorClassifier, Verdict};
use crate::failure::ProtocolFailure;

/// Longest chain of causes that is read.
const MAX_CAUSES: usize = 8;

/// What the classifier made of an error, in a form that can be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) class: ErrorClass,
    pub(super) rule: Box<str>,
    live: Verdict,
    ending: Verdict,
}

impl Judged {
    pub(super) fn new(classifier: &ProtocolErrorClassifier, error: &(dyn Error + 'static)) -> Self {
        let found = classify(classifier, error);
        Self {
            class: found.class,
            rule: found.rule.into(),
            live: found.verdict(Phase::Live),
            ending: found.verdict(Phase::Ending),
        }
    }

    pub(super) const fn verdict(&self, phase: Phase) -> Verdict {
        match phase {
            Phase::Live => self.live,
            Phase::Ending => self.ending,
        }
    }
}

/// The first [`ProtocolFailure`] among the error and its causes tells, by its code; where there is
/// none, the words of each.
fn classify<'a>(
    classifier: &ProtocolErrorClassifier,
    error: &'a (dyn Error + 'static),
) -> Classification {
    let cause = |error: &&'a (dyn Error + 'static)| (**error).source();
    let chain = || successors(Some(error), cause).take(MAX_CAUSES);
    let failure = chain().find_map(|error| error.downcast_ref::<ProtocolFailure>());
    if let Some(failure) = failure {
        return classifier.classify(failure);
    }
    let found = chain().map(|error| classifier.classify_text(&error.to_string()));
    let known = { found }.find(|found| found.class != ErrorClass::Unrelated);
    known.unwrap_or_else(|| classifier.classify_text(""))
}
