//! One number, several sessions.

use futures_util::future::join_all;

use super::StoreFixture;
use super::stage::{Stage, disconnected, key, key_in, phone, ready};
use crate::event::SessionEvent;
use crate::store::{DuplicatePolicy, Outcome, RebindPolicy, Status, StoreErrorKind, StoreOptions};

/// Sessions of the workspace that hold the number and are not live are given up; a live one is not.
///
/// # Panics
///
/// When a rule is broken.
pub async fn retires_stale_duplicates(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for session in ["old", "new", "newest"] {
        stage.register(session).await;
    }
    let far = key_in(8, "far");
    stage
        .works("`register`", stage.stores[0].register(&far))
        .await;
    stage
        .applies(&SessionEvent::session_ready(far.clone(), phone(1)))
        .await;
    stage
        .applies(&SessionEvent::session_disconnected(far.clone(), ""))
        .await;

    stage.applies(&ready("old", 1)).await;
    stage
        .refuses(&ready("new", 1), StoreErrorKind::NumberAlreadyConnected)
        .await;
    stage.applies(&disconnected("old")).await;
    let (_, retired) = stage.applies(&ready("new", 1)).await;
    let is_right =
        matches!(&*retired, [old] if old.session == key("old") && old.status == Status::Failed);
    stage.rule(is_right, "a session that is given up is reported", &retired);
    let has_number = retired.iter().any(|old| old.phone.is_some());
    stage.rule(
        !has_number,
        "a session that is given up loses its number",
        &retired,
    );
    stage.stands("new", Status::Connected, Some(1)).await;
    let old = stage.row("old").await;
    stage.rule(old.is_none(), "a session that is given up is none", &old);
    stage
        .refuses(&ready("old", 1), StoreErrorKind::UnknownSession)
        .await;
    let far = stage
        .works("`session`", stage.stores[0].session(&far.session_id))
        .await;
    stage.rule(far.is_some(), "another workspace is not touched", &far);

    let anew = stage.register("old").await;
    stage.rule(
        anew.phone.is_none(),
        "what was given up begins without a number",
        &anew,
    );
    stage
        .refuses(&ready("old", 1), StoreErrorKind::NumberAlreadyConnected)
        .await;
}

/// Checks that a phone that is linked and unlinked repeatedly, each time in a new session, ends
/// connected each time.
///
/// # Panics
///
/// When a rule is broken.
pub async fn relinks(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    for round in 0..10 {
        let session = format!("link-{round}");
        stage.register(&session).await;
        let (_, retired) = stage.applies(&ready(&session, 1)).await;
        let rule = "the session before it is given up, and no other";
        stage.rule(retired.len() == usize::from(round > 0), rule, &retired);
        stage.stands(&session, Status::Connected, Some(1)).await;
        stage.applies(&disconnected(&session)).await;
        stage.stands(&session, Status::Disconnected, Some(1)).await;
    }
}

/// Checks that under [`DuplicatePolicy::Refuse`] any other session that holds the number keeps it.
///
/// # Panics
///
/// When a rule is broken.
pub async fn refuses_duplicates(fixture: &dyn StoreFixture) {
    let options = StoreOptions::default().duplicates(DuplicatePolicy::Refuse);
    let stage = Stage::new(fixture, options).await;
    for session in ["old", "new"] {
        stage.register(session).await;
    }
    stage.applies(&ready("old", 1)).await;
    stage
        .refuses(&ready("new", 1), StoreErrorKind::NumberAlreadyConnected)
        .await;
    stage.applies(&disconnected("old")).await;
    stage
        .refuses(&ready("new", 1), StoreErrorKind::NumberAlreadyConnected)
        .await;
    stage.stands("old", Status::Disconnected, Some(1)).await;
    stage.stands("new", Status::QrScanning, None).await;
}

