//! From looks at a page to its number and its link state: which evidence is enough for which assurance.

use std::time::Duration;

use tokio::time::Instant;

use super::envelope::{Envelope, Text};
use super::evidence::{Account, Registration, account, registration};
use super::history::{BOOT_TIME, History, LogoutMark, Past};
use super::readers::ReaderId;
use crate::link::{Bar, LinkState};
use crate::source::{Assurance, Identity, Look, PageState, Pending};
use crate::text::clean;

/// The time for which a page must stay unchanged if it does not say that it has synced, or its state.
const UNCONFIRMED_TIME: Duration = Duration::from_secs(20);

/// The same if other evidence is missing.
const MISSING_TIME: Duration = Duration::from_secs(5);

/// Longest push name or platform kept, in bytes.
const MAX_NAME: usize = 256;

/// One look, and what the looks before it have shown.
#[derive(Debug)]
pub(crate) struct Observation {
    envelope: Envelope,
    past: Past,
    at: Instant,
}

/// The degree to which a page is believed: the matching row of the table in the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Neither number nor LID is believed, from any reader.
    LoggedOut,
    /// A current page that has not booted; its storage is all there is.
    NotBooted,
    /// Registered, connected and synced.
    Confirmed,
    /// A piece of evidence is missing. Without it the page is believed once it has been unchanged for
    /// long enough, which is not yet.
    Counting {
        missing: Evidence,
        left: Duration,
        /// The assurance that follows.
        next: Assurance,
    },
    /// Believed without this piece of evidence.
    Unverified(Evidence),
    /// An old generation, which has no evidence to offer.
    Old,
    Provisional,
}

/// A piece of evidence that WhatsApp Web may rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    Registration,
    Sync,
    State,
    Socket,
    LogoutMark,
    Boot,
}

impl Evidence {
    /// Describes the missing evidence, for logs and errors.
    pub(crate) const fn missing(self) -> &'static str {
        match self {
            Self::Registration => {
                "WhatsApp's registration test and its storage keys cannot be read"
            }
            Self::Sync => {
                "sync not confirmed: the socket does not say whether it has synced (guard socket_synced)"
            }
            Self::State => "the socket's state cannot be read (guard socket_state)",
            Self::Socket => "the socket cannot be read (guards socket_module and socket)",
            Self::LogoutMark => "the mark of a logout is still in its storage (guard logout_key)",
            Self::Boot => "no sign that the page has booted (guard boot_marker)",
        }
    }
}

