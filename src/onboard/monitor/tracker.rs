//! [`LinkTracker`]: decides from the looks at a page which event is due. It does no I/O and reads no
//! clock.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::link::{LinkState, QrCode};
use crate::onboard::last_event::LastEvent;

/// How long a state must last before an event is sent for it. Not longer than the default interval,
/// so that two looks are enough.
const MIN_STATE_DURATION: Duration = Duration::from_secs(1);

/// How long a page may answer `Unknown`, as it does while it reloads, before it counts as not started.
const NOT_STARTED_AFTER: Duration = Duration::from_secs(60);

/// How often the event of a session that still waits is repeated: the sign of life that keeps a store
/// from sweeping it as stuck.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How many QR codes are sent in each [`CODES_WINDOW`]. WhatsApp Web renews its code every 20 seconds or less
/// often; a hostile page may show another one at each look.
const MAX_CODES_PER_WINDOW: usize = 10;
const CODES_WINDOW: Duration = Duration::from_secs(60);

/// How long `session_authenticated` is repeated.
const LINKING_REFRESHED_FOR: Duration = Duration::from_secs(6 * 60 * 60);

/// A step that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send `session_disconnected` with this reason.
    Disconnect(&'static str),
    /// Send `qr_code_generated`.
    QrCode,
    /// Send `qr_code_generated` with `expired`.
    QrExpired,
    /// Send `session_authenticated`.
    Authenticate,
    /// Extract the number and send the outcome, unless it is the last event.
    Extract,
}

/// The looks so far, as far as they matter: [`record`](Self::record) adds one, [`due`](Self::due)
/// returns the next step.
#[derive(Debug)]
pub(super) struct LinkTracker {
    unresponsive_after: Duration,
    /// The answer of the latest look; `None` if it failed or timed out.
    answer: Option<LinkState>,
    /// The latest answer of a look that did not fail.
    state: Option<LinkState>,
    /// The latest document, if it is known.
    document: Option<String>,
    /// When the present run of equal answers began: at the end of its first look, or at the start of
    /// that look if it failed.
    since: Instant,
    /// How long the present run has lasted for certain. The page was read at an unknown moment of each
    /// look, so the run counts to the start of its latest look; without an answer, to its end.
    lasted: Duration,
    /// How long earlier runs of `Unknown` have lasted, if only failed looks came between.
    unknown_before: Duration,
    /// When the last event with a sign of life was due.
    refreshed: Instant,
    /// When `session_authenticated` became the last event.
    authenticated: Option<Instant>,
    is_number_checked: bool,
    /// The QR code that the page shows, if it can be read.
    pub(super) code: Option<QrCode>,
    /// The code that was due before.
    sent: Option<QrCode>,
    /// When the latest codes were due.
    codes: VecDeque<Instant>,
}

impl LinkTracker {
    pub(super) fn new(unresponsive_after: Duration, now: Instant) -> Self {
        Self {
            unresponsive_after,
            answer: None,
            state: None,
            document: None,
            since: now,
            lasted: Duration::ZERO,
            unknown_before: Duration::ZERO,
            refreshed: now,
            authenticated: None,
            is_number_checked: false,
            code: None,
            sent: None,
            codes: VecDeque::new(),
        }
    }

    /// Adds a look at this document; no answer if it failed or timed out. Returns whether the page's state has
    /// changed, or the page was reloaded.
    pub(super) fn record(
        &mut self,
        answer: Option<LinkState>,
        document: Option<String>,
        began: Instant,
        ended: Instant,
    ) -> bool {
        match answer {
            Some(LinkState::Unknown) => {}
            Some(_) => self.unknown_before = Duration::ZERO,
            None if self.answer == Some(LinkState::Unknown) => self.unknown_before += self.lasted,
            None => {}
        }
        let (first, latest) = match answer {
            Some(_) => (ended, began),
            None => (began, ended),
        };
        if self.answer != answer {
            self.answer = answer;
            self.since = first;
        }
        self.lasted = latest.saturating_duration_since(self.since);
        let is_reloaded =
            document.is_some() && self.document.is_some() && document != self.document;
        self.document = document.or(self.document.take());
        let state = answer.or(self.state);
        std::mem::replace(&mut self.state, state) != state || is_reloaded
    }

