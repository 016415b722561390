//! What an error of a task means: [`Judged`].

use std::error::Error;

use crate::classify::{ErrorClass, Phase, ProtocolErrorClassifier, Verdict};
use crate::failure::Site;

/// What the classifier made of an error, in a form that can be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) class: ErrorClass,
    pub(super) rule: Box<str>,
    pub(super) explanation: Box<str>,
    live: Verdict,
    ending: Verdict,
}

impl Judged {
    pub(super) fn new(classifier: &ProtocolErrorClassifier, error: &(dyn Error + 'static)) -> Self {
        let found = classifier.classify_error(Site::Unknown, error);
        Self {
            class: found.class,
            rule: found.rule.into(),
            explanation: found.explanation().into(),
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
