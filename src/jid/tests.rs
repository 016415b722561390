//! JIDs: grammar, masks, who is who.

use super::*;
use crate::text::JID_SERVERS;
use proptest::prelude::*;

#[test]
fn the_grammar_of_every_part() {
    for (text, user, agent, device, server) in [
        ("628110000041@c.us", "628110000041", None, None, Server::CUs),
        (
            "628110000041:12@c.us",
            "628110000041",
            None,
            Some(12),
            Server::CUs,
        ),
        (
            "628110000041.0:12@s.whatsapp.net",
            "628110000041",
            Some(0),
            Some(12),
            Server::SWhatsAppNet,
        ),
        (
            "628110000041_1@c.us",
            "628110000041",
            Some(1),
            None,
            Server::CUs,
        ),
        (
            "628110000041_1:3@c.us",
            "628110000041",
            Some(1),
            Some(3),
            Server::CUs,
        ),
        (
            "628110000041:99@hosted",
            "628110000041",
            None,
            Some(99),
            Server::Hosted,
        ),
        (
            "120363000000000000@g.us",
            "120363000000000000",
            None,
            None,
            Server::GUs,
        ),
        (
            "6281-1600000000@g.us",
            "6281-1600000000",
            None,
            None,
            Server::GUs,
        ),
        ("status@broadcast", "status", None, None, Server::Broadcast),
    ] {
        let jid = Jid::parse(text).unwrap();
        assert_eq!(
            (
                jid.user(),
                jid.agent(),
                jid.device(),
                jid.server(),
                jid.reveal()
            ),
            (user, agent, device, server, text)
        );
    }
}

#[test]
fn each_rule_is_named() {
    use JidError as E;
    let long = format!("{}@c.us", "6".repeat(200));
    for (text, error) in [
        ("", E::Empty),
        ("null", E::NullText),
        ("undefined", E::NullText),
        (&long, E::TooLong { len: 205 }),
        ("628110000041", E::NoServer),
        ("628110000041@example.org", E::UnknownServer),
        ("628110000041@c.us@c.us", E::UnknownServer),
        ("628110000041@C.US", E::UnknownServer),
        ("@c.us", E::NoUser),
        (":1@c.us", E::NoUser),
        ("62811 0@c.us", E::BadUser),
        ("٦٢٨١١@c.us", E::BadUser),
        ("62811.x@c.us", E::BadAgent),
        ("62811.256@c.us", E::BadAgent),
        ("62811.1_1@c.us", E::BadAgent),
        ("62811:@c.us", E::BadDevice),
        ("62811:+1@c.us", E::BadDevice),
        ("62811:1:2@c.us", E::BadDevice),
        ("62811:65536@c.us", E::BadDevice),
    ] {
        assert_eq!(Jid::parse(text), Err(error), "{text}");
    }
}

#[test]
fn foreign_text_is_masked_for_every_server() {
    assert!(
        Server::ALL
            .iter()
            .map(|server| server.as_str())
            .eq(JID_SERVERS.iter().copied())
    );
}

#[test]
fn only_people_by_number_have_a_phone_number() {
    for server in Server::ALL {
        let jid = Jid::parse(&format!("628110000041@{server}")).unwrap();
        assert_eq!(
            jid.phone_number().is_ok(),
            server.has_phone_numbers(),
            "{server}"
        );
        assert_eq!(server.as_str().parse(), Ok(*server));
    }
    for own in [
        "0@c.us",
        "server@c.us",
        "13135550002@c.us",
        "16505361212@s.whatsapp.net",
    ] {
        let jid = Jid::parse(own).unwrap();
        assert!(
            matches!(jid.phone_number(), Err(NotAPhoneNumber::User(_))),
            "{own}"
        );
    }
}

#[test]
fn accounts_are_compared_across_servers_and_devices_but_never_with_lids() {
    let jid = |text| Jid::parse(text).unwrap();
    let web = jid("628110000041@c.us");
    assert!(web.same_account(&jid("628110000041.0:12@s.whatsapp.net")));
    assert!(!web.same_account(&jid("628110000042@c.us")));
    assert!(!web.same_account(&jid("628110000041@lid")));
    assert!(jid("1234@lid").same_account(&jid("1234:3@hosted.lid")));
}

#[test]
fn printing_masks() {
    let jid = Jid::parse("628110000041:12@c.us").unwrap();
    assert_eq!(
        format!("{jid} {jid:?}"),
        "62********41:12@c.us Jid(62********41:12@c.us)"
    );
}

#[test]
fn values_of_other_types_are_refused_without_a_word_of_them() {
    for json in ["628110000041", "12345", "-1.5", "true", "[12345]"] {
        let error = serde_json::from_str::<Jid>(json).unwrap_err().to_string();
        assert_eq!(error, "a JID is a string, user@server; write it in quotes");
    }
    let error = serde_json::from_str::<Jid>("\"12345@example.org\"").unwrap_err();
    assert!(!error.to_string().contains("12345"), "{error}");
}

proptest! {
    #[test]
    fn parsing_and_printing_round_trip(
        text in "[0-9]{1,20}([._][0-9]{1,2})?(:[0-9]{1,4})?@(c\\.us|s\\.whatsapp\\.net|lid|g\\.us|hosted\\.lid)"
    ) {
        let jid = Jid::parse(&text).unwrap();
        prop_assert_eq!(jid.reveal(), &text);
        let json = serde_json::to_string(&jid).unwrap();
        prop_assert_eq!(serde_json::from_str::<Jid>(&json).unwrap(), jid);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Jid::parse(&text);
    }

    #[test]
    fn no_text_with_a_server_panics(text in "[0-9a-z.:_@-]{0,40}@(c\\.us|lid)") {
        let _ = Jid::parse(&text).map(|jid| jid.phone_number());
    }
}
