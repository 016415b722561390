//! Assurance and link state of a first look.

use super::*;

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
        (&[state("SCREEN_LOCKED")], PROVISIONAL, Linking),
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

/// Old generations give what they have at once, unless their storage shows a logout.
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
