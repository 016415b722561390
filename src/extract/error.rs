//! [`ExtractError`]: why there is no number.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::classify::{Classification, ErrorClass, OwnedClassification, ProtocolErrorClassifier};
use crate::codes;
use crate::failure::{ProtocolFailure, Site, disclose};
use crate::source::{Assurance, PageState, Pending};
use crate::text::{clean, stable_names};

/// Longest part of what blocks that `Display` names, in bytes.
const MAX_NAMED: usize = 200;

/// The reason for an [`ExtractError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No number became readable in time.
    NotReady,
    /// The account's LID is known, its number is not.
    LidOnly,
    /// The page was closed.
    PageClosed,
    /// The browser or its driver is gone.
    BrowserGone,
    /// The browser blocks the page: an open dialog, a forbidden command. Also a page that could
    /// not be opened or attached within its deadline.
    Blocked,
    /// Two sources, or two readers of one page, name different accounts.
    SourcesDisagree,
    /// A source panicked, and no other answered.
    SourcePanicked,
    /// Several tabs match; none is chosen at random.
    AmbiguousTab,
    /// The set-up cannot work: no sources, no driver, an invalid URL.
    Misconfigured,
}

stable_names!(ErrorKind, "a kind of errors", code {
    NotReady = codes::NOT_READY,
    LidOnly = codes::LID_ONLY,
    PageClosed = codes::PAGE_CLOSED,
    BrowserGone = codes::BROWSER_GONE,
    Blocked = codes::BLOCKED,
    SourcesDisagree = codes::SOURCES_DISAGREE,
    SourcePanicked = codes::SOURCE_PANICKED,
    AmbiguousTab = codes::AMBIGUOUS_TAB,
    Misconfigured = codes::MISCONFIGURED,
});

impl ErrorKind {
    const fn sentence(self) -> &'static str {
        match self {
            Self::NotReady => {
                "no source gave a phone number; check that the session is linked, and look at the last failures"
            }
            Self::LidOnly => {
                "the account's LID is known, its phone number is not; this device has not received it from WhatsApp"
            }
            Self::PageClosed => "the page was closed; open the session again",
            Self::BrowserGone => "the browser or its driver is gone; start the session again",
            Self::Blocked => {
                "the browser blocks the page, for instance with an open dialog; answer it and try again"
            }
            Self::SourcesDisagree => {
                "two sources name different accounts, so neither is believed; unlink and link the session again"
            }
            Self::SourcePanicked => "the source panicked; this is a bug in the source",
            Self::AmbiguousTab => "several tabs match; narrow the target or close the others",
            Self::Misconfigured => "the set-up cannot work",
        }
    }

    /// Returns the kind of an error whose last failure is this one.
    pub(super) fn of(failure: &ProtocolFailure, class: ErrorClass) -> Option<Self> {
        match (failure.code(), class) {
            (Some(super::asked_source::PANICKED), _) => Some(Self::SourcePanicked),
            (Some(codes::AMBIGUOUS_TAB), _) => Some(Self::AmbiguousTab),
            (_, ErrorClass::PageClosed) => Some(Self::PageClosed),
            (_, ErrorClass::BrowserGone) => Some(Self::BrowserGone),
            (_, ErrorClass::Blocked) => Some(Self::Blocked),
            (_, ErrorClass::Setup) => Some(Self::Misconfigured),
            _ => None,
        }
    }
}

/// The last failure of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceFailure {
    /// The source's name.
    pub source: String,
    /// The failure that it reported.
    pub failure: ProtocolFailure,
}

/// Why there is no number. Cheap to clone; never contains one.
///
/// `Display` says what happened, to what, and what to do; where something blocks, it names that. The
/// failure that led to it is reached through [`Error::source`], the last one of every source through
/// [`failures`](Self::failures).
#[derive(Clone)]
pub struct ExtractError(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    attempts: u32,
    elapsed: Duration,
    /// The best assurance of a number that was seen and not accepted.
    refused: Option<Assurance>,
    /// Time alone would have raised the assurance.
    pending: Option<Pending>,
    page_state: Option<PageState>,
    failures: Vec<SourceFailure>,
    /// The one of `failures` that decided, if one did: its index, and how the extractor classified it.
    decisive: Option<(usize, OwnedClassification)>,
}

