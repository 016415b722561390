//! The account of a page: the readers' answers, compared.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_newest_live_reader_gives_the_jid_without_its_device() {
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
    // A live `nobody` outweighs storage; an unreadable answer does not.
    assert_nothing(&with(stored.clone(), ReaderId::MeUser, None, None));
    let mut unreadable = with(stored.clone(), ReaderId::MeUser, None, None);
    unreadable["rows"][place(&ReaderId::MeUser)]["number"] = json!({"user": null});
    assert_eq!(found(&unreadable).reader, "localStorage.last-wid-md");
    // Without its quotes it is half-written.
    for half in ["628110000041:12@c.us", "\"628110"] {
        assert_nothing(&with(page(), ReaderId::LastWidMd, Some(half), None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_reader_without_an_account_outweighs_older_ones() {
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
async fn empty_accounts_are_ignored() {
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
    long["rows"][place(&ReaderId::MeUser)]["number"] = json!({"jid": {"length": 5e7}});
    assert_nothing(&long);
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_server_counts_only_for_readers_older_than_lids() {
    let bare = |id: ReaderId| {
        let mut page = with(old_page(), id.clone(), None, None);
        page["rows"][place(&id)]["number"] = json!({"jid": null, "user": "628110000041"});
        first_look(&page).look(None)
    };
    assert!(matches!(bare(ReaderId::ConnMe), Look::Found(_)));
    assert_eq!(bare(ReaderId::StoreUser), Look::NotYet);
    assert_eq!(bare(ReaderId::MeUser), Look::NotYet);
}

#[tokio::test(start_paused = true)]
async fn one_reader_alone_ignores_the_others() {
    let page = with(linked(), ReaderId::StoreUser, Some(OTHER), None);
    let look = first_look(&page).look(Some(&ReaderId::StoreUser));
    assert!(
        matches!(&look, Look::Found(me) if me.reader == "Store.User"),
        "{look:?}"
    );
    let none = first_look(&page).look(Some(&ReaderId::ConnMe));
    assert_eq!(none, Look::NotYet);
}
