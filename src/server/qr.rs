//! [`QrCodes`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::event::{EventKind, QrCode, SessionEvent, SessionKey};

/// The QR codes that a [`WebhookReceiver`](super::WebhookReceiver) has received, in memory. Cheap to clone; clones
/// share the codes.
///
/// Each is held until 60 seconds after the event's [`occurred_at`](SessionEvent::occurred_at), and for 60 seconds at
/// most. So the clocks of sender and receiver must agree: a receiver whose clock is a minute ahead holds no code. The
/// code of an event without `occurred_at` is held for 60 seconds after each arrival.
///
/// They are best effort: lost if the process ends, or if more than [`MAX`](Self::MAX) sessions show a code. The
/// page soon shows the next code. A code is dropped when a later event of its session arrives.
///
/// A QR code is a login credential: show it to the owner of the session alone.
#[derive(Clone, Default)]
pub struct QrCodes(Arc<Mutex<HashMap<SessionKey, QrCode>>>);

impl QrCodes {
    /// The most codes that are held; then the oldest is dropped. Codes have 48 KiB at most.
    pub const MAX: usize = 512;

    /// Returns the present QR code of a session.
    #[must_use]
    pub fn get(&self, session: &SessionKey) -> Option<QrCode> {
        let code = self.lock().get(session).cloned();
        code.filter(|code| !code.time_left().is_zero())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, QrCode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the code of an event that was accepted, or drops the code that the event makes outdated.
    pub(super) fn observe(&self, event: &SessionEvent, now: SystemTime) {
        let Some(session) = event.session() else {
            return;
        };
        let mut codes = self.lock();
        codes.retain(|_, code| !code.time_left().is_zero());
        match event.kind() {
            EventKind::Foreign(_) => return,
            EventKind::QrCodeGenerated(code) if !code.time_left().is_zero() => {
                let shown_at = event.occurred_at().unwrap_or(now);
                // Zero if it was shown in the future.
                let age = now.duration_since(shown_at).unwrap_or_default();
                let left = QrCode::LIFE.saturating_sub(age);
                codes.insert(session.clone(), code.kept_for(left));
            }
            _ => {
                codes.remove(session);
            }
        }
        if codes.len() > Self::MAX {
            let oldest = codes.iter().min_by_key(|(_, code)| code.time_left());
            if let Some(oldest) = oldest.map(|(session, _)| session.clone()) {
                codes.remove(&oldest);
            }
        }
    }
}

impl fmt::Debug for QrCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QrCodes({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown(session: usize, code: &str) -> SessionEvent {
        let session = SessionKey::new(7, format!("s{session}")).unwrap();
        SessionEvent::qr_code_generated(session, QrCode::new(code).unwrap())
    }

    /// Without delay: the clock of the paused runtime is another one.
    fn observe(codes: &QrCodes, event: &SessionEvent) {
        codes.observe(event, event.occurred_at().unwrap());
    }

    fn get(codes: &QrCodes, session: usize) -> Option<String> {
        let session = SessionKey::new(7, format!("s{session}")).unwrap();
        codes.get(&session)?.reveal()
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_held_until_the_next_event_for_a_minute_at_most() {
        let codes = QrCodes::default();
        observe(&codes, &shown(1, "2@a"));
        observe(&codes, &shown(1, "2@b"));
        observe(&codes, &shown(2, "2@c"));
        assert_eq!(get(&codes, 1).as_deref(), Some("2@b"));
        let other = SessionKey::new(8, "s1").unwrap();
        assert!(codes.get(&other).is_none(), "another workspace");
        let scanned = SessionEvent::session_authenticated(SessionKey::new(7, "s1").unwrap());
        observe(&codes, &scanned);
        assert_eq!(get(&codes, 1), None);
        tokio::time::sleep(QrCode::LIFE).await;
        assert_eq!(get(&codes, 2), None);
        observe(&codes, &scanned);
        assert_eq!(format!("{codes:?}"), "QrCodes(0)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_that_arrives_late_or_again_is_held_for_the_rest_of_its_minute() {
        const SECONDS: fn(u64) -> Duration = Duration::from_secs;
        let codes = QrCodes::default();
        let event = shown(1, "2@a");
        let left = |codes: &QrCodes| {
            let code = codes.get(event.session().unwrap());
            code.map_or(Duration::ZERO, |code| code.time_left())
        };
        let shown_at = event.occurred_at().unwrap();
        codes.observe(&event, shown_at + SECONDS(50));
        assert_eq!(left(&codes), SECONDS(10));
        codes.observe(&event, shown_at + SECONDS(55));
        assert_eq!(left(&codes), SECONDS(5));
        tokio::time::sleep(SECONDS(5)).await;
        assert_eq!(get(&codes, 1), None);
        codes.observe(&event, shown_at + SECONDS(61));
        assert_eq!(get(&codes, 1), None);
        // The sender's clock is ahead.
        codes.observe(&shown(1, "2@b"), shown_at - SECONDS(30));
        assert_eq!(left(&codes), QrCode::LIFE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_code_is_dropped_for_a_new_one() {
        let codes = QrCodes::default();
        for session in 0..=QrCodes::MAX {
            observe(&codes, &shown(session, "2@a"));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(get(&codes, 0), None);
        assert!((1..=QrCodes::MAX).all(|session| get(&codes, session).is_some()));
    }
}