impl ExtractError {
    pub(super) fn new(
        kind: ErrorKind,
        attempts: u32,
        elapsed: Duration,
        refused: Option<Assurance>,
        failures: Vec<SourceFailure>,
        classifier: &ProtocolErrorClassifier,
    ) -> Self {
        let classify = |failure: &SourceFailure| classifier.classify(&failure.failure);
        let names_kind = |failure: &SourceFailure| {
            ErrorKind::of(&failure.failure, classify(failure).class) == Some(kind)
        };
        // No failure by itself means that nothing was ready, so there the first one has to do; unless
        // a number was seen. Before the first look there is only one failure.
        let is_any = (kind == ErrorKind::NotReady && refused.is_none() && !failures.is_empty())
            || attempts == 0;
        let decisive = failures.iter().position(names_kind);
        let decisive = decisive.or(is_any.then_some(0));
        let decisive = decisive.and_then(|at| Some((at, classify(failures.get(at)?).into())));
        Self(Arc::new(Inner {
            kind,
            attempts,
            elapsed,
            refused,
            pending: None,
            page_state: None,
            failures,
            decisive,
        }))
    }

    pub(super) fn with_page(
        mut self,
        pending: Option<Pending>,
        page_state: Option<PageState>,
    ) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.pending = pending;
            inner.page_state = page_state;
        }
        self
    }

    pub(super) fn no_sources() -> Self {
        let failure = ProtocolFailure::new(
            Site::Unknown,
            "there is no source to ask; give the extractor at least one",
        );
        failure.with_code(codes::MISCONFIGURED).into()
    }

    pub(super) fn empty_schedule() -> Self {
        let failure = ProtocolFailure::new(
            Site::Unknown,
            "the schedule is empty, so there would be no look at all; give it at least one delay",
        );
        failure.with_code(codes::MISCONFIGURED).into()
    }

    /// Returns the reason.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the reason's stable code: `not_ready`, `lid_only`, ...
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// Returns the number of looks that were begun; 0 if it failed before the first.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the time from the start of the extraction to this error.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// Returns the last failure of each source that failed, in the order of the sources.
    #[must_use]
    pub fn failures(&self) -> &[SourceFailure] {
        &self.0.failures
    }

    /// Returns the assurance of a number that was seen but was below what the extractor accepts.
    #[must_use]
    pub fn refused(&self) -> Option<Assurance> {
        self.0.refused
    }

    /// Returns why more time would have sufficed, if a source said so: the evidence that was missing, and how
    /// much longer the page had to stay unchanged to be believed without it.
    #[must_use]
    pub fn pending(&self) -> Option<&Pending> {
        self.0.pending.as_ref()
    }

    /// Returns what the page showed in place of an account that can be trusted, if a source knows. If
    /// there are several sources, the first known state.
    #[must_use]
    pub fn page_state(&self) -> Option<PageState> {
        self.0.page_state
    }

    /// Returns the deadline that would have sufficed, in whole seconds, if [`pending`](Self::pending) says why.
    #[must_use]
    pub fn sufficient_deadline(&self) -> Option<Duration> {
        let left = self.0.pending.as_ref()?.left;
        let needed = self.0.elapsed.saturating_add(left);
        Some(Duration::from_secs(needed.as_secs().saturating_add(1)))
    }

    fn decisive(&self) -> Option<&ProtocolFailure> {
        let failure = self.0.failures.get(self.0.decisive.as_ref()?.0)?;
        Some(&failure.failure)
    }

    /// Returns what a classifier has to know of it: its code. An extraction that never began is known by
    /// the failure that prevented it.
    fn as_failure(&self) -> ProtocolFailure {
        match self.decisive() {
            Some(failure) if self.0.attempts == 0 => failure.clone(),
            _ => ProtocolFailure::new(Site::Unknown, "").with_code(self.code()),
        }
    }

    /// Returns how the extractor classified the decisive failure.
    pub(crate) fn classification(&self) -> Option<Classification<'_>> {
        Some(self.0.decisive.as_ref()?.1.get())
    }
}