/// Checks that under [`DuplicatePolicy::Companions`] several sessions are linked to one number.
///
/// # Panics
///
/// When a rule is broken.
pub async fn allows_companions(fixture: &dyn StoreFixture) {
    let options = StoreOptions::default().duplicates(DuplicatePolicy::Companions);
    let stage = Stage::new(fixture, options).await;
    for session in ["one", "two"] {
        stage.register(session).await;
        let (_, retired) = stage.applies(&ready(session, 1)).await;
        stage.rule(
            retired.is_empty(),
            "no session is given up for a companion",
            &retired,
        );
    }
    stage.stands("one", Status::Connected, Some(1)).await;
    stage.stands("two", Status::Connected, Some(1)).await;
}

/// Checks that many sessions connect with one number at the same moment, over both stores: one does, and the
/// others are refused. When it disconnects they try again: one of them does, and the first is given
/// up or keeps the number, as the policy says.
///
/// # Panics
///
/// When a rule is broken.
pub async fn connects_one_of_many(fixture: &dyn StoreFixture, policy: DuplicatePolicy) {
    let stage = Stage::new(fixture, StoreOptions::default().duplicates(policy)).await;
    let sessions: Vec<_> = (0..fixture.concurrent_sessions())
        .map(|n| format!("s{n}"))
        .collect();
    for session in &sessions {
        stage.register(session).await;
    }
    let mut live = None;
    for round in 1..=2 {
        let events: Vec<_> = sessions.iter().map(|session| ready(session, 1)).collect();
        let calls = events.iter().enumerate();
        let calls = calls.map(|(n, event)| stage.stores[n % 2].apply(event));
        let outcomes = stage.ends(join_all(calls)).await;
        let mut connected = Vec::new();
        for (session, outcome) in sessions.iter().zip(&outcomes) {
            let is_known = match outcome {
                Ok(Outcome::Applied { .. }) => {
                    connected.push(session.clone());
                    true
                }
                Ok(_) => false,
                Err(error) => matches!(
                    error.kind(),
                    // Given up in the moment before its own turn.
                    StoreErrorKind::NumberAlreadyConnected | StoreErrorKind::UnknownSession
                ),
            };
            stage.rule(
                is_known,
                "a session connects or is refused, without an error of the storage",
                outcome,
            );
        }
        let mut rows = Vec::new();
        for session in &sessions {
            rows.extend(stage.row(session).await);
        }
        let is_live = |row: &&crate::store::SessionRow| row.status == Status::Connected;
        let now: Vec<_> = rows.iter().filter(is_live).collect();
        let rule = "exactly one of many sessions with one number is connected";
        stage.rule(
            now.len() == 1 && connected.len() == 1,
            rule,
            &(&connected, &now),
        );
        let is_first = live.as_ref() == connected.first();
        match (round, policy) {
            (1, _) => {}
            (_, DuplicatePolicy::Refuse) => {
                stage.rule(
                    is_first,
                    "a session that holds the number keeps it",
                    &connected,
                );
            }
            _ => {}
        }
        if let Some(session) = connected.pop() {
            stage.applies(&disconnected(&session)).await;
            live = Some(session);
        }
    }
}

/// Checks two sessions that exchange their numbers repeatedly and at the same time: each call ends, with
/// effect or refused, and conflicts in the storage are never errors.
///
/// # Panics
///
/// When a rule is broken.
pub async fn settles_swaps(fixture: &dyn StoreFixture) {
    let options = StoreOptions::default().rebind(RebindPolicy::Accept);
    let stage = Stage::new(fixture, options).await;
    for session in ["a", "b", "c"] {
        stage.register(session).await;
    }
    for round in 0..10 {
        let number = |n: u32| (n + round) % 3;
        let events = [
            ready("a", number(0)),
            ready("b", number(1)),
            ready("c", number(2)),
        ];
        let offs = ["a", "b", "c"].map(disconnected);
        let calls = events.iter().chain(&offs).enumerate();
        let calls = calls.map(|(n, event)| stage.stores[n % 2].apply(event));
        for outcome in stage.ends(join_all(calls)).await {
            let is_known = match &outcome {
                Ok(_) => true,
                Err(error) => error.kind() != StoreErrorKind::Storage,
            };
            stage.rule(
                is_known,
                "conflicts of the storage are tried again inside",
                &outcome,
            );
        }
        for session in ["a", "b", "c"] {
            stage.row(session).await;
            // One may have been given up for another.
            stage.register(session).await;
        }
    }
}
