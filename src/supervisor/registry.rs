//! Which sessions there are, and which there were: [`Registry`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::id::Id;
use super::inner::Inner;
use super::reason::SessionState;

/// Sessions by id.
pub(super) struct Registry {
    /// Those that have not ended.
    pub(super) open: HashMap<Id, Arc<Inner>>,
    pub(super) ended: Ended,
    pub(super) is_stopping: bool,
}

/// The last ends, as many as are kept.
pub(super) struct Ended {
    keep: usize,
    count: u64,
    /// In the order of their ends. An id that ended again is here twice.
    order: VecDeque<(u64, Id)>,
    /// A tree, since a hash table grows when it is full of what was removed.
    states: BTreeMap<Id, (u64, SessionState)>,
}

impl Registry {
    pub(super) fn new(keep: usize) -> Self {
        let ended = Ended {
            keep,
            count: 0,
            order: VecDeque::new(),
            states: BTreeMap::new(),
        };
        Self {
            open: HashMap::new(),
            ended,
            is_stopping: false,
        }
    }
}

impl Ended {
    pub(super) fn push(&mut self, id: Id, state: SessionState) {
        self.count += 1;
        self.order.push_back((self.count, id.clone()));
        self.states.insert(id, (self.count, state));
        while self.order.len() > self.keep
            && let Some((number, id)) = self.order.pop_front()
        {
            if self
                .states
                .get(&id)
                .is_some_and(|(last, _)| *last == number)
            {
                self.states.remove(&id);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&SessionState> {
        self.states.get(id).map(|(_, state)| state)
    }

    /// What is held, for the test that it is bounded.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.order.len(), self.states.len())
    }
}
