//! The rules for one session.

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::StoreFixture;
use super::stage::{Stage, authenticated, disconnected, key, key_in, phone, ready};
use crate::event::{Failed, QrCode, Ready, SessionEvent};
use crate::source::Assurance;
use crate::store::{Ignored, Outcome, RebindPolicy, Status, StoreErrorKind, StoreOptions};

fn qr(session: &str) -> SessionEvent {
    match QrCode::new("2@contract") {
        Ok(qr) => SessionEvent::qr_code_generated(key(session), qr),
        Err(error) => panic!("a literal code: {error}"),
    }
}

/// Returns the event as another sender writes it: without id and `seq`.
fn bare(event: &str) -> SessionEvent {
    let json = format!(
        r#"{{"event":"{event}","data":{{"workspace_id":7,"session_id":"s","phone_number":"{}"}}}}"#,
        phone(1).reveal()
    );
    match SessionEvent::from_json(json.as_bytes()) {
        Ok(event) => event,
        Err(error) => panic!("a literal event: {error}"),
    }
}

/// Checks that a row is made once, in one workspace.
///
/// # Panics
///
/// When a rule is broken.
pub async fn registers(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    let missing = stage.row("s").await;
    stage.rule(
        missing.is_none(),
        "a session that is not registered has no row",
        &missing,
    );
    let made = stage.register("s").await;
    let is_new =
        made.status == Status::QrScanning && made.phone.is_none() && made.last_seq.is_none();
    stage.rule(is_new, "a new session waits for a scan", &made);
    stage.stands("s", Status::QrScanning, None).await;

    stage.applies(&ready("s", 1)).await;
    let same = stage.register("s").await;
    stage.rule(
        same.status == Status::Connected,
        "`register` leaves a session as it is",
        &same,
    );

    let other = key_in(8, "s");
    let taken = stage.ends(stage.stores[1].register(&other)).await;
    stage.rule(
        matches!(&taken, Err(error) if error.kind() == StoreErrorKind::SessionTaken),
        "a session belongs to one workspace",
        &taken,
    );
    let keys: Vec<_> = (0..20).map(|n| (n, key("at-once"))).collect();
    let made = join_all(
        keys.iter()
            .map(|(n, key)| stage.stores[n % 2].register(key)),
    );
    for made in stage.ends(made).await {
        stage.rule(
            made.is_ok(),
            "a session may be registered by several at once",
            &made,
        );
    }
    // Which look alike to some databases.
    for session in ["cafe", "CAFE", "café", "cafe "] {
        let named = stage.ends(stage.stores[0].register(&key(session))).await;
        let is_own = match &named {
            Ok(row) => row.session == key(session),
            Err(error) => error.kind() == StoreErrorKind::SessionTaken,
        };
        stage.rule(is_own, "a session is never taken for another", &named);
    }
}

/// Checks that every event of ours brings the row to its status, and the number stays once it is known.
///
/// # Panics
///
/// When a rule is broken.
pub async fn follows_a_session(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    let lid = "123456789012345@lid".parse();
    let full = Ready::from(phone(1)).with_assurance(Assurance::Confirmed);
    let full = match lid {
        Ok(lid) => full.with_lid(lid),
        Err(_) => full,
    };
    let failed = Failed::new("not_ready", "no number");
    let steps = [
        (qr("s"), Status::QrScanning, None),
        (authenticated("s"), Status::Authenticated, None),
        (
            SessionEvent::session_ready(key("s"), full),
            Status::Connected,
            Some(1),
        ),
        (disconnected("s"), Status::Disconnected, Some(1)),
        (qr("s"), Status::QrScanning, Some(1)),
        (authenticated("s"), Status::Authenticated, Some(1)),
        (ready("s", 1), Status::Connected, Some(1)),
        (
            SessionEvent::session_error(key("s"), failed),
            Status::Error,
            Some(1),
        ),
        (ready("s", 1), Status::Connected, Some(1)),
    ];
    let mut version = 0;
    for (seq, (event, status, number)) in (1..).zip(steps) {
        let (change, retired) = stage.applies(&event.with_seq(seq)).await;
        stage.stands("s", status, number).await;
        let shown = number.filter(|_| status != Status::Error).map(phone);
        let is_right = change.status == status && change.phone == shown && retired.is_empty();
        stage.rule(
            is_right,
            "the change equals the stored row, in an error without a number",
            &change,
        );
        let is_newer = change.version > version || seq == 1;
        stage.rule(
            is_newer,
            "the version of a change is greater than the last",
            &change,
        );
        version = change.version;
    }
    let row = stage.row("s").await;
    let is_whole = row
        .as_ref()
        .is_some_and(|row| row.last_seq == Some(9) && row.lid.is_some());
    stage.rule(is_whole, "a row keeps the LID and the last `seq`", &row);
}

/// Events of sessions that are unknown, or of another workspace, are refused; events of others are
/// ignored.
///
/// # Panics
///
/// When a rule is broken.
pub async fn refuses_unknown_sessions(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    stage
        .refuses(&ready("unknown", 1), StoreErrorKind::UnknownSession)
        .await;
    let elsewhere = SessionEvent::session_ready(key_in(8, "s"), phone(1));
    stage
        .refuses(&elsewhere, StoreErrorKind::UnknownSession)
        .await;
    for event in ["message", "session_ready_2"] {
        let ignored = stage.apply(&bare(event)).await;
        let rule = "an event of others is ignored";
        stage.rule(
            ignored == Outcome::Ignored(Ignored::Foreign),
            rule,
            &ignored,
        );
    }
    stage.stands("s", Status::QrScanning, None).await;
}

