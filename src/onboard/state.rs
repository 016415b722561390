//! [`State`]: the events of one session that wait, the last one, and what the sink has refused. It does no
//! I/O.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::OnboardError;
use super::last_event::LastEvent;
use super::pending::PendingEvents;
use crate::codes;
use crate::event::{Decision, EventKind, Failed, SessionEvent, SinkError};
use crate::phone::PhoneNumber;

#[derive(Default)]
pub(super) struct State {
    pub(super) pending: PendingEvents<Tag>,
    /// The last event that was queued, unless it was given up.
    pub(super) last: LastEvent,
    /// Number of disconnects.
    pub(super) disconnects: u64,
    /// Number of events that were queued.
    pub(super) queued: u64,
    /// Whether the sink has withheld an event, so greater numbers were used than those of this count.
    pub(super) is_behind: bool,
    /// Counts the calls of [`try_again`](Self::try_again). A refusal stops nothing after the next call.
    tries: u64,
    pub(super) refusal: Option<Refusal>,
    /// The number whose refusal was reported last, unless another event was accepted since.
    reported: Option<PhoneNumber>,
    pub(super) error: Option<SinkError>,
    pub(super) task: Option<JoinHandle<()>>,
}

/// An event that the sink has refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The number, if it is the number that was refused.
    pub(super) phone: Option<PhoneNumber>,
    pub(super) error: SinkError,
    pub(super) at: Instant,
    /// The count of the state when the event was queued.
    tries: u64,
}

pub(super) struct Tag {
    last: LastEvent,
    /// The last event before this one.
    before: LastEvent,
    /// Whether an error is sent again that was the last event.
    repeats: bool,
    /// Number of events that were queued up to this one.
    pub(super) queued: u64,
    /// The count of the state when the event was queued.
    tries: u64,
    /// The number that this event reports as refused, and the reason.
    refused: Option<(PhoneNumber, Failed)>,
    reply: oneshot::Sender<Reply>,
}

pub(super) type Reply = Result<Accepted, OnboardError>;

/// The event or refusal that the sink has accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Event,
    /// It has refused the number for this reason, and has accepted the `session_error`.
    Refusal(Failed),
}

/// An event that was queued, or that found no room.
pub(super) struct Receipt(
    pub(super) Result<(SessionEvent, oneshot::Receiver<Reply>), OnboardError>,
);

impl State {
    pub(super) fn has_room(&self) -> bool {
        self.pending.has_room()
    }