impl fmt::Debug for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractError")
            .field("kind", &self.0.kind)
            .field("attempts", &self.0.attempts)
            .field("elapsed", &self.0.elapsed)
            .field("refused", &self.0.refused)
            .field("pending", &self.0.pending)
            .field("page_state", &self.0.page_state)
            .field("failures", &self.0.failures)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        disclose(|| self.clone());
        disclose(|| self.as_failure());
        let Inner {
            kind,
            attempts,
            elapsed,
            refused,
            pending,
            page_state,
            ..
        } = &*self.0;
        match (kind, refused, self.decisive()) {
            (ErrorKind::NotReady, ..)
                if let Some((pending, deadline)) =
                    pending.as_ref().zip(self.sufficient_deadline()) =>
            {
                write!(
                    f,
                    "{}; a number is then given only once the page has stayed unchanged for longer: allow a deadline of {} s, or extract again on the same page",
                    pending.reason,
                    deadline.as_secs(),
                )?;
            }
            (ErrorKind::NotReady, Some(refused), _) => match page_state {
                Some(state) => write!(
                    f,
                    "{}; the only number seen was {refused}, which is less than what is accepted",
                    state.advice()
                )?,
                None => write!(
                    f,
                    "the only number seen was {refused}, which is less than what is accepted; accept {refused}{}",
                    match refused {
                        Assurance::Provisional => " or allow more time",
                        _ => "",
                    }
                )?,
            },
            (ErrorKind::NotReady, None, _) if let Some(state) = page_state => {
                write!(f, "no phone number: {}", state.advice())?;
            }
            // The one text that the chain has twice: the user needs it to answer the dialog.
            (ErrorKind::Blocked, _, Some(failure)) => write!(
                f,
                "the browser blocks the page: \"{}\"; {}",
                clean(failure.message().trim(), MAX_NAMED),
                match self.classification() {
                    Some(found) if found.class == ErrorClass::Timeout =>
                        "check that the browser is not stuck, allow a longer deadline for opening the page, and try again",
                    _ => "answer the dialog or allow the command, and try again",
                }
            )?,
            _ => f.write_str(kind.sentence())?,
        }
        if *attempts > 0 {
            write!(
                f,
                " (after {attempts} look{} in {:.1} s)",
                if *attempts == 1 { "" } else { "s" },
                elapsed.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

impl Error for ExtractError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.decisive().map(|failure| failure as _)
    }
}

impl From<ProtocolFailure> for ExtractError {
    /// Makes the error of an extraction that could not begin, for instance because no page could be opened.
    fn from(failure: ProtocolFailure) -> Self {
        let classifier = ProtocolErrorClassifier::default();
        let class = classifier.classify(&failure).class;
        let kind = match class {
            // The page may never have been there, so more time for looks is no remedy. Nothing is known to
            // be permanently gone either: a new attempt can succeed.
            ErrorClass::Timeout => ErrorKind::Blocked,
            _ => ErrorKind::of(&failure, class).unwrap_or(ErrorKind::NotReady),
        };
        let page_state = match class {
            ErrorClass::Network => Some(PageState::Network),
            ErrorClass::Navigation => Some(PageState::NotLoaded),
            _ => None,
        };
        let failures = vec![SourceFailure {
            source: failure.site().to_string(),
            failure,
        }];
        Self::new(kind, 0, Duration::ZERO, None, failures, &classifier).with_page(None, page_state)
    }
}