/// Checks that an event has effect once, however often and wherever it is applied.
///
/// # Panics
///
/// When a rule is broken.
pub async fn applies_once(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    // The first two are repeated when others came after them.
    let events = [
        ready("s", 1),
        disconnected("s").with_seq(2),
        ready("s", 1).with_seq(3),
    ];
    for event in &events {
        stage.applies(event).await;
        let again = stage.apply(event).await;
        let rule = "an event that was just applied is a repetition";
        stage.rule(again == Outcome::Ignored(Ignored::Repeated), rule, &again);
    }
    for event in &events {
        for store in &stage.stores {
            let again = stage.works("`apply`", store.apply(event)).await;
            let expected = match event.seq() {
                Some(2) => Ignored::OutOfOrder,
                _ => Ignored::Repeated,
            };
            stage.rule(
                again == Outcome::Ignored(expected),
                "a repetition is out of order if its `seq` is below the last",
                &again,
            );
        }
    }
    stage.stands("s", Status::Connected, Some(1)).await;
    let again = stage.apply(&bare("session_ready")).await;
    let rule = "without id and `seq`, an event that changes nothing is a repetition";
    stage.rule(again == Outcome::Ignored(Ignored::Repeated), rule, &again);

    for round in 0..5 {
        let event = if round % 2 == 0 {
            disconnected("s")
        } else {
            ready("s", 1)
        };
        let at_once = (0..10).map(|n| stage.stores[n % 2].apply(&event));
        let outcomes = stage.ends(join_all(at_once)).await;
        let applied =
            |outcome: &&Result<Outcome, _>| matches!(outcome, Ok(Outcome::Applied { .. }));
        let is_once =
            outcomes.iter().filter(applied).count() == 1 && outcomes.iter().all(Result::is_ok);
        stage.rule(
            is_once,
            "an event that comes ten times at once is applied once",
            &outcomes,
        );
    }
}

/// Checks that an event that comes too late changes nothing. The order is that of `seq`; without it, that of
/// arrival.
///
/// # Panics
///
/// When a rule is broken.
pub async fn ignores_what_comes_late(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    stage.applies(&disconnected("s").with_seq(5)).await;
    for late in [
        ready("s", 1).with_seq(4),
        authenticated("s").with_seq(5),
        qr("s").with_seq(0),
    ] {
        let ignored = stage.apply(&late).await;
        let rule = "an event whose `seq` is not above the last is ignored";
        stage.rule(
            ignored == Outcome::Ignored(Ignored::OutOfOrder),
            rule,
            &ignored,
        );
    }
    stage.stands("s", Status::Disconnected, None).await;
    stage.applies(&ready("s", 1).with_seq(7)).await;
    let late = stage.apply(&authenticated("s")).await;
    let rule =
        "a `session_authenticated` without `seq` takes nothing back from a connected session";
    stage.rule(late == Outcome::Ignored(Ignored::OutOfOrder), rule, &late);
    stage.applies(&disconnected("s")).await;
    stage.applies(&bare("session_ready")).await;
    stage.stands("s", Status::Connected, Some(1)).await;
}

/// Checks that a QR code that has expired changes nothing, whatever the session's status. Of a connected
/// session it is out of order.
///
/// # Panics
///
/// When a rule is broken.
pub async fn ignores_expired_codes(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    let expired = SessionEvent::qr_code_generated(key("s"), QrCode::expired());
    for (event, expected) in [
        (qr("s"), Ignored::Expired),
        (disconnected("s"), Ignored::Expired),
        (ready("s", 1), Ignored::OutOfOrder),
    ] {
        stage.applies(&event).await;
        let before = stage.row("s").await;
        for expired in [expired.clone(), expired.clone().with_seq(9)] {
            let ignored = stage.apply(&expired).await;
            let rule = "an expired QR code is ignored";
            stage.rule(ignored == Outcome::Ignored(expected), rule, &ignored);
        }
        let after = stage.row("s").await;
        stage.rule(
            after == before,
            "an expired QR code changes nothing",
            &after,
        );
    }
}

/// Checks that a session keeps its number, unless it may be bound to another.
///
/// # Panics
///
/// When a rule is broken.
pub async fn binds_to_one_number(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    stage.applies(&ready("s", 1)).await;
    stage
        .refuses(&ready("s", 2), StoreErrorKind::RebindRefused)
        .await;
    stage.applies(&disconnected("s")).await;
    stage
        .refuses(&ready("s", 2), StoreErrorKind::RebindRefused)
        .await;
    stage.applies(&ready("s", 1)).await;

    let accepts = StoreOptions::default().rebind(RebindPolicy::Accept);
    let stage = Stage::new(fixture, accepts).await;
    stage.register("s").await;
    stage.applies(&ready("s", 1)).await;
    stage.applies(&ready("s", 2)).await;
    stage.stands("s", Status::Connected, Some(2)).await;
}

/// Calls may be dropped at any point; the event then has effect once.
///
/// # Panics
///
/// When a rule is broken.
pub async fn survives_drops(fixture: &dyn StoreFixture) {
    let stage = Stage::new(fixture, StoreOptions::default()).await;
    stage.register("s").await;
    for round in 0..20 {
        let event = if round % 2 == 0 {
            ready("s", 1)
        } else {
            disconnected("s")
        };
        let store = &stage.stores[round % 2];
        drop(store.apply(&event));
        {
            let mut dropped = store.apply(&event);
            // As many steps as there is time for; where it ends is the store's affair.
            for _ in 0..round {
                if (&mut dropped).now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        stage
            .works("`apply` after a drop", store.apply(&event))
            .await;
        let again = stage.works("`apply`", store.apply(&event)).await;
        stage.rule(
            matches!(again, Outcome::Ignored(_)),
            "an event is applied once",
            &again,
        );
    }
    stage.stands("s", Status::Disconnected, Some(1)).await;
}
