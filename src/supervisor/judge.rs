//! What an error of a task means: [`Judged`].

use std::error::Error;

use crate::classify::{Classification, ErrorClass, Phase, ProtocolErrorClassifier, Rule, Verdict};
use crate::extract::{ErrorKind, ExtractError};
use crate::failure::Site;

/// Longest chain of causes in which an [`ExtractError`] is looked for.
const MAX_CAUSES: usize = 8;

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
        let chain = std::iter::successors(Some(error), |error| (*error).source());
        let mut chain = chain.take(MAX_CAUSES + 1);
        match chain.find_map(|error| error.downcast_ref::<ExtractError>()) {
            Some(error) if error.attempts() > 0 || error.source().is_none() => {
                Self::extraction(error)
            }
            // One that never began has only a driver's failure to tell of.
            _ => Self::of(classifier.classify_error(Site::Unknown, error)),
        }
    }

    /// An extraction has judged its sources' failures already, by a classifier of its own and with
    /// what it knew beside them; its kind is what it came to.
    fn extraction(error: &ExtractError) -> Self {
        let class = class_of(error.kind());
        match error.classification() {
            Some(found) if found.class == class => Self::of(found),
            _ => Self::of(Classification::from(&Rule::text(error.code(), class, ""))),
        }
    }

    fn of(found: Classification<'_>) -> Self {
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

const fn class_of(kind: ErrorKind) -> ErrorClass {
    match kind {
        ErrorKind::NotReady | ErrorKind::LidOnly => ErrorClass::Timeout,
        ErrorKind::Blocked => ErrorClass::Blocked,
        ErrorKind::PageClosed => ErrorClass::PageClosed,
        ErrorKind::BrowserGone => ErrorClass::BrowserGone,
        ErrorKind::AmbiguousTab | ErrorKind::Misconfigured => ErrorClass::Setup,
        ErrorKind::SourcesDisagree | ErrorKind::SourcePanicked => ErrorClass::Unrelated,
    }
}