    /// Returns whether no event waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.len() == 0
    }

    /// Queues an event. `number` gives it its `seq`, and is called only if there is room.
    pub(super) fn push(
        &mut self,
        event: SessionEvent,
        last: LastEvent,
        repeats: bool,
        number: impl FnOnce(SessionEvent) -> SessionEvent,
    ) -> Receipt {
        if !self.pending.has_room_for(&event) {
            let text = "64 events of the session wait for the sink; send this one again later";
            tracing::warn!(event = ?event.kind(), "an event was not queued: {text}");
            let error = SinkError::transient(codes::QUEUE_FULL, text);
            return Receipt(Err(OnboardError::new(event, error)));
        }
        if let Some((at, event, tag)) = self.pending.make_room() {
            self.set_before(at, tag.before.clone());
            let text = "too many events wait for the sink, and a later one has replaced this one";
            let error = SinkError::permanent("superseded", text);
            tracing::info!(event = ?event.kind(), "an event was dropped: {text}");
            tag.answer(Err(OnboardError::new(event, error)));
        }
        let (reply, receipt) = oneshot::channel();
        self.queued += 1;
        let tag = Tag {
            before: std::mem::replace(&mut self.last, last.clone()),
            last,
            repeats,
            queued: self.queued,
            tries: self.tries,
            refused: None,
            reply,
        };
        let event = number(event);
        self.pending.push(event.clone(), tag);
        Receipt(Ok((event, receipt)))
    }

    /// Sets the last event before the one at this position, or before the next one that is queued.
    fn set_before(&mut self, at: usize, last: LastEvent) {
        match self.pending.tag_mut(at) {
            Some(tag) => tag.before = last,
            None => self.last = last,
        }
    }

    /// Allows refused events to be sent again.
    pub(super) fn try_again(&mut self) {
        self.tries += 1;
    }

    /// Allows refused events to be sent and reported again: another program has changed the row, so it may no
    /// longer show the error.
    pub(super) fn row_changed(&mut self) {
        self.try_again();
        self.reported = None;
        if let LastEvent::Failed(_) = self.last {
            self.last = LastEvent::Unconfirmed;
        }
    }

    /// Returns the refusal, unless the refused event may be sent again.
    pub(super) fn blocking(&self) -> Option<&Refusal> {
        let refusal = self.refusal.as_ref();
        refusal.filter(|refusal| refusal.tries == self.tries)
    }

    pub(super) fn accept_first(&mut self, decision: Decision) {
        let Some((event, tag)) = self.pending.remove_first() else {
            return;
        };
        self.error = None;
        if decision == Decision::Withhold && event.seq().is_some() {
            self.is_behind = true;
            self.set_before(0, LastEvent::Unconfirmed);
        }
        let Some((phone, failed)) = tag.refused.clone() else {
            self.reported = None;
            if !matches!(event.kind(), EventKind::SessionError(_)) {
                self.refusal = None;
            }
            return tag.answer(Ok(Accepted::Event));
        };
        self.reported = Some(phone);
        tag.answer(Ok(Accepted::Refusal(failed)));
    }

    pub(super) fn refuse_first(&mut self, error: SinkError) {
        let Some((event, tag)) = self.pending.first_mut() else {
            return;
        };
        let phone = match event.kind() {
            EventKind::SessionReady(ready) => Some(ready.phone().clone()),
            _ => None,
        };
        if self.refusal.as_ref().map(|it| it.error.code()) != Some(error.code()) {
            tracing::warn!(event = ?event.kind(), code = error.code(), %error, "the sink refused an event");
        }
        self.error = None;
        // It does not block the page if its state has changed since.
        self.refusal = Some(Refusal {
            phone: phone.clone().filter(|_| error.code() != "unknown_session"),
            error: error.clone(),
            at: Instant::now(),
            tries: tag.tries,
        });
        let Some(phone) = phone else {
            return self.give_up_first(error, true);
        };
        let failed = Failed::new(error.code(), error.to_string());
        let report = LastEvent::Failed(Some(error.code().to_owned()));
        // After a restart the number is not known; the row shows the error.
        let is_same = self.reported.as_ref().is_none_or(|it| *it == phone);
        let is_known = tag.before == report && is_same && !tag.repeats;
        tag.last = report.clone();
        tag.refused = Some((phone, failed.clone()));
        if is_known {
            self.accept_refusal();
        } else if let Some(session) = event.session() {
            // It takes the place of the `session_ready`, in the order too.
            let seq = event.seq();
            *event = SessionEvent::session_error(session.clone(), failed);
            if let Some(seq) = seq {
                *event = event.clone().with_seq(seq);
            }
            self.set_before(1, report);
        }
    }

    /// Removes a refused `session_ready` whose `session_error` was sent before.
    fn accept_refusal(&mut self) {
        if let Some((_, tag)) = self.pending.remove_first()
            && let Some((_, failed)) = tag.refused.clone()
        {
            self.set_before(0, tag.last.clone());
            tag.answer(Ok(Accepted::Refusal(failed)));
        }
    }

    pub(super) fn give_up_first(&mut self, error: SinkError, is_refused: bool) {
        let Some((event, tag)) = self.pending.remove_first() else {
            return;
        };
        self.error = None;
        // A QR code that may have arrived does not make a session linked.
        let is_as_before = is_refused || tag.last.is_qr_code() && tag.before.is_unlinked();
        let last = match is_as_before {
            true => tag.before.clone(),
            false => LastEvent::Unconfirmed,
        };
        self.set_before(0, last);
        // A refusal is logged once.
        if tag.reply.is_closed() && !is_refused {
            tracing::error!(event = ?event.kind(), code = error.code(), %error, "an event was given up");
        }
        tag.answer(Err(OnboardError::new(event, error)));
    }
}

impl Tag {
    fn answer(self, reply: Reply) {
        // The caller may not wait for it.
        drop(self.reply.send(reply));
    }
}
