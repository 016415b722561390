//! A session that is connected again.

use super::StoreFixture;
use super::stage::{Stage, authenticated, disconnected, key, ready, reconnected};
use crate::event::{Failed, QrCode, SessionEvent};
use crate::store::{Ignored, Outcome, Status, StoreOptions};

/// Checks that a `session_reconnected` connects a disconnected session with the number of its row. In any
/// other state the session is only authenticated, since the number of its row may be a former account's.
///
/// # Panics
///
/// When a rule is broken.
pub async fn brings_back(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    stage.applies(&reconnected("s")).await;
    stage.stands("s", Status::Authenticated, None).await;
    stage.applies(&ready("s", 1)).await;
    stage.applies(&reconnected("s")).await;
    stage.stands("s", Status::Connected, Some(1)).await;

    for _ in 0..2 {
        stage.applies(&disconnected("s")).await;
        let (change, retired) = stage.applies(&reconnected("s")).await;
        let is_back = change.status == Status::Connected && change.phone.is_some();
        let rule = "a session that comes back is connected with its number";
        stage.rule(is_back && retired.is_empty(), rule, &(change, retired));
        stage.stands("s", Status::Connected, Some(1)).await;
    }
    let qr = SessionEvent::qr_code_generated(key("s"), QrCode::unknown());
    let failed = Failed::new("rebind_refused", "another account");
    let failed = SessionEvent::session_error(key("s"), failed);
    for (seq, event) in (1..).step_by(3).zip([qr, authenticated("s"), failed]) {
        stage.applies(&disconnected("s").with_seq(seq)).await;
        stage.applies(&event.with_seq(seq + 1)).await;
        stage.applies(&reconnected("s").with_seq(seq + 2)).await;
        stage.stands("s", Status::Authenticated, Some(1)).await;
    }
    stage.applies(&disconnected("s").with_seq(20)).await;
    let late = stage.apply(&reconnected("s").with_seq(19)).await;
    let rule = "a `session_reconnected` from before a disconnect is ignored";
    stage.rule(late == Outcome::Ignored(Ignored::OutOfOrder), rule, &late);
    stage.stands("s", Status::Disconnected, Some(1)).await;
}
