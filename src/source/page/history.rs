//! [`History`]: the earlier looks at a document, and how long it has not changed.

use std::time::Duration;

use tokio::time::Instant;

use super::envelope::Envelope;
use super::evidence::{Account, Registration, account, registration};

/// Fewest looks that prove that a page is unchanged.
const MIN_LOOKS: u32 = 3;

/// A page that is complete for so long counts as booted, whatever its boot marker is called.
pub(super) const BOOT_TIME: Duration = Duration::from_secs(20);

/// The history of one page: of its present document. One per page, whichever reader is asked.
#[derive(Debug, Default)]
pub(crate) struct History {
    document: Option<String>,
    /// The moment at which a look first found the document complete.
    complete_at: Option<Instant>,
    was_booted: bool,
    was_registered: bool,
    logout_mark: LogoutMark,
    unchanged: Option<Unchanged>,
}

/// The `post-logout` mark in the page's storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LogoutMark {
    /// No look yet.
    #[default]
    Unknown,
    Absent,
    /// It was there at the first look at this document, and ever since: perhaps of a former account.
    Old,
    /// It appeared during this document.
    New,
}

/// A run of looks that agreed on the evidence.
#[derive(Debug)]
struct Unchanged {
    evidence: Evidence,
    since: Instant,
    looks: u32,
}

/// The evidence that has to stay the same. Other fields of an envelope do not matter.
#[derive(Debug, PartialEq)]
struct Evidence {
    /// A page that has not booted shows less, so nothing counts before.
    is_booted: bool,
    registration: Registration,
    has_socket: bool,
    state: Option<String>,
    synced: Option<bool>,
    number: Option<String>,
}

/// The history at the moment of one look, that look included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// The time since a look first found the document complete.
    pub(super) complete_for: Option<Duration>,
    /// An earlier look, or this one, found the device registered.
    pub(super) was_registered: bool,
    pub(super) logout_mark: LogoutMark,
    unchanged_for: Duration,
    looks: u32,
}

impl Past {
    /// Returns the time that the evidence still has to stay unchanged to be unchanged for `time`; `None` if it
    /// already is.
    pub(super) fn left_of(&self, time: Duration) -> Option<Duration> {
        let is_over = self.unchanged_for >= time && self.looks >= MIN_LOOKS;
        (!is_over).then(|| time.saturating_sub(self.unchanged_for))
    }
}

impl History {
    /// Adds a look.
    pub(super) fn add(&mut self, envelope: &Envelope) -> Past {
        let now = Instant::now();
        if self.document.as_deref() != Some(envelope.document()) {
            *self = Self {
                document: Some(envelope.document().to_owned()),
                ..Self::default()
            };
        }
        if envelope.is_loaded {
            self.complete_at.get_or_insert(now);
        }
        self.was_booted |= envelope.is_booted;
        let registration = registration(envelope);
        self.was_registered |= registration == Registration::Yes;
        self.logout_mark = match (envelope.storage.post_logout, self.logout_mark) {
            // Logout itself clears the storage, the new mark included.
            (_, LogoutMark::New) | (true, LogoutMark::Absent) => LogoutMark::New,
            (true, LogoutMark::Unknown | LogoutMark::Old) => LogoutMark::Old,
            (false, _) => LogoutMark::Absent,
        };
        let evidence = Evidence {
            is_booted: envelope.is_booted,
            registration,
            has_socket: envelope.socket.is_some(),
            state: envelope.state().map(str::to_owned),
            synced: envelope.socket.as_ref().and_then(|socket| socket.synced),
            number: match account(envelope, None) {
                Account::Known(known) => known.number.map(|jid| jid.user().to_owned()),
                Account::Absent | Account::Conflict => None,
            },
        };
        let run = match self.unchanged.take().filter(|run| run.evidence == evidence) {
            Some(run) => Unchanged {
                looks: run.looks + 1,
                ..run
            },
            None => Unchanged {
                evidence,
                since: now,
                looks: 1,
            },
        };
        let past = Past {
            complete_for: self.complete_at.map(|then| now - then),
            was_registered: self.was_registered,
            logout_mark: self.logout_mark,
            unchanged_for: now - run.since,
            looks: run.looks,
        };
        self.unchanged = Some(run);
        past
    }

    /// Returns the document of the latest look that did not fail.
    pub(crate) fn document(&self) -> Option<&str> {
        self.document.as_deref()
    }

    /// Resets the history after a failed look: the page may have changed unnoticed.
    pub(crate) fn interrupt(&mut self) {
        self.unchanged = None;
    }

    /// Returns the document if it counts as booted: it was booted at an earlier look, or it has been
    /// complete for long enough.
    pub(crate) fn booted_document(&self) -> Option<&str> {
        let is_old = self
            .complete_at
            .is_some_and(|then| then.elapsed() >= BOOT_TIME);
        self.document
            .as_deref()
            .filter(|_| self.was_booted || is_old)
    }
}
