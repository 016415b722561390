//! Lists of sessions, and the reason for the status `error`.

use std::collections::BTreeMap;

use super::StoreFixture;
use super::stage::{Stage, authenticated, disconnected, key, key_in, phone, ready};
use crate::event::{Failed, SessionEvent};
use crate::store::{SessionError, SessionQuery, Status, StoreErrorKind, StoreOptions};

/// More pages than any list of this suite has.
const MAX_PAGES: usize = 30;

/// Reads a list to its end, over both stores in turn, and returns how often each session was listed.
async fn list(stage: &Stage, mut query: SessionQuery) -> BTreeMap<String, usize> {
    let mut listed = BTreeMap::new();
    for page in 0..MAX_PAGES {
        let store = &stage.stores[page % 2];
        let page = stage.works("`sessions`", store.sessions(&query)).await;
        let is_bounded = page.rows.len() <= query.max_rows();
        stage.rule(is_bounded, "a page has no more rows than asked for", &page);
        for row in &page.rows {
            stage.rule(
                query.matches(row),
                "a list has the sessions that were asked for and no others",
                &(&query, row),
            );
            let same = store.session(&row.session.session_id);
            let same = stage.works("`session`", same).await;
            stage.rule(
                same.as_ref() == Some(row),
                "a listed row is that of `session`",
                &(row, same),
            );
            *listed
                .entry(row.session.session_id.as_str().to_owned())
                .or_default() += 1;
        }
        let Some(next) = page.next else {
            return listed;
        };
        query = query.after(next);
    }
    stage.rule(false, "a list that is read page by page ends", &listed);
    listed
}

async fn lists(stage: &Stage, query: SessionQuery, expected: &[&str]) {
    let listed = list(stage, query.clone()).await;
    let is_right = listed.keys().eq(expected) && listed.values().all(|&times| times == 1);
    let rule = "each session that was asked for is listed once";
    stage.rule(is_right, rule, &(&query, expected, &listed));
}

/// Sessions are listed by workspace and by status, page by page, without those that were given up.
///
/// # Panics
///
/// When a rule is broken.
pub async fn lists_sessions(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    lists(&stage, SessionQuery::default(), &[]).await;
    let sessions = ["a", "b", "c", "d", "e", "f", "given up"];
    for session in sessions.iter().rev() {
        stage.register(session).await;
    }
    let far = key_in(8, "far");
    stage
        .works("`register`", stage.stores[1].register(&far))
        .await;
    stage.applies(&authenticated("b")).await;
    for (n, session) in (1..).zip(["c", "d", "e"]) {
        stage.applies(&ready(session, n)).await;
    }
    stage.applies(&disconnected("d")).await;
    let failed = Failed::new("not_ready", "no number");
    stage
        .applies(&SessionEvent::session_error(key("e"), failed))
        .await;
    stage.delete(0, "given up").await;

    let all = ["a", "b", "c", "d", "e", "f"];
    let everywhere = ["a", "b", "c", "d", "e", "f", "far"];
    let workspace = SessionQuery::default().workspace(7);
    for limit in [1, 2, 3, 6, 100] {
        lists(&stage, SessionQuery::default().limit(limit), &everywhere).await;
        lists(&stage, workspace.clone().limit(limit), &all).await;
    }
    lists(&stage, SessionQuery::default().workspace(8), &["far"]).await;
    for nowhere in ["9", "no-such-workspace"] {
        if let Ok(nowhere) = crate::event::WorkspaceId::new(nowhere) {
            lists(&stage, SessionQuery::default().workspace(nowhere), &[]).await;
        }
    }
    for (status, expected) in [
        (Status::QrScanning, &["a", "f"][..]),
        (Status::Authenticated, &["b"]),
        (Status::Connected, &["c"]),
        (Status::Disconnected, &["d"]),
        (Status::Error, &["e"]),
        (Status::Failed, &[]),
    ] {
        lists(&stage, workspace.clone().status(status).limit(1), expected).await;
    }
    let linked = SessionQuery::default().status(Status::Connected);
    lists(&stage, linked.status(Status::Disconnected), &["c", "d"]).await;

    let first = workspace.clone().limit(3);
    let first = stage.works("`sessions`", stage.stores[0].sessions(&first));
    let first = first.await;
    // A place that has gone is still a place.
    if let Some(last) = first.rows.last() {
        stage.delete(1, last.session.session_id.as_str()).await;
    }
    let rest = first.next.map(|next| workspace.clone().after(next));
    let rest = match rest {
        Some(rest) => list(&stage, rest).await.len(),
        None => 0,
    };
    let rule = "a list goes on where it was when its last session has gone";
    stage.rule(first.rows.len() == 3 && rest == 3, rule, &rest);

    if let Ok(cursor) = "no such place'".parse() {
        let query = SessionQuery::default().after(cursor);
        let page = stage.ends(stage.stores[0].sessions(&query)).await;
        let is_known = match &page {
            Ok(_) => true,
            Err(error) => error.kind() == StoreErrorKind::InvalidCursor,
        };
        let rule = "a cursor of others is a place or `invalid_cursor`";
        stage.rule(is_known, rule, &page);
    }
}

/// Checks that a row in status `error`, and the changes of it, have the stable code and the message of its last
/// error; other rows have none.
///
/// # Panics
///
/// When a rule is broken.
pub async fn keeps_errors(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    let mut watcher = stage.watch(0, "s").await;
    for (code, message) in [
        ("not_ready", "no number of 628110000041@c.us"),
        ("blocked", ""),
    ] {
        let failed = Failed::new(code, message);
        let error = Some(SessionError::from(&failed));
        let failed = SessionEvent::session_error(key("s"), failed);
        let (change, _) = stage.applies(&failed).await;
        let row = stage.row("s").await;
        let seen = stage.ends(watcher.changed()).await;
        let is_kept = change.error == error
            && row.as_ref().is_some_and(|row| row.error == error)
            && seen.as_ref().is_some_and(|seen| seen.error == error);
        let rule = "row, change and watcher have the code and message of the last error";
        stage.rule(is_kept, rule, &(change, row, seen));
    }
    for event in [authenticated("s"), ready("s", 1), disconnected("s")] {
        let (change, _) = stage.applies(&event).await;
        let row = stage.row("s").await;
        let is_gone = change.error.is_none() && row.as_ref().is_some_and(|row| row.error.is_none());
        let rule = "an error ends with the status `error`";
        stage.rule(is_gone, rule, &(change, row));
    }
    let other = SessionEvent::from_json(
        format!(
            r#"{{"event":"session_error","data":{{"workspace_id":7,"session_id":"s","error":"webhook_send_failed","phone_number":"{}","message":"no answer"}}}}"#,
            phone(1).reveal()
        )
        .as_bytes(),
    );
    if let Ok(other) = other {
        let (change, _) = stage.applies(&other).await;
        let rule = "an error without a code has that of its `error`";
        let error = SessionError::new("webhook_send_failed", "no answer");
        stage.rule(change.error == Some(error), rule, &change);
    }
}
