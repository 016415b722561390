//! The changes that watchers see.

use std::collections::HashMap;

use futures_util::FutureExt;

use super::StoreFixture;
use super::stage::{Stage, authenticated, disconnected, key, key_in, phone, ready};
use crate::store::{
    Status, StatusChange, StatusWatcher, StoreErrorKind, StoreOptions, WorkspaceWatcher,
};

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
pub async fn notifies_watchers(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    let unknown = key("unknown");
    let refused = stage.ends(stage.stores[0].watch(&unknown.session_id)).await;
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
    let is_right = quick.current().phone == Some(phone(1));
    stage.rule(is_right, "a watcher gets the number", &quick.current());
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
    let is_unchanged = other.current().status == Status::QrScanning;
    stage.rule(
        is_unchanged,
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
pub async fn notifies_other_stores(fixture: &dyn StoreFixture) {
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

/// The changes of one workspace, as a watcher saw them.
struct Workspace {
    watcher: WorkspaceWatcher,
    latest: HashMap<String, StatusChange>,
}

impl Workspace {
    async fn watch(stage: &Stage, at: usize) -> Self {
        let workspace = key("any").workspace_id;
        let watcher = stage.stores[at].watch_workspace(&workspace);
        let watcher = stage.works("`watch_workspace`", watcher).await;
        let latest = HashMap::new();
        Self { watcher, latest }
    }

    /// Waits until all these sessions were seen so; the watcher may skip what came between.
    async fn sees(&mut self, stage: &Stage, expected: &[(&str, Status)]) {
        let stands = |latest: &HashMap<String, StatusChange>, session: &str, status| {
            let seen: Option<&StatusChange> = latest.get(session);
            seen.is_some_and(|seen| seen.status == status)
        };
        while !expected
            .iter()
            .all(|&(session, status)| stands(&self.latest, session, status))
        {
            let Some(change) = stage.ends(self.watcher.changed()).await else {
                return stage.rule(false, "a watch lasts as long as the store", &expected);
            };
            self.record(stage, change);
        }
    }

    /// Records the changes that are there already.
    fn record_present(&mut self, stage: &Stage) {
        while let Some(Some(change)) = self.watcher.changed().now_or_never() {
            self.record(stage, change);
        }
    }

    fn record(&mut self, stage: &Stage, change: StatusChange) {
        let is_own = change.session.workspace_id == key("any").workspace_id;
        let is_whole = change.status != Status::Connected || change.phone.is_some();
        stage.rule(
            is_own && is_whole,
            "a watcher of a workspace sees whole changes of its own sessions",
            &change,
        );
        let session = change.session.session_id.as_str().to_owned();
        let last = self.latest.insert(session, change.clone());
        stage.rule(
            last.as_ref()
                .is_none_or(|last| *last != change && last.version <= change.version),
            "a watcher sees each change once, and none that is older than the last",
            &(last, change),
        );
    }
}

/// Watchers of a workspace see the present status of each session, then every session's last state: of both
/// stores, of new sessions, and also that a session is ended or given up.
///
/// # Panics
///
/// When a rule is broken.
pub async fn notifies_watchers_of_workspaces(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    let mut early = Workspace::watch(&stage, 1).await;
    for session in ["a", "b", "given up"] {
        stage.register(session).await;
    }
    let far = key_in(8, "far");
    stage
        .works("`register`", stage.stores[0].register(&far))
        .await;
    stage.applies(&ready("a", 1)).await;
    stage.delete(0, "given up").await;

    let start = [("a", Status::Connected), ("b", Status::QrScanning)];
    early.sees(&stage, &start).await;
    let (mut own, mut other) = (
        Workspace::watch(&stage, 0).await,
        Workspace::watch(&stage, 1).await,
    );
    for watched in [&mut own, &mut other] {
        watched.sees(&stage, &start).await;
        watched.record_present(&stage);
        let rule = "a watcher of a workspace begins with the sessions that are not given up";
        stage.rule(watched.latest.len() == 2, rule, &watched.latest);
    }
    // A session that is watched alone too.
    let mut alone = stage.watch(1, "b").await;
    for _ in 0..20 {
        stage.applies(&disconnected("a")).await;
        stage.applies(&ready("a", 1)).await;
    }
    stage.register("new").await;
    stage.applies(&authenticated("new")).await;
    stage.applies(&disconnected("a")).await;
    let (_, retired) = stage.applies(&ready("b", 1)).await;
    stage.rule(retired.len() == 1, "one was given up", &retired);
    let end = [
        ("a", Status::Failed),
        ("b", Status::Connected),
        ("new", Status::Authenticated),
    ];
    for watched in [&mut own, &mut other, &mut early] {
        watched.sees(&stage, &end).await;
    }
    sees(&stage, &mut alone, Status::Connected).await;

    stage.register("a").await;
    stage.end(0, "b").await;
    stage.delete(1, "new").await;
    let last = [
        ("a", Status::QrScanning),
        ("b", Status::Disconnected),
        ("new", Status::Failed),
    ];
    for watched in [&mut own, &mut other, &mut early] {
        watched.sees(&stage, &last).await;
    }
}
