//! [`Log`]: the states of a workspace's sessions, numbered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::json;

use crate::event::SessionId;
use crate::store::{Status, StatusChange};

/// The latest state of each session, by the number of its change. A reader keeps the number of the last state that
/// it has sent and takes the next one from here, so a slow reader needs no memory. It misses states that later ones
/// have replaced. If the log has forgotten a session's end that it has not read, it starts again.
pub(super) struct Log {
    /// A random number that distinguishes this log from those of other processes.
    epoch: u64,
    /// The number of the last change.
    head: u64,
    states: BTreeMap<u64, State>,
    numbers: HashMap<SessionId, u64>,
    /// The numbers of the sessions that were given up, at most `MAX_GIVEN_UP`.
    given_up: BTreeSet<u64>,
    /// The greatest number of a given-up session that was removed from the log.
    forgotten: u64,
}

struct State {
    session: SessionId,
    json: Arc<str>,
}

/// The place of a reader in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the last state that was sent.
    pub(super) last: u64,
    /// Sessions that were given up at or before this number are skipped. The reader started there and never saw them.
    skip_given_up_until: u64,
}

/// The most given-up sessions that a log keeps for readers that resume.
const MAX_GIVEN_UP: usize = 1_000;

impl Default for Log {
    fn default() -> Self {
        Self {
            epoch: fastrand::u64(..),
            head: 0,
            states: BTreeMap::new(),
            numbers: HashMap::new(),
            given_up: BTreeSet::new(),
            forgotten: 0,
        }
    }
}

impl Log {
    pub(super) fn push(&mut self, change: &StatusChange) {
        self.head += 1;
        let session = change.session.session_id.clone();
        if let Some(before) = self.numbers.insert(session.clone(), self.head) {
            self.states.remove(&before);
            self.given_up.remove(&before);
        }
        let json = json!({
            "session_id": session.as_str(),
            "status": change.status.as_str(),
            // Masked by its `Display`.
            "phone_number": change.phone.as_ref().map(ToString::to_string),
            "code": change.error.as_ref().map(|error| &error.code),
        });
        let json = json.to_string().into();
        self.states.insert(self.head, State { session, json });
        if change.status == Status::Failed {
            self.given_up.insert(self.head);
        }
        if self.given_up.len() > MAX_GIVEN_UP
            && let Some(oldest) = self.given_up.pop_first()
        {
            self.forgotten = oldest;
            if let Some(state) = self.states.remove(&oldest) {
                self.numbers.remove(&state.session);
            }
        }
    }

    /// Returns the place after the state with this id, or `None` if the log does not have all changes since then.
    pub(super) fn resume(&self, id: &str) -> Option<Place> {
        let (epoch, last) = id.split_once('-')?;
        let last = last.parse().ok()?;
        let is_known = u64::from_str_radix(epoch, 16) == Ok(self.epoch)
            && (self.forgotten..=self.head).contains(&last);
        let place = Place {
            last,
            skip_given_up_until: 0,
        };
        is_known.then_some(place)
    }

    /// Returns the place of a new reader.
    pub(super) fn start(&self) -> Place {
        Place {
            last: 0,
            skip_given_up_until: self.head,
        }
    }

    /// Returns whether a reader at this place has missed the end of a session.
    pub(super) fn has_forgotten(&self, place: Place) -> bool {
        self.forgotten > place.last.max(place.skip_given_up_until)
    }

    /// Returns the next state: its number, its id and its JSON.
    pub(super) fn next(&self, place: Place) -> Option<(u64, String, Arc<str>)> {
        let mut later = self.states.range(place.last + 1..);
        let (number, state) = later.find(|(number, _)| {
            **number > place.skip_given_up_until || !self.given_up.contains(number)
        })?;
        let id = format!("{:016x}-{number}", self.epoch);
        Some((*number, id, Arc::clone(&state.json)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SessionKey;
    use crate::store::SessionRow;

    fn change(session: usize, status: Status) -> StatusChange {
        let key = SessionKey::new(7, format!("s{session}")).unwrap();
        let mut change = SessionRow::new(key).to_change();
        change.status = status;
        change
    }

    /// The states from a place on, and the id of the last one.
    fn rest(log: &Log, mut place: Place) -> (Vec<String>, Option<String>) {
        let (mut states, mut last) = (Vec::new(), None);
        while let Some((number, id, json)) = log.next(place) {
            place.last = number;
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let text = |name: &str| json[name].as_str().unwrap().to_owned();
            states.push(format!("{} {}", text("session_id"), text("status")));
            last = Some(id);
        }
        (states, last)
    }

    #[test]
    fn a_reader_gets_the_last_state_of_each_session_once() {
        let mut log = Log::default();
        for status in [Status::QrScanning, Status::Authenticated] {
            for session in 1..=2 {
                log.push(&change(session, status));
            }
        }
        let (states, id) = rest(&log, log.start());
        assert_eq!(states, ["s1 authenticated", "s2 authenticated"]);
        let id = id.unwrap();
        assert_eq!(rest(&log, log.resume(&id).unwrap()).0, [""; 0]);
        log.push(&change(1, Status::Failed));
        log.push(&change(3, Status::QrScanning));
        let (states, _) = rest(&log, log.resume(&id).unwrap());
        assert_eq!(states, ["s1 failed", "s3 qr_scanning"]);
        let (states, _) = rest(&log, log.start());
        assert_eq!(states, ["s2 authenticated", "s3 qr_scanning"]);
    }

    #[test]
    fn an_id_that_the_log_does_not_know_is_refused() {
        let mut log = Log::default();
        log.push(&change(1, Status::QrScanning));
        let (_, id) = rest(&log, log.start());
        let id = id.unwrap();
        for unknown in [
            "",
            "1",
            "x-1",
            "-1",
            &id.replace("-1", "-2"),
            &format!("{id}8446744073709551616"),
        ] {
            assert_eq!(log.resume(unknown), None, "{unknown}");
        }
        assert_eq!(Log::default().resume(&id), None, "another log");
    }

    #[test]
    fn sessions_that_were_given_up_are_forgotten_in_the_end() {
        let mut log = Log::default();
        let slow = log.start();
        for session in 0..=MAX_GIVEN_UP {
            log.push(&change(session, Status::QrScanning));
            log.push(&change(session, Status::Failed));
        }
        let id = |number: u64| format!("{:x}-{number}", log.epoch);
        assert_eq!(log.resume(&id(1)), None, "its end is forgotten");
        assert!(log.has_forgotten(slow) && !log.has_forgotten(log.start()));
        let place = log.resume(&id(2)).unwrap();
        assert!(!log.has_forgotten(place));
        assert_eq!(rest(&log, place).0.len(), MAX_GIVEN_UP);
        assert_eq!(
            (log.states.len(), log.numbers.len()),
            (MAX_GIVEN_UP, MAX_GIVEN_UP)
        );
        log.push(&change(1, Status::QrScanning));
        assert_eq!(rest(&log, log.start()).0, ["s1 qr_scanning"]);
    }
}
