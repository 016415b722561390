//! [`PendingEvents`]: the events of one session that wait for their delivery. It does no I/O.

use std::collections::VecDeque;

use crate::event::{EventKind, SessionEvent};

/// The most events that wait, the one that is being sent included. A `session_disconnected` may wait beside
/// them.
pub(super) const MAX_PENDING: usize = 64;

/// Events in the order of their delivery, each with a tag of the caller.
#[derive(Debug)]
pub(super) struct PendingEvents<T> {
    events: VecDeque<(SessionEvent, T)>,
    /// Whether the first one is being sent. It may have arrived, so it is not dropped.
    is_sending: bool,
}

impl<T> Default for PendingEvents<T> {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            is_sending: false,
        }
    }
}

impl<T> PendingEvents<T> {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.len() < MAX_PENDING || self.droppable().is_some()
    }

    /// Returns the position of the event that the next one would replace.
    fn droppable(&self) -> Option<usize> {
        let oldest = |is_wanted: fn(&EventKind) -> bool| {
            let first = usize::from(self.is_sending);
            let mut waiting = self.events.iter().enumerate().skip(first);
            waiting.find_map(|(at, (event, _))| is_wanted(event.kind()).then_some(at))
        };
        oldest(|kind| matches!(kind, EventKind::QrCodeGenerated(_)))
            .or_else(|| oldest(|kind| matches!(kind, EventKind::SessionAuthenticated)))
    }

    /// Returns whether there is room for this event. There always is for a `session_disconnected`.
    pub(super) fn has_room_for(&self, event: &SessionEvent) -> bool {
        self.has_room() || matches!(event.kind(), EventKind::SessionDisconnected { .. })
    }

    /// Drops an event, if another one needs its room. Returns its position and itself. The caller checks
    /// [`has_room_for`](Self::has_room_for) first.
    pub(super) fn make_room(&mut self) -> Option<(usize, SessionEvent, T)> {
        // Only a `session_disconnected` waits beside the others, and the next one replaces it.
        let beside = (self.len() > MAX_PENDING).then_some(MAX_PENDING);
        let is_full = self.len() >= MAX_PENDING;
        let at = self.droppable().or(beside).filter(|_| is_full)?;
        let (event, tag) = self.events.remove(at)?;
        Some((at, event, tag))
    }

    /// Adds an event at the end.
    pub(super) fn push(&mut self, event: SessionEvent, tag: T) {
        self.events.push_back((event, tag));
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.events.front().map(|(_, tag)| tag)
    }

    pub(super) fn tag_mut(&mut self, at: usize) -> Option<&mut T> {
        self.events.get_mut(at).map(|(_, tag)| tag)
    }

    /// Returns the first event, which is being sent from now on.
    pub(super) fn send_first(&mut self) -> Option<&SessionEvent> {
        let (event, _) = self.events.front()?;
        self.is_sending = true;
        Some(event)
    }

    /// Returns the event that is being sent.
    pub(super) fn first_mut(&mut self) -> Option<&mut (SessionEvent, T)> {
        self.events.front_mut()
    }

    /// Removes the event that was sent.
    pub(super) fn remove_first(&mut self) -> Option<(SessionEvent, T)> {
        self.is_sending = false;
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{QrCode, SessionKey};

    fn key() -> SessionKey {
        SessionKey::new(7, "session-1").unwrap()
    }

    fn qr_code() -> SessionEvent {
        SessionEvent::qr_code_generated(key(), QrCode::unknown())
    }

    fn authenticated() -> SessionEvent {
        SessionEvent::session_authenticated(key())
    }

    fn disconnected() -> SessionEvent {
        SessionEvent::session_disconnected(key(), "unlinked")
    }

    /// Makes a queue of these events, tagged by their position.
    fn queue(events: impl IntoIterator<Item = SessionEvent>) -> PendingEvents<usize> {
        let mut queue = PendingEvents::default();
        for (at, event) in events.into_iter().enumerate() {
            assert!(queue.has_room());
            queue.push(event, at);
        }
        queue
    }

    fn tags(queue: &PendingEvents<usize>) -> Vec<usize> {
        queue.events.iter().map(|(_, tag)| *tag).collect()
    }

    #[test]
    fn events_leave_in_the_order_in_which_they_came() {
        let mut queue = queue([qr_code(), authenticated(), disconnected()]);
        for expected in [
            "qr_code_generated",
            "session_authenticated",
            "session_disconnected",
        ] {
            assert_eq!(queue.send_first().unwrap().name(), expected);
            assert_eq!(queue.remove_first().unwrap().0.name(), expected);
        }
        assert!(queue.send_first().is_none() && queue.remove_first().is_none());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_code_and_then_the_oldest_authentication() {
        let mut events = vec![disconnected(); MAX_PENDING];
        events[3] = authenticated();
        events[5] = qr_code();
        events[8] = qr_code();
        let mut queue = queue(events);
        for dropped in [5, 8, 3] {
            assert!(queue.has_room());
            let (at, _, tag) = queue.make_room().unwrap();
            assert_eq!(tag, dropped);
            // The next event is there now.
            assert_eq!(*queue.tag_mut(at).unwrap(), dropped + 1);
            queue.push(disconnected(), 99);
            assert_eq!(queue.len(), MAX_PENDING);
        }
        assert!(!queue.has_room());
        queue.remove_first();
        assert!(queue.has_room());
        let kept: Vec<usize> = (1..MAX_PENDING)
            .filter(|at| ![3, 5, 8].contains(at))
            .collect();
        assert_eq!(tags(&queue), [kept, vec![99; 3]].concat());
    }

    #[test]
    fn one_disconnect_waits_beside_a_full_queue_and_the_next_one_replaces_it() {
        let mut queue = queue(vec![disconnected(); MAX_PENDING]);
        assert!(!queue.has_room_for(&qr_code()) && !queue.has_room_for(&authenticated()));
        for (tag, replaced) in [(100, None), (101, Some(100)), (102, Some(101))] {
            assert!(queue.has_room_for(&disconnected()));
            assert_eq!(queue.make_room().map(|(_, _, tag)| tag), replaced);
            queue.push(disconnected(), tag);
            assert_eq!(queue.len(), MAX_PENDING + 1);
        }
        assert!(!queue.has_room());
        let expected: Vec<usize> = (0..MAX_PENDING).chain([102]).collect();
        assert_eq!(tags(&queue), expected);
    }

    #[test]
    fn the_event_that_is_being_sent_is_not_dropped() {
        let mut events = vec![disconnected(); MAX_PENDING];
        events[0] = qr_code();
        let mut queue = queue(events);
        assert!(queue.has_room());
        queue.send_first();
        assert!(!queue.has_room());
    }
}
