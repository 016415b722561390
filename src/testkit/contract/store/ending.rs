//! Sessions that the host ends or deletes.

use super::StoreFixture;
use super::stage::{Stage, authenticated, key, key_in, ready};
use crate::event::SessionKey;
use crate::store::{Status, StatusChange, StoreErrorKind, StoreOptions};

/// A session that is unknown, or of another workspace, can be neither ended nor deleted.
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

/// A session that the host ends is disconnected and keeps its number, whatever its status was.
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
    refuses(&stage, &key("nobody")).await;
    refuses(&stage, &key_in(8, "linked")).await;
    stage.stands("linked", Status::Connected, Some(1)).await;

    for (session, number) in [("linked", Some(1)), ("waiting", None)] {
        for store in 0..2 {
            let change = stage.end(store, session).await;
            let is_told = change.status == Status::Disconnected && change.session == key(session);
            stage.rule(is_told, "a session that was ended is disconnected", &change);
            stage.stands(session, Status::Disconnected, number).await;
        }
    }
    stage.applies(&ready("linked", 1).with_seq(4)).await;
    stage.stands("linked", Status::Connected, Some(1)).await;
}

/// A session that the host deletes is given up, whatever its status was, and leaves its number to others.
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
    let is_told = change.status == Status::Failed
        && change.phone.is_none()
        && change.version > before.version;
    stage.rule(
        is_told,
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
}
