//! Sessions that the program ends or deletes, or that a sweep gives up.

use std::time::Duration;

use super::StoreFixture;
use super::stage::{Stage, authenticated, disconnected, key, key_in, ready};
use crate::event::{EventSink, SessionKey};
use crate::store::{RowValues, Status, StatusChange, StoreErrorKind, StoreOptions, StoreSink};

/// Checks that a session that is unknown, or of another workspace, can be neither ended nor deleted.
async fn refuses(stage: &Stage, session: &SessionKey) {
    for store in &stage.stores {
        let ended = stage.ends(store.end(session)).await;
        let deleted = stage.ends(store.delete(session)).await;
        let is_unknown = |done: &Result<StatusChange, _>| matches!(done, Err(error) if crate::store::StoreError::kind(error) == StoreErrorKind::UnknownSession);
        stage.rule(
            is_unknown(&ended) && is_unknown(&deleted),
            "an unknown session is refused with `unknown_session`",
            &(ended, deleted),
        );
    }
}

/// Checks that a session that the program ends is disconnected and keeps its number, whatever its status was.
///
/// # Panics
///
/// When a rule is broken.
pub async fn ends_sessions(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for session in ["linked", "waiting"] {
        stage.register(session).await;
    }
    stage.applies(&ready("linked", 1).with_seq(3)).await;
    refuses(&stage, &key("unknown")).await;
    refuses(&stage, &key_in(8, "linked")).await;
    stage.stands("linked", Status::Connected, Some(1)).await;

    for (session, number) in [("linked", Some(1)), ("waiting", None)] {
        for store in 0..2 {
            let change = stage.end(store, session).await;
            let is_right = change.status == Status::Disconnected && change.session == key(session);
            stage.rule(
                is_right,
                "a session that was ended is disconnected",
                &change,
            );
            stage.stands(session, Status::Disconnected, number).await;
        }
    }
    stage.applies(&ready("linked", 1).with_seq(4)).await;
    stage.stands("linked", Status::Connected, Some(1)).await;
}

/// Checks that a sink that registers unknown sessions does not bring back the deleted session `linked`, whose
/// last `seq` is 3, for an event that may be late.
async fn registers_no_late_events(stage: &Stage) {
    let late = [
        ready("linked", 1),
        authenticated("linked").with_seq(3),
        disconnected("linked").with_seq(4),
    ];
    for (event, store) in late.iter().zip(stage.stores.iter().cycle()) {
        let sink = StoreSink::new(store.clone()).register_unknown(RowValues::default());
        let refused = stage.ends(sink.send(event)).await;
        let is_refused =
            matches!(&refused, Err(error) if error.code() == StoreErrorKind::UnknownSession.code());
        let rule = "a deleted session is not registered for an event that may be late";
        stage.rule(is_refused, rule, &(event, refused));
        let row = stage.row("linked").await;
        stage.rule(row.is_none(), rule, &row);
    }
}

/// Checks that a session that the program deletes is given up, whatever its status was, and leaves its number to
/// others.
///
/// # Panics
///
/// When a rule is broken.
pub async fn deletes_sessions(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for session in ["linked", "next"] {
        stage.register(session).await;
    }
    let (before, _) = stage.applies(&ready("linked", 1).with_seq(3)).await;
    let change = stage.delete(1, "linked").await;
    let is_right = change.status == Status::Failed
        && change.phone.is_none()
        && change.version > before.version;
    stage.rule(
        is_right,
        "a session that was deleted has failed and has no number",
        &change,
    );
    let gone = stage.row("linked").await;
    stage.rule(gone.is_none(), "a deleted session is no session", &gone);
    refuses(&stage, &key("linked")).await;
    for late in [
        authenticated("linked").with_seq(4),
        ready("linked", 1).with_seq(5),
    ] {
        stage.refuses(&late, StoreErrorKind::UnknownSession).await;
    }
    registers_no_late_events(&stage).await;
    let (_, retired) = stage.applies(&ready("next", 1)).await;
    let rule = "a deleted session holds no number";
    stage.rule(retired.is_empty(), rule, &retired);

    let anew = stage.register("linked").await;
    let is_anew = anew.status == Status::QrScanning && anew.phone.is_none();
    stage.rule(
        is_anew && anew.last_seq == Some(3),
        "a deleted session begins anew, its `seq` goes on",
        &anew,
    );
    stage.delete(0, "linked").await;
    let sink = StoreSink::new(stage.stores[1].clone()).register_unknown(RowValues::default());
    let live = authenticated("linked").with_seq(4);
    let accepted = stage.ends(sink.send(&live)).await;
    let rule = "a deleted session may be registered for a later event";
    stage.rule(accepted.is_ok(), rule, &accepted);
    stage.stands("linked", Status::Authenticated, None).await;
}

/// Sessions that wait for too long are given up, and may begin again.
///
/// # Panics
///
/// When a rule is broken.
pub async fn sweeps_stuck(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for session in ["scanning", "authenticated", "connected", "disconnected"] {
        stage.register(session).await;
    }
    stage
        .applies(&authenticated("authenticated").with_seq(4))
        .await;
    stage.applies(&ready("connected", 1)).await;
    stage.applies(&disconnected("disconnected")).await;
    let hour = Duration::from_secs(3600);
    let swept = stage
        .works("`sweep_stuck`", stage.stores[0].sweep_stuck(hour))
        .await;
    stage.rule(swept.is_empty(), "what is fresh is not swept", &swept);
    let swept = stage
        .works("`sweep_stuck`", stage.stores[1].sweep_stuck(Duration::ZERO))
        .await;
    let mut names: Vec<_> = swept
        .iter()
        .map(|swept| swept.session.session_id.as_str())
        .collect();
    names.sort_unstable();
    let is_right = names == ["authenticated", "scanning"]
        && swept.iter().all(|swept| swept.status == Status::Failed);
    stage.rule(is_right, "only rows that wait are swept", &swept);
    let gone = stage.row("authenticated").await;
    stage.rule(gone.is_none(), "what was given up is no session", &gone);
    stage
        .refuses(&ready("scanning", 2), StoreErrorKind::UnknownSession)
        .await;

    let anew = stage.register("authenticated").await;
    let is_anew = anew.status == Status::QrScanning && anew.last_seq == Some(4);
    stage.rule(
        is_anew,
        "what was given up begins anew, its `seq` goes on",
        &anew,
    );
    stage.applies(&ready("authenticated", 2).with_seq(5)).await;
    stage
        .stands("authenticated", Status::Connected, Some(2))
        .await;
}
