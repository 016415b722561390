//! The sessions that have ended: [`EndedSessions`].

use std::collections::{BTreeMap, VecDeque};

use super::id::Id;
use super::state::SessionState;

/// The last sessions that ended, as many as are kept.
#[derive(Default)]
pub(super) struct EndedSessions {
    count: u64,
    /// In the order of their ends. An id that ended again is here twice.
    pub(super) order: VecDeque<(u64, Id)>,
    /// A tree: a hash table grows when it is full of removed entries.
    pub(super) states: BTreeMap<Id, (u64, SessionState)>,
}

impl EndedSessions {
    pub(super) fn push(&mut self, id: Id, state: SessionState, keep: usize) {
        self.count += 1;
        self.order.push_back((self.count, id.clone()));
        self.states.insert(id, (self.count, state));
        while self.order.len() > keep
            && let Some((number, id)) = self.order.pop_front()
        {
            if matches!(self.states.get(&id), Some((last, _)) if *last == number) {
                self.states.remove(&id);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&SessionState> {
        self.states.get(id).map(|(_, state)| state)
    }
}
