//! Decisions on envelopes, without a browser.

use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::source::page::readers::READERS;

const ME: &str = "628110000041@c.us";
const OTHER: &str = "628990000099@c.us";
const LID: &str = "123456789012345@lid";

/// A current page, registered, connected and synced, without any reader's answer.
fn page() -> Value {
    json!({
        "origin": "https://web.whatsapp.com",
        "document": 1.5,
        "rows": {},
        "socket": {"state": "CONNECTED", "synced": true},
        "registered": true,
        "storage": {"noise": true, "me": true, "postLogout": false},
        "isCurrent": true,
        "isBooted": true,
        "isLoaded": true,
    })
}

/// An old generation: no evidence at all.
fn old_page() -> Value {
    let mut page = page();
    page["socket"] = Value::Null;
    page["registered"] = Value::Null;
    page["isCurrent"] = json!(false);
    page["storage"] = json!({"noise": false, "me": false});
    page
}

/// Adds this answer of a reader: its number's getter, its LID's getter.
fn with(mut page: Value, id: ReaderId, number: Option<&str>, lid: Option<&str>) -> Value {
    let wid =
        |text: Option<&str>| text.map_or(json!({"nobody": true}), |text| json!({"jid": text}));
    page["rows"][place(id)] = json!({"number": wid(number), "lid": wid(lid)});
    page
}

fn place(id: ReaderId) -> String {
    let place = READERS.iter().position(|row| row.id == id);
    place.unwrap().to_string()
}

/// A linked page with its number and LID.
fn linked() -> Value {
    with(page(), ReaderId::MeUser, Some(ME), Some(LID))
}

fn set(mut page: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        match page.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => page[pointer.trim_start_matches('/')] = value.clone(),
        }
    }
    page
}

fn envelope(page: Value) -> Envelope {
    serde_json::from_value(page).unwrap()
}

fn observe(history: &mut History, page: &Value) -> Observation {
    Observation::new(envelope(page.clone()), history)
}

fn first_look(page: &Value) -> Observation {
    observe(&mut History::default(), page)
}

/// Assurance of the number or LID, if there is one.
fn assurance(look: &Look) -> Option<Assurance> {
    match look {
        Look::Found(me) | Look::LidOnly(me) => Some(me.assurance),
        Look::NotYet | Look::Conflict => None,
    }
}