    /// Returns whether the page has not answered for longer than a watch allows.
    pub(super) fn is_unresponsive(&self) -> bool {
        self.answer.is_none() && self.lasted >= self.unresponsive_after
    }

    /// Returns the step that is due after this last event. The caller carries it out and asks again.
    pub(super) fn due(&mut self, last: &LastEvent, now: Instant) -> Option<Action> {
        if *last == LastEvent::Authenticated {
            self.authenticated.get_or_insert(now);
        } else {
            self.authenticated = None;
        }
        let action = match self.answer {
            None => self.without_answer(last),
            Some(LinkState::Unknown) => self.without_evidence(last),
            Some(state) if self.lasted >= MIN_STATE_DURATION => self.of_state(state, last, now),
            Some(_) => None,
        };
        if action == Some(Action::QrCode) && !self.may_send_code(now) {
            return None;
        }
        match action {
            Some(Action::QrCode) => {
                self.codes.push_back(now);
                self.refreshed = now;
                self.sent.clone_from(&self.code);
            }
            Some(Action::Authenticate) => self.refreshed = now,
            Some(Action::Extract) => self.is_number_checked = true,
            _ => {}
        }
        action
    }

    fn without_answer(&self, last: &LastEvent) -> Option<Action> {
        let is_due = self.is_unresponsive() && *last != LastEvent::Disconnected;
        is_due.then_some(Action::Disconnect("unresponsive"))
    }

    /// Handles a look without evidence. A session that has shown nothing yet is not disconnected: its page
    /// may still load.
    fn without_evidence(&self, last: &LastEvent) -> Option<Action> {
        use LastEvent::{Disconnected, Nothing, Registered};
        let is_due = self.unknown_before + self.lasted >= NOT_STARTED_AFTER
            && !matches!(last, Nothing | Registered | Disconnected);
        is_due.then_some(Action::Disconnect("not_started"))
    }

    fn of_state(&self, state: LinkState, last: &LastEvent, now: Instant) -> Option<Action> {
        use LastEvent::{
            Authenticated, Disconnected, Failed, QrCode, QrExpired, Ready, Registered,
        };
        let is_refresh_due = now.duration_since(self.refreshed) >= REFRESH_INTERVAL;
        match (state, last) {
            // Nothing new; a session with a number reconnects.
            (LinkState::QrExpired, QrExpired)
            | (LinkState::Barred(_), Disconnected)
            | (LinkState::Linking, Ready(_) | Failed(_))
            | (LinkState::Unknown, _) => None,
            (LinkState::Unlinked, QrCode) => {
                (is_refresh_due || self.is_code_new()).then_some(Action::QrCode)
            }
            (LinkState::Unlinked, Registered | QrExpired | Disconnected) => Some(Action::QrCode),
            (LinkState::QrExpired, Registered | QrCode | Disconnected) => Some(Action::QrExpired),
            (LinkState::Barred(_), _) => Some(Action::Disconnect(state.as_str())),
            // A store may still say connected.
            (LinkState::Unlinked | LinkState::QrExpired, _) => Some(Action::Disconnect("unlinked")),
            (LinkState::Linking, Authenticated) => {
                let linking_for = self.authenticated.map(|since| now.duration_since(since));
                let is_due = is_refresh_due && linking_for < Some(LINKING_REFRESHED_FOR);
                is_due.then_some(Action::Authenticate)
            }
            // The number may come from a row that an earlier process wrote.
            (LinkState::Linked, Ready(_)) => (!self.is_number_checked).then_some(Action::Extract),
            (LinkState::Linked, Registered | QrCode | QrExpired | Disconnected)
            | (LinkState::Linking, _) => Some(Action::Authenticate),
            (LinkState::Linked, _) => Some(Action::Extract),
        }
    }

    fn may_send_code(&mut self, now: Instant) -> bool {
        self.codes
            .retain(|at| now.duration_since(*at) < CODES_WINDOW);
        self.codes.len() < MAX_CODES_PER_WINDOW
    }

    fn is_code_new(&self) -> bool {
        let is_sent = |code| {
            self.sent
                .as_ref()
                .is_some_and(|sent| sent.is_same_code(code))
        };
        self.code.as_ref().is_some_and(|code| !is_sent(code))
    }
}
