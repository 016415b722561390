//! What is made of envelopes, without a browser.

use serde_json::{Value, json};

use super::*;

const ME: &str = "628110000041@c.us";
const OTHER: &str = "628990000099@c.us";
const LID: &str = "123456789012345@lid";

/// An envelope with these rows: reader, what its first getter gave, what its second.
fn envelope(rows: &[(ReaderId, Option<&str>, Option<&str>)]) -> Value {
    let wid =
        |text: Option<&str>| text.map_or(json!({"nobody": true}), |text| json!({"jid": text}));
    let rows = rows.iter().map(|(id, first, second)| {
        let place = READERS.iter().position(|row| row.id == *id).unwrap();
        (
            place.to_string(),
            json!({"first": wid(*first), "second": wid(*second)}),
        )
    });
    json!({
        "origin": "https://web.whatsapp.com",
        "rows": rows.collect::<serde_json::Map<_, _>>(),
        "storage": {"noise": true, "me": true, "postLogout": null},
        "isLoaded": true,
    })
}

fn look(envelope: Value) -> Look {
    decide(&Envelope::read(envelope).unwrap(), None)
}

#[track_caller]
fn found(envelope: Value) -> Identity {
    match look(envelope) {
        Look::Found(me) => me,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_live_reader_is_believed() {
    use ReaderId::*;
    let me = found(envelope(&[
        (ConnMe, Some(ME), None),
        (StoreUser, Some(ME), None),
    ]));
    assert_eq!(
        (me.reader.as_ref(), me.phone.unwrap().reveal()),
        ("Store.User", "628110000041")
    );
    // A device and another spelling of the server are the same account.
    let same = Some("628110000041:12@s.whatsapp.net");
    assert_eq!(
        found(envelope(&[
            (MeUser, Some(ME), Some(LID)),
            (ConnMe, same, None)
        ]))
        .reader,
        "WAWebUserPrefsMeUser"
    );
}

#[test]
fn two_live_accounts_are_a_conflict_and_storage_is_no_rival() {
    use ReaderId::*;
    assert_eq!(
        look(envelope(&[
            (MeUser, Some(ME), None),
            (StoreUser, Some(OTHER), None)
        ])),
        Look::Conflict
    );
    let stored = Some("\"628990000099:1@c.us\"");
    let me = found(envelope(&[
        (MeUser, Some(ME), None),
        (LastWidMd, stored, None),
    ]));
    assert_eq!(me.phone.unwrap().reveal(), "628110000041");
}

#[test]
fn storage_is_believed_by_its_rule_only() {
    let stored = (
        ReaderId::LastWidMd,
        Some("\"628110000041:12@c.us\""),
        Some("\"123456789012345@lid\""),
    );
    let me = found(envelope(&[stored]));
    assert_eq!(
        (me.reader.as_ref(), me.lid.is_some()),
        ("localStorage.last-wid-md", true)
    );

    for (noise, post_logout) in [
        (false, Value::Null),
        (true, json!("1")),
        (false, json!("1")),
    ] {
        let mut logged_out = envelope(&[stored]);
        logged_out["storage"] = json!({"noise": noise, "me": true, "postLogout": post_logout});
        assert_eq!(look(logged_out), Look::NotYet);
    }
    // A getter that has nobody is better evidence; one that threw is none.
    let nobody = (ReaderId::MeUser, None, None);
    assert_eq!(look(envelope(&[nobody, stored])), Look::NotYet);
    let mut threw = envelope(&[nobody, stored]);
    threw["rows"]["0"] = json!({});
    assert_eq!(found(threw).reader, "localStorage.last-wid-md");
    // It has spoken even if the LID's getter threw.
    let mut half = envelope(&[nobody, stored]);
    half["rows"]["0"] = json!({"first": {"nobody": true}});
    assert_eq!(look(half), Look::NotYet);
    // While a page loads, its storage is all there is.
    let mut loading = envelope(&[stored]);
    loading["isLoaded"] = json!(false);
    assert_eq!(look(loading.clone()), Look::NotYet);
    loading["socket"] = json!({"state": "CONNECTED", "synced": true});
    assert_eq!(found(loading).assurance, Assurance::Confirmed);
    // So is one that gave something unreadable, a Proxy for instance.
    let mut unreadable = envelope(&[nobody, stored]);
    unreadable["rows"]["0"]["first"] = json!({"user": null});
    assert_eq!(found(unreadable).reader, "localStorage.last-wid-md");
    // Without its quotes it is half-written.
    let bare = (ReaderId::LastWidMd, Some("628110000041:12@c.us"), None);
    let cut = (ReaderId::LastWidMd, Some("\"628110"), None);
    assert_eq!(
        (look(envelope(&[bare])), look(envelope(&[cut]))),
        (Look::NotYet, Look::NotYet)
    );
}

#[test]
fn a_page_that_is_logging_out_is_not_believed_though_its_getters_still_answer() {
    let mut page = envelope(&[(ReaderId::MeUser, Some(ME), None)]);
    page["storage"] = json!({"noise": false, "me": true, "postLogout": null});
    assert_eq!(look(page.clone()), Look::NotYet);
    // An old generation has neither key.
    page["storage"] = json!({"noise": false, "me": false, "postLogout": null});
    assert!(matches!(look(page), Look::Found(_)));
}

#[test]
fn the_mark_of_a_former_logout_does_not_outweigh_a_connection() {
    let mut page = envelope(&[(ReaderId::MeUser, Some(ME), None)]);
    page["storage"] = json!({"noise": true, "me": true, "postLogout": "1"});
    assert_eq!(look(page.clone()), Look::NotYet);
    page["socket"] = json!({"state": "CONNECTED", "synced": true});
    assert!(matches!(look(page), Look::Found(_)));
}

#[test]
fn a_newer_reader_that_says_nobody_stands_above_older_ones() {
    use ReaderId::*;
    let nobody = (MeUser, None, None);
    assert_eq!(
        look(envelope(&[nobody, (WppConn, Some(ME), None)])),
        Look::NotYet
    );
    assert_eq!(
        look(envelope(&[nobody, (ConnMe, Some(ME), None)])),
        Look::NotYet
    );
    assert_eq!(
        found(envelope(&[(WppConn, Some(ME), None), (ConnMe, None, None)])).reader,
        "WPP.conn"
    );
}

#[test]
fn the_lid_of_an_account_before_is_not_taken_from_storage() {
    use ReaderId::*;
    let former = (
        LastWidMd,
        Some("\"628990000099:3@c.us\""),
        Some("\"123456789012345@lid\""),
    );
    assert_eq!(
        found(envelope(&[(MeUser, Some(ME), None), former])).lid,
        None
    );
    let orphaned = (LastWidMd, None, Some("\"123456789012345@lid\""));
    assert_eq!(
        found(envelope(&[(MeUser, Some(ME), None), orphaned])).lid,
        None
    );
    let own = (
        LastWidMd,
        Some("\"628110000041:3@c.us\""),
        Some("\"123456789012345@lid\""),
    );
    assert!(
        found(envelope(&[(MeUser, Some(ME), None), own]))
            .lid
            .is_some()
    );
}

#[test]
fn a_lid_is_never_a_number() {
    use ReaderId::*;
    let lid = look(envelope(&[(MeUser, None, Some(LID))]));
    assert!(
        matches!(&lid, Look::LidOnly(me) if me.phone.is_none() && me.lid.is_some()),
        "{lid:?}"
    );
    assert!(matches!(
        look(envelope(&[(StoreUser, Some(LID), None)])),
        Look::LidOnly(_)
    ));
    let both = found(envelope(&[
        (WppConn, Some(LID), None),
        (StoreUser, Some(ME), None),
    ]));
    assert!(both.lid.is_some());
}

#[test]
fn what_is_no_account_of_a_person_is_nothing() {
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
        assert_eq!(
            look(envelope(&[(ReaderId::MeUser, Some(text), None)])),
            Look::NotYet,
            "{text}"
        );
    }
    let mut long = envelope(&[(ReaderId::MeUser, None, None)]);
    long["rows"]["0"]["first"] = json!({"jid": {"length": 5e7}});
    assert_eq!(look(long), Look::NotYet);
}

#[test]
fn a_user_without_a_server_counts_only_where_lids_did_not_exist() {
    let bare = |id| {
        let mut page = envelope(&[(id, None, None)]);
        let place = READERS
            .iter()
            .position(|row| row.id == id)
            .unwrap()
            .to_string();
        page["rows"][&place]["first"] = json!({"jid": null, "user": "628110000041"});
        look(page)
    };
    assert!(matches!(bare(ReaderId::ConnMe), Look::Found(_)));
    assert_eq!(bare(ReaderId::StoreUser), Look::NotYet);
    assert_eq!(bare(ReaderId::MeUser), Look::NotYet);
}

#[test]
fn assurance_follows_the_pages_own_word() {
    use Assurance::*;
    for (socket, assurance) in [
        (Value::Null, Unverified),
        (json!({"state": null, "synced": null}), Provisional),
        (json!({"state": "CONNECTED", "synced": null}), Unverified),
        (json!({"state": "CONNECTED", "synced": true}), Confirmed),
        (json!({"state": "CONNECTED", "synced": false}), Provisional),
        (json!({"state": "PAIRING", "synced": true}), Provisional),
        (json!({"state": "OPENING", "synced": null}), Provisional),
        (
            json!({"state": {"length": 1e6}, "synced": true}),
            Provisional,
        ),
    ] {
        let mut page = envelope(&[(ReaderId::MeUser, Some(ME), None)]);
        page["socket"] = socket.clone();
        assert_eq!(found(page).assurance, assurance, "{socket}");
    }
}

#[test]
fn one_reader_alone_hears_no_other() {
    let page = envelope(&[
        (ReaderId::MeUser, Some(ME), None),
        (ReaderId::StoreUser, Some(OTHER), None),
    ]);
    let page = Envelope::read(page).unwrap();
    let one = decide(&page, Some(ReaderId::StoreUser));
    assert!(
        matches!(&one, Look::Found(me) if me.reader == "Store.User"),
        "{one:?}"
    );
    assert_eq!(decide(&page, Some(ReaderId::ConnMe)), Look::NotYet);
}

#[test]
fn what_is_no_envelope_is_a_failure_with_a_reason() {
    for (answer, code) in [
        (Value::Null, "no answer"),
        (json!("text"), "javascript error"),
        (json!({}), "javascript error"),
        (json!({"rows": [], "storage": 1}), "javascript error"),
    ] {
        assert_eq!(
            Envelope::read(answer.clone()).unwrap_err().code(),
            Some(code),
            "{answer}"
        );
    }
}

#[test]
fn how_far_a_page_is_linked() {
    use LinkState::*;
    use ReaderId::*;
    let link = |envelope: Value| link(&Envelope::read(envelope).unwrap());
    let state = |who: Option<&str>, state: &str, synced: bool| {
        let mut page = envelope(&[(MeUser, who, None)]);
        page["socket"] = json!({"state": state, "synced": synced});
        page["storage"]["me"] = json!(who.is_some());
        page
    };
    for (who, name, synced, expected) in [
        (None, "OPENING", false, Unknown),
        (None, "UNPAIRED", false, Unlinked),
        (None, "UNPAIRED_IDLE", false, Unlinked),
        (None, "PAIRING", false, Unknown),
        (Some(ME), "PAIRING", false, Linking),
        (Some(ME), "OPENING", true, Linking),
        (Some(LID), "CONNECTED", true, Linked),
        (Some(ME), "CONNECTED", false, Linking),
        (Some(ME), "CONNECTED", true, Linked),
        (Some(ME), "SCREEN_LOCKED", true, Linked),
        (Some(ME), "CONFLICT", true, Barred(Bar::Conflict)),
        (Some(ME), "TOS_BLOCK", true, Barred(Bar::TosBlock)),
        (Some(ME), "SMB_TOS_BLOCK", true, Barred(Bar::TosBlock)),
        (Some(ME), "PROXYBLOCK", true, Barred(Bar::ProxyBlock)),
        (Some(ME), "UNLAUNCHED", true, Barred(Bar::Unlaunched)),
        // The socket is the last to hear of a logout.
        (Some(ME), "UNPAIRED", true, Unlinked),
        (Some(ME), "SOMETHING_NEW", true, Linking),
    ] {
        assert_eq!(link(state(who, name, synced)), expected, "{name} {who:?}");
    }
    let mut logout = state(Some(ME), "CONNECTED", true);
    logout["storage"]["noise"] = json!(false);
    assert_eq!(link(logout), Unlinked);

    // The mark of a former logout outlives the next login; reconnecting is no unlinking.
    for (name, synced, expected) in [
        ("OPENING", true, Unknown),
        ("CONNECTED", false, Unknown),
        ("CONNECTED", true, Linked),
        ("UNPAIRED", false, Unlinked),
    ] {
        let mut marked = state(Some(ME), name, synced);
        marked["storage"]["postLogout"] = json!("1");
        assert_eq!(link(marked.clone()), expected, "{name}");
        marked["storage"]["noise"] = json!(false);
        assert_eq!(link(marked), Unlinked, "{name}");
    }

    // Without a model of the connection only a live reader tells, and never that nobody is there.
    let old = |rows: &[(ReaderId, Option<&str>, Option<&str>)]| {
        let mut page = envelope(rows);
        page["storage"] = json!({"noise": false, "me": false, "postLogout": null});
        page
    };
    assert_eq!(link(old(&[(ConnMe, Some(ME), None)])), Linked);
    assert_eq!(link(old(&[])), Unknown);
    let stored = Some("\"628110000041:12@c.us\"");
    let early = envelope(&[(LastWidMd, stored, None)]);
    assert_eq!(link(early.clone()), Unknown);
    assert_eq!(found(early).assurance, Assurance::Provisional);
}