impl Observation {
    /// Adds a look to the history of its page.
    pub(crate) fn new(envelope: Envelope, history: &mut History) -> Self {
        let past = history.add(&envelope);
        Self {
            envelope,
            past,
            at: Instant::now(),
        }
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Returns whether time will hardly change what the page shows.
    pub(crate) fn is_settled(&self) -> bool {
        match self.page_state() {
            None
            | Some(
                PageState::QrShown
                | PageState::QrExpired
                | PageState::Conflict
                | PageState::ProxyBlock
                | PageState::TosBlock,
            ) => true,
            Some(_) => self.standing() == Standing::Confirmed,
        }
    }

    /// Returns whether the page was asked by this reader.
    pub(crate) fn has_reader(&self, reader: &ReaderId) -> bool {
        self.envelope.readers.iter().any(|row| row.id == *reader)
    }

    /// Returns the piece of evidence without which the page is believed.
    pub(crate) fn unverified(&self) -> Option<Evidence> {
        match self.standing() {
            Standing::Unverified(missing) => Some(missing),
            _ => None,
        }
    }

    /// Returns the moment at which time alone changes the outcome, if it does.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.standing() {
            Standing::Counting { left, .. } => Some(self.at + left),
            Standing::NotBooted => Some(self.at + self.boot_left()?),
            _ => None,
        }
    }

    /// Returns the number by the readers in question (`None`: all).
    pub(crate) fn look(&self, only: Option<&ReaderId>) -> Look {
        let (assurance, pending) = match self.standing() {
            Standing::LoggedOut => return Look::NotYet,
            Standing::NotBooted if registration(&self.envelope) != Registration::Yes => {
                return Look::NotYet;
            }
            Standing::NotBooted => {
                let reason = Evidence::Boot.missing();
                let pending = |left| Pending::new(reason, left, Assurance::Confirmed);
                (Assurance::Provisional, self.boot_left().map(pending))
            }
            Standing::Counting {
                missing,
                left,
                next,
            } => {
                let pending = Pending::new(missing.missing(), left, next);
                (Assurance::Provisional, Some(pending))
            }
            Standing::Provisional => (Assurance::Provisional, None),
            Standing::Unverified(_) | Standing::Old => (Assurance::Unverified, None),
            Standing::Confirmed => (Assurance::Confirmed, None),
        };
        let known = match account(&self.envelope, only) {
            Account::Absent => return Look::NotYet,
            Account::Conflict => return Look::Conflict,
            Account::Known(known) => known,
        };
        let (Some(jid), lid) = (known.number.or(known.lid.clone()), known.lid) else {
            return Look::NotYet;
        };
        let mut identity = Identity::new(jid, assurance, known.reader.name.clone());
        if let Some(lid) = lid {
            identity = identity.with_lid(lid);
        }
        identity.push_name = name(self.envelope.push_name.as_ref());
        identity.platform = name(self.envelope.platform.as_ref());
        identity.pending = pending;
        Look::from_identity(identity)
    }

    /// Returns the link state, by all readers.
    pub(crate) fn link(&self) -> LinkState {
        let has_account = !matches!(account(&self.envelope, None), Account::Absent);
        let state = self.envelope.state();
        match (self.standing(), state) {
            (Standing::LoggedOut, Some("UNLAUNCHED")) if !self.past.was_registered => {
                LinkState::Unknown
            }
            (Standing::LoggedOut, Some("UNPAIRED_IDLE")) => LinkState::QrExpired,
            (Standing::LoggedOut, _) => LinkState::Unlinked,
            (Standing::Confirmed, _) => LinkState::Linked,
            (Standing::Unverified(_) | Standing::Old, _) if has_account => LinkState::Linked,
            (Standing::Provisional, Some("CONFLICT")) => LinkState::Barred(Bar::Conflict),
            (Standing::Provisional, Some("PROXYBLOCK")) => LinkState::Barred(Bar::ProxyBlock),
            (Standing::Provisional, Some("TOS_BLOCK" | "SMB_TOS_BLOCK")) => {
                LinkState::Barred(Bar::TosBlock)
            }
            (Standing::Provisional, Some("UNPAIRED")) if !has_account => LinkState::Unlinked,
            (Standing::Provisional, Some("UNPAIRED_IDLE")) if !has_account => LinkState::QrExpired,
            (Standing::Provisional, Some(state)) if has_account && state != "UNLAUNCHED" => {
                LinkState::Linking
            }
            _ => LinkState::Unknown,
        }
    }

    /// Returns the state that the page shows in place of a believed account; `None` if it shows one.
    pub(crate) fn page_state(&self) -> Option<PageState> {
        let page = &self.envelope;
        let has_account = !matches!(account(page, None), Account::Absent);
        Some(match (self.link(), page.state()) {
            (LinkState::Linked, _) if has_account => return None,
            (LinkState::Linked, _) | (LinkState::Linking, Some("SCREEN_LOCKED")) => {
                PageState::Unknown
            }
            (LinkState::QrExpired, _) | (LinkState::Linking, Some("UNPAIRED_IDLE")) => {
                PageState::QrExpired
            }
            (LinkState::Barred(Bar::Conflict), _) => PageState::Conflict,
            (LinkState::Barred(Bar::ProxyBlock), _) => PageState::ProxyBlock,
            (LinkState::Barred(Bar::TosBlock), _) => PageState::TosBlock,
            // Also if its storage still has an account.
            _ if page.has_qr_code => PageState::QrShown,
            (LinkState::Linking, Some("OPENING" | "PAIRING")) => PageState::Linking,
            (LinkState::Linking, _) => PageState::Provisional,
            (LinkState::Unlinked, Some("UNPAIRED")) => PageState::QrShown,
            _ if !page.is_loaded => PageState::NotLoaded,
            (LinkState::Unlinked, _) => PageState::Unknown,
            (_, Some("UNLAUNCHED")) => PageState::NotBooted,
            _ => match self.standing() {
                Standing::NotBooted => PageState::NotBooted,
                Standing::Counting { .. } if has_account => PageState::Provisional,
                _ => PageState::Unknown,
            },
        })
    }

    pub(super) fn standing(&self) -> Standing {
        let (page, past) = (&self.envelope, &self.past);
        let registration = registration(page);
        let is_registered = registration == Registration::Yes;
        let is_taken_back = past.was_registered && !is_registered;
        if registration == Registration::No || is_taken_back || past.logout_mark == LogoutMark::New
        {
            return Standing::LoggedOut;
        }
        if page.is_current && !page.is_booted {
            return Standing::NotBooted;
        }
        let standing = if page.is_current {
            self.of_current_page(registration)
        } else if !page.storage.noise && (page.storage.me || page.storage.post_logout) {
            // Logout removes the noise key first. While the page loads it may be one that has
            // renamed that key.
            return if page.is_loaded {
                Standing::LoggedOut
            } else {
                Standing::NotBooted
            };
        } else {
            Standing::Old
        };
        match past.logout_mark {
            LogoutMark::Old if is_registered => {
                self.count(MISSING_TIME, Evidence::LogoutMark, standing)
            }
            LogoutMark::Old => Standing::Provisional,
            _ => standing,
        }
    }

    fn of_current_page(&self, registration: Registration) -> Standing {
        let socket = self.envelope.socket.as_ref();
        let synced = socket.and_then(|socket| socket.synced);
        let (missing, time) = match (registration, socket.map(|_| self.envelope.state()), synced) {
            (Registration::Yes, Some(Some("CONNECTED")), Some(true)) => return Standing::Confirmed,
            (Registration::Yes, Some(Some("CONNECTED")), None) => {
                (Evidence::Sync, UNCONFIRMED_TIME)
            }
            (Registration::Yes, Some(None), Some(true)) => (Evidence::State, UNCONFIRMED_TIME),
            (Registration::Unknown, Some(Some("CONNECTED")), Some(true))
                if self.has_live_number() =>
            {
                (Evidence::Registration, MISSING_TIME)
            }
            (Registration::Yes, None, _) => (Evidence::Socket, MISSING_TIME),
            _ => return Standing::Provisional,
        };
        self.count(time, missing, Standing::Unverified(missing))
    }

    /// Returns the standing `then`, once the page has been unchanged for `time`.
    fn count(&self, time: Duration, missing: Evidence, then: Standing) -> Standing {
        let (longer, next) = match then {
            Standing::Provisional => return then,
            Standing::Counting { left, next, .. } => (left, next),
            Standing::Confirmed => (Duration::ZERO, Assurance::Confirmed),
            _ => (Duration::ZERO, Assurance::Unverified),
        };
        match self.past.left_of(time) {
            Some(left) if left >= longer => Standing::Counting {
                missing,
                left,
                next,
            },
            _ => then,
        }
    }

    fn has_live_number(&self) -> bool {
        matches!(account(&self.envelope, None), Account::Known(known) if known.reader.is_live && known.number.is_some())
    }

    /// Returns the time that a page without a boot marker still has to be complete to count as booted; `None`
    /// if time alone changes nothing.
    fn boot_left(&self) -> Option<Duration> {
        let left = BOOT_TIME.checked_sub(self.past.complete_for?)?;
        (self.envelope.is_current && !left.is_zero()).then_some(left)
    }
}

fn name(text: Option<&Text>) -> Option<String> {
    let text = text?.as_str()?;
    (!text.is_empty()).then(|| clean(text, MAX_NAME))
}

#[cfg(test)]
mod tests;
