//! The influence of earlier looks.

use tokio::time::advance;

use super::*;

/// Each count, its time, and its missing evidence.
#[tokio::test(start_paused = true)]
async fn missing_evidence_is_made_up_for_by_time() {
    let unknown = set(
        linked(),
        &[
            ("/registered", Value::Null),
            ("/storage", json!({"noise": true, "me": false})),
        ],
    );
    for (page, missing, seconds) in [
        (
            set(linked(), &[("/socket/synced", Value::Null)]),
            Evidence::Sync,
            20,
        ),
        (
            set(linked(), &[("/socket/state", Value::Null)]),
            Evidence::State,
            20,
        ),
        (
            set(linked(), &[("/socket", Value::Null)]),
            Evidence::Socket,
            5,
        ),
        (unknown, Evidence::Registration, 5),
    ] {
        let mut history = History::default();
        let early = observe(&mut history, &page);
        let Look::Found(me) = early.look(None) else {
            panic!("{missing:?}");
        };
        let total = Duration::from_secs(seconds);
        assert_eq!(me.assurance, Assurance::Provisional);
        assert_eq!(
            me.pending,
            Some(Pending::new(
                missing.missing(),
                total,
                Assurance::Unverified
            ))
        );
        assert_eq!(early.due(), Some(Instant::now() + total));
        assert_eq!(early.link(), LinkState::Unknown);

        advance(total - Duration::from_millis(1)).await;
        let late = observe(&mut history, &page);
        assert_eq!(assurance(&late.look(None)), PROVISIONAL, "{missing:?}");
        advance(Duration::from_millis(1)).await;
        let done = observe(&mut history, &page);
        assert_eq!(assurance(&done.look(None)), UNVERIFIED, "{missing:?}");
        assert_eq!(
            (done.unverified(), done.due(), done.link()),
            (Some(missing), None, LinkState::Linked)
        );
        // One reader alone uses the history of them all.
        let only = done.look(Some(&ReaderId::MeUser));
        assert_eq!(assurance(&only), UNVERIFIED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_needs_three_looks_and_starts_again_after_a_change_a_failure_or_a_new_document() {
    let page = set(linked(), &[("/socket", Value::Null)]);
    let time = Duration::from_secs(6);
    let mut history = History::default();
    observe(&mut history, &page);
    advance(time).await;
    let second = observe(&mut history, &page);
    assert_eq!(assurance(&second.look(None)), PROVISIONAL);
    assert_eq!(second.due(), Some(Instant::now()));
    let third = observe(&mut history, &page);
    assert_eq!(assurance(&third.look(None)), UNVERIFIED);

    let other = with(page.clone(), ReaderId::MeUser, Some(OTHER), None);
    let reloaded = set(page.clone(), &[("/document", json!("2.5"))]);
    for interruption in [Some(other), None, Some(reloaded)] {
        match &interruption {
            Some(page) => drop(observe(&mut history, page)),
            None => history.interrupt(),
        }
        for _ in 0..3 {
            let again = observe(&mut history, &page);
            assert_eq!(
                assurance(&again.look(None)),
                PROVISIONAL,
                "{interruption:?}"
            );
        }
        advance(time).await;
        let done = observe(&mut history, &page);
        assert_eq!(assurance(&done.look(None)), UNVERIFIED, "{interruption:?}");
    }

    // A name that changes in passing does not matter.
    let mut history = History::default();
    for push_name in ["a", "b", "c"] {
        let named = set(page.clone(), &[("/pushName", json!(push_name))]);
        advance(time).await;
        observe(&mut history, &named);
    }
    let done = observe(&mut history, &page);
    assert_eq!(assurance(&done.look(None)), UNVERIFIED);
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_was_taken_back_counts_as_a_logout() {
    let mut history = History::default();
    observe(&mut history, &linked());
    history.interrupt();
    for changes in [
        vec![("/registered", json!(false))],
        vec![
            ("/registered", Value::Null),
            ("/storage/noise", json!(false)),
        ],
        vec![
            ("/registered", json!(false)),
            ("/socket/state", json!("UNLAUNCHED")),
        ],
    ] {
        let after = observe(&mut history, &set(linked(), &changes));
        let outcome = (after.look(None), after.link());
        assert_eq!(outcome, (Look::NotYet, LinkState::Unlinked), "{changes:?}");
    }
    // Another document knows nothing of it.
    let next = set(
        linked(),
        &[
            ("/document", json!("2.5")),
            ("/registered", json!(false)),
            ("/socket/state", json!("UNLAUNCHED")),
        ],
    );
    assert_eq!(observe(&mut history, &next).link(), LinkState::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_logout_mark_that_appears_ends_and_an_old_one_delays() {
    let marked = set(linked(), &[("/storage/postLogout", json!(true))]);
    let mut history = History::default();
    observe(&mut history, &linked());
    let after = observe(&mut history, &marked);
    assert_eq!(
        (after.look(None), after.link()),
        (Look::NotYet, LinkState::Unlinked)
    );

    let mut history = History::default();
    let early = observe(&mut history, &marked);
    assert_eq!(assurance(&early.look(None)), PROVISIONAL);
    advance(Duration::from_millis(2500)).await;
    observe(&mut history, &marked);
    advance(Duration::from_millis(2500)).await;
    let later = observe(&mut history, &marked);
    assert_eq!(
        (assurance(&later.look(None)), later.link()),
        (CONFIRMED, LinkState::Linked)
    );
    // Once it is gone, the next one is new.
    observe(&mut history, &linked());
    let again = observe(&mut history, &marked);
    assert_eq!(again.look(None), Look::NotYet);
}

#[tokio::test(start_paused = true)]
async fn a_page_without_a_boot_marker_counts_as_booted_twenty_seconds_after_it_has_loaded() {
    let unbooted = set(
        linked(),
        &[
            ("/isBooted", json!(false)),
            ("/isLoaded", json!(false)),
            ("/socket", Value::Null),
            ("/registered", Value::Null),
            ("/rows", json!({})),
        ],
    );
    let unbooted = with(
        unbooted,
        ReaderId::LastWidMd,
        Some("\"628110000041:12@c.us\""),
        None,
    );
    let mut history = History::default();
    assert_eq!(observe(&mut history, &unbooted).due(), None);
    advance(Duration::from_secs(30)).await;
    let loaded = set(unbooted, &[("/isLoaded", json!(true))]);
    let first = observe(&mut history, &loaded);
    assert_eq!(first.due(), Some(Instant::now() + BOOT_TIME));
    let Look::Found(me) = first.look(None) else {
        panic!("its storage is readable");
    };
    assert_eq!(
        me.pending,
        Some(Pending::new(
            Evidence::Boot.missing(),
            BOOT_TIME,
            Assurance::Confirmed
        ))
    );
    advance(Duration::from_secs(19)).await;
    assert_eq!(history.booted_document(), None);
    history.interrupt();
    advance(Duration::from_secs(1)).await;
    assert_eq!(history.booted_document(), Some("1.5"));
    // A logged-out page that has not booted gives nothing, and does not count as logged out.
    let storage = json!({"noise": false, "me": true, "postLogout": false});
    let left = set(loaded, &[("/storage", storage)]);
    let observation = first_look(&left);
    assert_eq!(
        (observation.look(None), observation.link()),
        (Look::NotYet, LinkState::Unknown)
    );
}

/// A linked page of which only the storage is readable yet.
fn unbooted() -> Value {
    let page = set(
        linked(),
        &[
            ("/isBooted", json!(false)),
            ("/socket", Value::Null),
            ("/registered", Value::Null),
            ("/rows", json!({})),
        ],
    );
    let stored = Some("\"628110000041:12@c.us\"");
    with(page, ReaderId::LastWidMd, stored, None)
}

#[tokio::test(start_paused = true)]
async fn no_count_runs_before_the_boot() {
    let mut history = History::default();
    for _ in 0..4 {
        observe(&mut history, &unbooted());
        advance(Duration::from_secs(2)).await;
    }
    let booted = set(linked(), &[("/socket", Value::Null)]);
    let first = observe(&mut history, &booted);
    assert_eq!(assurance(&first.look(None)), PROVISIONAL);
    assert_eq!(first.due(), Some(Instant::now() + MISSING_TIME));
}

#[tokio::test(start_paused = true)]
async fn a_page_stays_booted_when_its_marker_goes() {
    let mut history = History::default();
    observe(&mut history, &linked());
    assert_eq!(history.booted_document(), Some("1.5"));
    let next = set(unbooted(), &[("/document", json!("2.5"))]);
    observe(&mut history, &next);
    assert_eq!(history.booted_document(), None);
}

#[tokio::test(start_paused = true)]
async fn time_never_comes_due_twice_for_a_boot() {
    let loaded_for = Duration::from_secs(25);
    let old = json!({"noise": false, "me": true});
    let old = set(old_page(), &[("/storage", old)]);
    for page in [unbooted(), old] {
        let mut history = History::default();
        observe(&mut history, &page);
        advance(loaded_for).await;
        let loading = set(page, &[("/isLoaded", json!(false))]);
        let later = observe(&mut history, &loading);
        assert_eq!(later.due(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_logout_mark_is_remembered_after_the_storage_is_cleared() {
    let old = with(old_page(), ReaderId::ConnWid, Some(ME), None);
    let mut history = History::default();
    for (me, post_logout) in [(true, false), (true, true), (false, false)] {
        let storage = json!({"noise": false, "me": me, "postLogout": post_logout});
        let page = set(old.clone(), &[("/storage", storage)]);
        let observation = observe(&mut history, &page);
        let outcome = (observation.look(None), observation.link());
        assert_eq!(outcome, (Look::NotYet, LinkState::Unlinked));
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_too_long_is_a_text_all_the_same() {
    let page = set(linked(), &[("/socket/state", json!({"length": 300}))]);
    let mut history = History::default();
    for _ in 0..4 {
        let observation = observe(&mut history, &page);
        assert_eq!(assurance(&observation.look(None)), PROVISIONAL);
        advance(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_logout_mark_does_not_hide_a_conflict() {
    let changes = [
        ("/storage/postLogout", json!(true)),
        ("/socket/state", json!("CONFLICT")),
    ];
    let observation = first_look(&set(linked(), &changes));
    assert_eq!(observation.link(), LinkState::Barred(Bar::Conflict));
    assert_eq!(observation.due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_connected_page_without_a_readable_account_is_linked() {
    let observation = first_look(&page());
    let outcome = (observation.look(None), observation.link());
    assert_eq!(outcome, (Look::NotYet, LinkState::Linked));
}
