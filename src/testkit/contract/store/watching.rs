//! Who is told what.

use super::StoreFixture;
use super::stage::{Stage, disconnected, key, phone, ready};
use crate::store::{Status, StatusWatcher, StoreErrorKind, StoreOptions};

/// Waits until the watcher sees this status; it may skip what came between.
async fn sees(stage: &Stage, watcher: &mut StatusWatcher, status: Status) {
    let mut last = watcher.current();
    while last.status != status {
        let Some(change) = stage.ends(watcher.changed()).await else {
            return stage.rule(false, "a watch lasts as long as the store", &status);
        };
        let is_newer = change.version >= last.version;
        stage.rule(
            is_newer,
            "a watcher sees no change that is older than the last",
            &change,
        );
        let is_whole = change.status != Status::Connected || change.phone.is_some();
        stage.rule(
            is_whole,
            "a connected session has a number for every watcher",
            &change,
        );
        last = change;
    }
}

/// Watchers of the store that writes see every session's last state, the slow ones too.
///
/// # Panics
///
/// When a rule is broken.
pub async fn tells_watchers(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    let nobody = key("nobody");
    let refused = stage.ends(stage.stores[0].watch(&nobody.session_id)).await;
    let is_unknown =
        matches!(&refused, Err(error) if error.kind() == StoreErrorKind::UnknownSession);
    stage.rule(
        is_unknown,
        "a session that is unknown cannot be watched",
        &refused,
    );

    for session in ["s", "other"] {
        stage.register(session).await;
    }
    let mut quick = stage.watch(0, "s").await;
    let mut slow = stage.watch(0, "s").await;
    let other = stage.watch(0, "other").await;
    stage.rule(
        quick.current().status == Status::QrScanning,
        "a watcher begins with where the session stands",
        &quick.current(),
    );
    stage.applies(&ready("s", 1)).await;
    sees(&stage, &mut quick, Status::Connected).await;
    let is_told = quick.current().phone == Some(phone(1));
    stage.rule(is_told, "a watcher is told the number", &quick.current());
    for _ in 0..20 {
        stage.applies(&disconnected("s")).await;
        stage.applies(&ready("s", 1)).await;
    }
    stage.applies(&disconnected("s")).await;
    sees(&stage, &mut quick, Status::Disconnected).await;
    let last = stage.ends(slow.changed()).await;
    let is_last = last
        .as_ref()
        .is_some_and(|last| last.status == Status::Disconnected);
    stage.rule(is_last, "a slow watcher sees the last state", &last);
    let is_quiet = other.current().status == Status::QrScanning;
    stage.rule(
        is_quiet,
        "a watcher sees its own session alone",
        &other.current(),
    );
    let late = stage.watch(0, "s").await;
    let knows = late.current().status == Status::Disconnected;
    stage.rule(
        knows,
        "a watcher begins with where the session stands",
        &late.current(),
    );
}

/// Watchers of another store over the same storage see it too, also that a session is given up.
///
/// # Panics
///
/// When a rule is broken.
pub async fn tells_other_stores(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for session in ["s", "rival"] {
        stage.register(session).await;
    }
    let mut watcher = stage.watch(1, "s").await;
    stage.applies(&ready("s", 1)).await;
    sees(&stage, &mut watcher, Status::Connected).await;
    stage.applies(&disconnected("s")).await;
    sees(&stage, &mut watcher, Status::Disconnected).await;
    stage.applies(&ready("rival", 1)).await;
    sees(&stage, &mut watcher, Status::Failed).await;
}
