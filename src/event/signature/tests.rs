use proptest::prelude::*;
use serde_json::Value;
use standardwebhooks::Webhook;

use super::*;

const OLD: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQt";
const NEW: &str = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXct";

fn keys(secrets: &str) -> SigningKeys {
    secrets.parse().unwrap()
}

fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn encoded(key: &[u8]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(key))
}

/// The headers as those of HTTP.
fn http(headers: &SignatureHeaders) -> axum::http::HeaderMap {
    let mut map = axum::http::HeaderMap::new();
    map.insert("webhook-id", headers.id.as_str().parse().unwrap());
    map.insert("webhook-timestamp", headers.timestamp.parse().unwrap());
    map.insert("webhook-signature", headers.signature.parse().unwrap());
    map
}

#[test]
fn the_published_vector_is_signed_and_verified() {
    let fixture = include_str!("../../../tests/fixtures/standard_webhooks.json");
    let vector: Value = serde_json::from_str(fixture).unwrap();
    let webhook = &vector["webhook"];
    let text = |of: &Value| of.as_str().unwrap().to_owned();
    let expected = SignatureHeaders {
        id: id(&text(&webhook["headers"]["webhook-id"])),
        timestamp: text(&webhook["headers"]["webhook-timestamp"]),
        signature: text(&webhook["headers"]["webhook-signature"]),
    };
    let keys = keys(&text(&webhook["secret"]));
    let body = text(&webhook["body_raw"]);
    let sent = at(1_649_367_553);
    assert_eq!(keys.sign(&expected.id, sent, body.as_bytes()), expected);
    assert_eq!(keys.verify(&expected, body.as_bytes(), sent), Ok(()));
}

proptest! {
    #[test]
    fn the_published_crate_verifies_our_signatures_and_we_verify_those_of_it(
        key in proptest::collection::vec(any::<u8>(), 24..=64),
        name in "[!-~&&[^.]]{1,128}",
        body: String,
    ) {
        let (ours, theirs) = (keys(&encoded(&key)), Webhook::new(&encoded(&key)).unwrap());
        // That crate reads the clock itself.
        let now = SystemTime::now();
        let body = body.as_bytes();
        let headers = ours.sign(&id(&name), now, body);
        prop_assert!(theirs.verify(body, &http(&headers)).is_ok());
        let seconds = unix_seconds(now);
        let signature = theirs.sign(&name, seconds.try_into().unwrap(), body).unwrap();
        let headers = SignatureHeaders { id: id(&name), timestamp: seconds.to_string(), signature };
        prop_assert_eq!(ours.verify(&headers, body, now), Ok(()));
    }

    #[test]
    fn a_changed_signature_header_or_body_is_refused(
        key in proptest::collection::vec(any::<u8>(), 24..=64),
        name in "[!-~&&[^.]]{2,64}",
        body in proptest::collection::vec(any::<u8>(), 1..200),
        place: proptest::sample::Index,
        change in 1_u8..128,
        what in 0..8,
    ) {
        let keys = keys(&encoded(&key));
        let now = at(1_800_000_000);
        let signed = keys.sign(&id(&name), now, &body);
        prop_assert_eq!(keys.verify(&signed, &body, now), Ok(()));
        let (mut headers, mut body) = (signed.clone(), body);
        let flipped = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let at = place.index(bytes.len());
            bytes[at] ^= change;
            String::from_utf8(bytes).unwrap()
        };
        let cut = |text: &str| text[..place.index(text.len())].to_owned();
        match what {
            0 => headers.signature = flipped(&headers.signature),
            1 => headers.signature = cut(&headers.signature),
            2 => headers.timestamp = flipped(&headers.timestamp),
            3 => headers.timestamp = cut(&headers.timestamp),
            4 => {
                let Ok(changed) = EventId::new(&flipped(&name)) else { return Ok(()) };
                headers.id = changed;
            }
            5 => {
                let at = place.index(body.len());
                body[at] ^= change;
            }
            6 => body.truncate(place.index(body.len())),
            // The same signed text, cut into other parts.
            _ => {
                headers.id = id(&format!("{name}.{}", headers.timestamp));
                let digits = body.iter().take_while(|byte| byte.is_ascii_digit()).count();
                headers.timestamp = String::from_utf8(body[..digits].to_vec()).unwrap();
            }
        }
        prop_assert!(keys.verify(&headers, &body, now).is_err(), "{headers:?}");
    }

    #[test]
    fn no_header_makes_it_panic(
        name in "\\PC{0,20}",
        timestamp in "\\PC{0,30}|[0-9]{1,30}",
        signature in "\\PC{0,60}|(v1,[A-Za-z0-9+/=]{0,50} ?){0,4}",
        body: Vec<u8>,
        now in 0_u64..1 << 40,
    ) {
        let id = EventId::new(&name).unwrap_or_else(|_| id("event"));
        let headers = SignatureHeaders { id, timestamp, signature };
        prop_assert!(keys(OLD).verify(&headers, &body, at(now)).is_err());
    }

    #[test]
    fn no_secret_makes_it_panic(secret in "(whsec_)?\\PC{0,100}") {
        let _ = secret.parse::<SigningKeys>();
    }
}

