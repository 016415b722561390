//! The sessions that have ended: [`EndedSessions`].

use std::collections::{BTreeMap, VecDeque};

use super::id::Id;
use super::state::SessionState;

/// The last sessions that ended, as many as are kept.
#[derive(Default)]
pub(super) struct EndedSessions {
    /// In the order of their ends.
    pub(super) order: VecDeque<Id>,
    /// A tree: a hash table grows when it is full of removed entries.
    pub(super) states: BTreeMap<Id, SessionState>,
}

impl EndedSessions {
    pub(super) fn push(&mut self, id: Id, state: SessionState, keep: usize) {
        if self.states.insert(id.clone(), state).is_some() {
            self.order.retain(|ended| *ended != id);
        }
        self.order.push_back(id);
        if self.order.len() > keep
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
    }
}