#[track_caller]
fn found(page: &Value) -> Identity {
    match first_look(page).look(None) {
        Look::Found(me) => me,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_nothing(page: &Value) {
    assert_eq!(first_look(page).look(None), Look::NotYet, "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_live_reader_is_believed_and_its_jid_has_no_device() {
    use ReaderId::*;
    let both = with(
        with(old_page(), ConnMe, Some(ME), None),
        StoreUser,
        Some("628110000041:12@s.whatsapp.net"),
        None,
    );
    let me = found(&both);
    assert_eq!(
        (me.reader.as_ref(), me.jid.unwrap().reveal()),
        ("Store.User", "628110000041@s.whatsapp.net")
    );
    let device = with(page(), MeUser, Some("628110000041:12@c.us"), Some(LID));
    assert_eq!(found(&device).jid.unwrap().reveal(), ME);
}

#[tokio::test(start_paused = true)]
async fn two_live_accounts_are_a_conflict_and_storage_cannot_contradict() {
    use ReaderId::*;
    let two = with(linked(), StoreUser, Some(OTHER), None);
    assert_eq!(first_look(&two).look(None), Look::Conflict);
    let stored = with(linked(), LastWidMd, Some("\"628990000099:1@c.us\""), None);
    assert_eq!(found(&stored).phone.unwrap().reveal(), "628110000041");
    // A page that is logged out gives not even a conflict.
    let logged_out = set(two, &[("/registered", json!(false))]);
    assert_nothing(&logged_out);
}

#[tokio::test(start_paused = true)]
async fn storage_counts_only_while_the_device_is_registered() {
    let stored = with(
        page(),
        ReaderId::LastWidMd,
        Some("\"628110000041:12@c.us\""),
        Some("\"123456789012345@lid\""),
    );
    let me = found(&stored);
    assert_eq!(
        (me.reader.as_ref(), me.lid.is_some()),
        ("localStorage.last-wid-md", true)
    );
    let renamed_test = set(stored.clone(), &[("/registered", Value::Null)]);
    assert_eq!(found(&renamed_test).assurance, Assurance::Confirmed);
    for unregistered in [
        set(stored.clone(), &[("/registered", json!(false))]),
        set(renamed_test, &[("/storage/noise", json!(false))]),
    ] {
        assert_nothing(&unregistered);
    }
    // A live "nobody" outweighs storage; an unreadable answer does not.
    assert_nothing(&with(stored.clone(), ReaderId::MeUser, None, None));
    let mut unreadable = with(stored.clone(), ReaderId::MeUser, None, None);
    unreadable["rows"][place(ReaderId::MeUser)]["number"] = json!({"user": null});
    assert_eq!(found(&unreadable).reader, "localStorage.last-wid-md");
    // Without its quotes it is half-written.
    for half in ["628110000041:12@c.us", "\"628110"] {
        assert_nothing(&with(page(), ReaderId::LastWidMd, Some(half), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_reader_that_says_nobody_outweighs_older_ones() {
    use ReaderId::*;
    let nobody = with(old_page(), StoreUser, None, None);
    assert_nothing(&with(nobody.clone(), ConnMe, Some(ME), None));
    let newer = with(nobody, WppConn, Some(ME), None);
    assert_eq!(found(&newer).reader, "WPP.conn");
}

#[tokio::test(start_paused = true)]
async fn the_stored_lid_counts_only_beside_its_own_number() {
    let me = with(page(), ReaderId::MeUser, Some(ME), None);
    let stored = Some("\"123456789012345@lid\"");
    for (number, expected) in [
        (Some("\"628990000099:3@c.us\""), false),
        (None, false),
        (Some("\"628110000041:3@c.us\""), true),
    ] {
        let page = with(me.clone(), ReaderId::LastWidMd, number, stored);
        assert_eq!(found(&page).lid.is_some(), expected, "{number:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lid_is_never_a_number() {
    use ReaderId::*;
    for page in [
        with(page(), MeUser, None, Some(LID)),
        with(old_page(), StoreUser, Some(LID), None),
    ] {
        let look = first_look(&page).look(None);
        assert!(
            matches!(&look, Look::LidOnly(me) if me.phone.is_none() && me.lid.is_some()),
            "{look:?}"
        );
    }
    let both = with(
        with(old_page(), WppConn, Some(LID), None),
        StoreUser,
        Some(ME),
        None,
    );
    assert!(found(&both).lid.is_some());
}

#[tokio::test(start_paused = true)]
async fn accounts_of_nobody_are_nothing() {
    for text in [
        "",
        "null",
        "undefined",
        "6281",
        "12036@g.us",
        "0@c.us",
        "server@c.us",
        "13135550002@c.us",
        "62811x@c.us",
    ] {
        assert_nothing(&with(page(), ReaderId::MeUser, Some(text), None));
    }
    let mut long = with(page(), ReaderId::MeUser, None, None);
    long["rows"][place(ReaderId::MeUser)]["number"] = json!({"jid": {"length": 5e7}});
    assert_nothing(&long);
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_server_counts_only_for_readers_older_than_lids() {
    let bare = |id| {
        let mut page = with(old_page(), id, None, None);
        page["rows"][place(id)]["number"] = json!({"jid": null, "user": "628110000041"});
        first_look(&page).look(None)
    };
    assert!(matches!(bare(ReaderId::ConnMe), Look::Found(_)));
    assert_eq!(bare(ReaderId::StoreUser), Look::NotYet);
    assert_eq!(bare(ReaderId::MeUser), Look::NotYet);
}

#[tokio::test(start_paused = true)]
async fn one_reader_alone_ignores_the_others() {
    let page = with(linked(), ReaderId::StoreUser, Some(OTHER), None);
    let look = first_look(&page).look(Some(ReaderId::StoreUser));
    assert!(
        matches!(&look, Look::Found(me) if me.reader == "Store.User"),
        "{look:?}"
    );
    let none = first_look(&page).look(Some(ReaderId::ConnMe));
    assert_eq!(none, Look::NotYet);
}

const NONE: Option<Assurance> = None;
const PROVISIONAL: Option<Assurance> = Some(Assurance::Provisional);
const UNVERIFIED: Option<Assurance> = Some(Assurance::Unverified);
const CONFIRMED: Option<Assurance> = Some(Assurance::Confirmed);

/// First looks at a page with a number: what differs from a linked one, its assurance and link state.
#[tokio::test(start_paused = true)]
async fn first_looks() {
    use LinkState::*;
    let state = |state: &str| ("/socket/state", json!(state));
    let unsynced = ("/socket/synced", Value::Null);
    let unregistered = ("/registered", json!(false));
    let unbooted = [
        ("/isBooted", json!(false)),
        ("/socket", Value::Null),
        ("/registered", Value::Null),
    ];
    type Row<'a> = (&'a [(&'a str, Value)], Option<Assurance>, LinkState);
    let table: [Row<'_>; 24] = [
        (&[], CONFIRMED, Linked),
        (&[("/registered", Value::Null)], CONFIRMED, Linked),
        (std::slice::from_ref(&unsynced), PROVISIONAL, Unknown),
        (&[("/socket/synced", json!(false))], PROVISIONAL, Linking),
        (&[("/socket/state", Value::Null)], PROVISIONAL, Unknown),
        (&[("/socket", Value::Null)], PROVISIONAL, Unknown),
        (
            &[state("UNLAUNCHED"), unsynced.clone()],
            PROVISIONAL,
            Unknown,
        ),
        (&[state("OPENING"), unsynced.clone()], PROVISIONAL, Linking),
        (&[state("PAIRING"), unsynced.clone()], PROVISIONAL, Linking),
        // The number is readable before the restart after pairing.
        (&[state("UNPAIRED"), unsynced.clone()], PROVISIONAL, Linking),
        (&[state("CONFLICT")], PROVISIONAL, Barred(Bar::Conflict)),
        (&[state("PROXYBLOCK")], PROVISIONAL, Barred(Bar::ProxyBlock)),
        (&[state("TOS_BLOCK")], PROVISIONAL, Barred(Bar::TosBlock)),
        (
            &[state("SMB_TOS_BLOCK")],
            PROVISIONAL,
            Barred(Bar::TosBlock),
        ),
        (&[state("SCREEN_LOCKED")], PROVISIONAL, Linked),
        (&[state("SOMETHING_NEW")], PROVISIONAL, Linking),
        (&unbooted, PROVISIONAL, Unknown),
        (std::slice::from_ref(&unregistered), NONE, Unlinked),
        (&[unregistered.clone(), state("UNPAIRED")], NONE, Unlinked),
        (
            &[unregistered.clone(), state("UNPAIRED_IDLE")],
            NONE,
            QrExpired,
        ),
        (&[unregistered.clone(), state("UNLAUNCHED")], NONE, Unknown),
        (
            &[("/storage/postLogout", json!(true))],
            PROVISIONAL,
            Unknown,
        ),
        (
            &[
                ("/storage/postLogout", json!(true)),
                ("/storage/noise", json!(false)),
                ("/registered", Value::Null),
            ],
            PROVISIONAL,
            Linking,
        ),
        (
            &[
                ("/storage/noise", json!(false)),
                ("/registered", Value::Null),
            ],
            PROVISIONAL,
            Unknown,
        ),
    ];
    for (changes, expected, link) in table {
        let observation = first_look(&set(linked(), changes));
        let look = observation.look(None);
        assert_eq!(
            (assurance(&look), observation.link()),
            (expected, link),
            "{changes:?}"
        );
        // A LID alone follows the same table.
        let lid = with(page(), ReaderId::MeUser, None, Some(LID));
        let look = first_look(&set(lid, changes)).look(None);
        let is_lid = matches!(look, Look::LidOnly(_)) || expected.is_none();
        assert!(is_lid, "{changes:?}: {look:?}");
    }
}

/// First looks at a page without any account.
#[tokio::test(start_paused = true)]
async fn first_looks_without_an_account() {
    use LinkState::*;
    let nobody = with(page(), ReaderId::MeUser, None, None);
    let nobody = set(
        nobody,
        &[("/storage", json!({"noise": false, "me": false}))],
    );
    for (registered, state, expected) in [
        (json!(false), "UNPAIRED", Unlinked),
        (Value::Null, "UNPAIRED", Unlinked),
        (Value::Null, "UNPAIRED_IDLE", QrExpired),
        (Value::Null, "OPENING", Unknown),
        (Value::Null, "PAIRING", Unknown),
        (Value::Null, "UNLAUNCHED", Unknown),
        (json!(false), "UNLAUNCHED", Unknown),
        (json!(false), "OPENING", Unlinked),
    ] {
        let changes = [
            ("/registered", registered.clone()),
            ("/socket/state", json!(state)),
            ("/socket/synced", Value::Null),
        ];
        let observation = first_look(&set(nobody.clone(), &changes));
        let outcome = (observation.look(None), observation.link());
        assert_eq!(outcome, (Look::NotYet, expected), "{registered} {state}");
    }
}

/// Old generations give what they have at once, unless their storage tells of a logout.
#[tokio::test(start_paused = true)]
async fn old_generations() {
    let old = with(old_page(), ReaderId::ConnMe, Some(ME), None);
    let outcome = |page: &Value| {
        let observation = first_look(page);
        (assurance(&observation.look(None)), observation.link())
    };
    assert_eq!(outcome(&old), (UNVERIFIED, LinkState::Linked));
    assert_eq!(outcome(&old_page()), (NONE, LinkState::Unknown));
    for (noise, me, post_logout, expected) in [
        (true, true, false, (UNVERIFIED, LinkState::Linked)),
        (false, true, false, (NONE, LinkState::Unlinked)),
        (false, false, true, (NONE, LinkState::Unlinked)),
        (true, true, true, (PROVISIONAL, LinkState::Unknown)),
    ] {
        let storage = json!({"noise": noise, "me": me, "postLogout": post_logout});
        let page = set(old.clone(), &[("/storage", storage)]);
        assert_eq!(outcome(&page), expected, "{noise} {me} {post_logout}");
    }
    // A page that still loads may be a current one that has renamed its noise key.
    let loading = [
        ("/storage", json!({"noise": false, "me": true})),
        ("/isLoaded", json!(false)),
    ];
    let outcome = outcome(&set(old_page(), &loading));
    assert_eq!(outcome, (NONE, LinkState::Unknown));
}

/// What counts, for how long, and what is missing then.
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
        assert_eq!(me.pending, Some(Pending::new(missing.missing(), total)));
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
        let only = done.look(Some(ReaderId::MeUser));
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
    let reloaded = set(page.clone(), &[("/document", json!(2.5))]);
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
            ("/document", json!(2.5)),
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
        Some(Pending::new(Evidence::Boot.missing(), BOOT_TIME))
    );
    advance(Duration::from_secs(19)).await;
    assert_eq!(history.booted_by_age(), None);
    history.interrupt();
    advance(Duration::from_secs(1)).await;
    assert_eq!(history.booted_by_age(), Some(1.5));
    // A logged-out page that has not booted gives nothing, and does not count as logged out.
    let storage = json!({"noise": false, "me": true, "postLogout": false});
    let left = set(loaded, &[("/storage", storage)]);
    let observation = first_look(&left);
    assert_eq!(
        (observation.look(None), observation.link()),
        (Look::NotYet, LinkState::Unknown)
    );
}