#[test]
fn the_separator_cannot_be_moved() {
    let now = at(1_800_000_000);
    let keys = keys(OLD);
    // The signed text is that of the id `a`, the timestamp 1800000000 and the body `1.{}` too.
    let signed = keys.sign(&id("a"), now, b"1.{}");
    let moved = SignatureHeaders {
        id: id("a.1800000000"),
        timestamp: "1".into(),
        ..signed
    };
    assert_eq!(keys.verify(&moved, b"{}", at(1)), Err(SignatureError::Id));
    // A foreign id with a full stop is signed by its hash, which stays the same.
    let foreign = keys.sign(&id("a.1"), now, b"{}");
    assert_eq!(keys.verify(&foreign, b"{}", now), Ok(()));
    assert_eq!(foreign, keys.sign(&id("a.1"), now, b"{}"));
    assert_ne!(foreign.id, keys.sign(&id("a.2"), now, b"{}").id);
}

#[test]
fn old_and_new_keys_overlap() {
    let now = at(1_800_000_000);
    let both = keys(&format!(" {NEW}\n{OLD} "));
    let headers = both.sign(&id("event"), now, b"{}");
    for receiver in [OLD, NEW] {
        assert_eq!(keys(receiver).verify(&headers, b"{}", now), Ok(()));
        let single = keys(receiver).sign(&id("event"), now, b"{}");
        assert_eq!(both.verify(&single, b"{}", now), Ok(()));
    }
    let other = keys(&encoded(&[7; 32]));
    let refused = Err(SignatureError::NoMatch);
    assert_eq!(other.verify(&headers, b"{}", now), refused);
    // Signatures of other versions are skipped.
    let (prefix, text) = headers.signature.split_at(3);
    for signature in [
        format!("v1a,{text}"),
        format!("v2,{text}"),
        text.to_owned(),
        String::new(),
    ] {
        let wrong = SignatureHeaders {
            signature: signature.split(' ').next().unwrap().to_owned(),
            ..headers.clone()
        };
        assert_eq!(keys(NEW).verify(&wrong, b"{}", now), refused, "{signature}");
        let signature = format!("{signature} v1a,x {prefix}{text}");
        let mixed = SignatureHeaders {
            signature,
            ..headers.clone()
        };
        assert_eq!(both.verify(&mixed, b"{}", now), Ok(()));
    }
}

#[test]
fn a_timestamp_may_be_five_minutes_off() {
    let now = 1_800_000_000_u64;
    let keys = keys(OLD);
    for (off, result) in [
        (-301, Err(SignatureError::Stale { seconds: 301 })),
        (-300, Ok(())),
        (300, Ok(())),
        (301, Err(SignatureError::Stale { seconds: 301 })),
    ] {
        let headers = keys.sign(
            &id("event"),
            at(now.checked_add_signed(off).unwrap()),
            b"{}",
        );
        assert_eq!(keys.verify(&headers, b"{}", at(now)), result, "{off}");
    }
    for text in [
        "",
        "+1800000000",
        "-1",
        "1800000000.0",
        "18446744073709551616",
        "١",
    ] {
        let headers = SignatureHeaders {
            timestamp: text.into(),
            ..keys.sign(&id("event"), at(now), b"{}")
        };
        assert_eq!(
            keys.verify(&headers, b"{}", at(now)),
            Err(SignatureError::Timestamp)
        );
    }
}

#[test]
fn secrets_that_are_too_short_or_of_another_form_are_refused() {
    for (secret, error) in [
        (String::new(), SecretError::Missing),
        (" \n".into(), SecretError::Missing),
        (
            "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQt".into(),
            SecretError::Prefix,
        ),
        (format!("{OLD} hunter2"), SecretError::Prefix),
        ("whsec_hunter2".into(), SecretError::Base64),
        (format!("{OLD}="), SecretError::Base64),
        ("whsec_".into(), SecretError::Length { bytes: 0 }),
        (encoded(&[1; 23]), SecretError::Length { bytes: 23 }),
        (encoded(&[1; 65]), SecretError::Length { bytes: 65 }),
    ] {
        let refused = secret.parse::<SigningKeys>().unwrap_err();
        assert_eq!(refused, error, "{secret}");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
    for length in [24, 64] {
        assert!(encoded(&vec![1; length]).parse::<SigningKeys>().is_ok());
    }
    assert_eq!(
        format!("{:?}", keys(&format!("{OLD} {NEW}"))),
        "SigningKeys(2)"
    );
}
