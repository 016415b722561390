//! Events as they are read and written, and the sinks of this module.

mod reference;

use futures_util::StreamExt;

use super::channel::channel;
use super::*;
use crate::phone::{PhoneNumber, PhoneNumberError};
use crate::source::Assurance;

const PHONE: &str = "628110000041";

fn key() -> SessionKey {
    SessionKey::new(7, "session-1").unwrap()
}

fn phone() -> PhoneNumber {
    PHONE.parse().unwrap()
}

fn read(json: &str) -> Result<SessionEvent, EventError> {
    SessionEvent::from_json(json.as_bytes())
}

fn value(event: &SessionEvent) -> Value {
    serde_json::from_str(&event.to_json()).unwrap()
}

/// A `session_ready` of the reference with this number, as JSON.
fn ready(number: &str, more: &str) -> String {
    format!(
        r#"{{"event":"session_ready","data":{{"workspace_id":7,"session_id":"s","phone_number":{number},"status":"connected"{more}}}}}"#
    )
}

#[tokio::test]
async fn the_reference_s_events_are_read_and_written_as_they_came() {
    for json in [
        r#"{"data":{"qr":"2@abc","session_id":"s","workspace_id":7},"event":"qr_code_generated"}"#,
        r#"{"data":{"session_id":12,"workspace_id":"7"},"event":"session_authenticated"}"#,
        r#"{"data":{"phone_number":"628110000041","session_id":"s","status":"connected","workspace_id":7},"event":"session_ready"}"#,
        r#"{"data":{"error":"phone_extraction_failed","message":"none","session_id":"s","workspace_id":7},"event":"session_error"}"#,
        r#"{"data":{"reason":"LOGOUT","session_id":"s","workspace_id":7},"event":"session_disconnected"}"#,
        r#"{"data":{"deep":[1,{"x":null}]},"event":"message_received","more":true}"#,
        r#"{"event":"ping"}"#,
        r#"{"data":"text","event":"pong"}"#,
        r#"{"beside":{"a":1},"data":{"of":"others","session_id":"s","workspace_id":7},"event":"session_authenticated","id":"msg_1","occurred_at":"yesterday","seq":4,"version":"x"}"#,
    ] {
        let event = read(json).unwrap();
        assert_eq!(value(&event), serde_json::from_str::<Value>(json).unwrap());
    }
}

#[test]
fn ours_carry_what_the_reference_lacks() {
    let lid = "123456789012345@lid".parse().unwrap();
    let ready = Ready::from(phone())
        .with_lid(lid)
        .with_assurance(Assurance::Confirmed);
    let event = SessionEvent::session_ready(key(), ready).with_seq(3);
    let json = value(&event);
    assert_eq!(json["version"], 1);
    assert_eq!(json["seq"], 3);
    assert_eq!(json["data"]["lid"], "123456789012345@lid");
    assert_eq!(json["data"]["assurance"], "confirmed");
    assert!(humantime::parse_rfc3339(json["occurred_at"].as_str().unwrap()).is_ok());
    let same = read(&event.to_json()).unwrap();
    assert_eq!((same.id(), same.seq()), (event.id(), Some(3)));
    assert_eq!(same.occurred_at(), event.occurred_at());
    assert_eq!(value(&same), json);

    let failed = Failed::new("not_ready", "no chat with 628110000041@c.us");
    let json = value(&SessionEvent::session_error(key(), failed));
    assert_eq!(json["data"]["error"], "phone_extraction_failed");
    assert_eq!(json["data"]["code"], "not_ready");
    assert_eq!(json["data"]["message"], "no chat with 62********41@c.us");
}

#[test]
fn a_ready_event_without_a_number_is_invalid() {
    for (number, error) in [
        ("null", None),
        ("628110000041", None),
        ("[]", None),
        ("\"null\"", Some(PhoneNumberError::NullText)),
        ("\"undefined\"", Some(PhoneNumberError::NullText)),
        ("\"\"", Some(PhoneNumberError::Empty)),
        (
            "\"123456789012345@lid\"",
            Some(PhoneNumberError::NotADigit { at: 15 }),
        ),
    ] {
        let refused = read(&ready(number, "")).unwrap_err();
        match error {
            Some(error) => assert_eq!(refused, EventError::Phone(error), "{number}"),
            None => assert!(
                matches!(
                    refused,
                    EventError::Field {
                        field: "phone_number",
                        ..
                    }
                ),
                "{number}"
            ),
        }
        assert!(!refused.to_string().contains("628110000041"));
    }
    let missing = r#"{"event":"session_ready","data":{"workspace_id":7,"session_id":"s"}}"#;
    assert!(read(missing).is_err());
    let lid = r#","lid":"123456789012345@lid""#;
    let refused = read(&ready("\"123456789012345\"", lid)).unwrap_err();
    assert_eq!(refused, EventError::LidAsNumber);
    let other = ready("\"628110000041\"", "").replace("connected", "error");
    assert!(read(&other).is_err());
}

#[test]
fn invalid_members_are_ignored_but_kept() {
    let json = ready(
        "\"628110000041\"",
        r#","lid":"12036@g.us","assurance":"certain""#,
    );
    let event = read(&json).unwrap();
    let EventKind::SessionReady(ready) = event.kind() else {
        panic!("{event:?}");
    };
    assert_eq!((ready.lid(), ready.assurance()), (None, None));
    assert_eq!(value(&event)["data"]["lid"], "12036@g.us");
    assert_eq!(value(&event)["data"]["assurance"], "certain");
}

#[test]
fn hostile_input_is_refused_in_words_that_do_not_repeat_it() {
    let long = "9".repeat(300);
    for json in [
        String::new(),
        "[]".into(),
        "{}".into(),
        "\u{0}".into(),
        "[".repeat(10_000),
        r#"{"event":7}"#.into(),
        r#"{"event":"session_ready"}"#.into(),
        r#"{"event":"session_ready","data":[]}"#.into(),
        format!(r#"{{"event":"session_authenticated","data":{{"workspace_id":7,"session_id":"{long}"}}}}"#),
        r#"{"event":"session_authenticated","data":{"workspace_id":7.5,"session_id":"s"}}"#.into(),
        r#"{"event":"session_authenticated","data":{"workspace_id":7,"session_id":"a\u0000b"}}"#.into(),
        r#"{"event":"session_authenticated","data":{"workspace_id":7,"session_id":""}}"#.into(),
        r#"{"event":"session_authenticated","seq":-1,"data":{"workspace_id":7,"session_id":"s"}}"#.into(),
        r#"{"event":"session_authenticated","seq":9007199254740992,"data":{"workspace_id":7,"session_id":"s"}}"#.into(),
        r#"{"event":"session_authenticated","id":"a b","data":{"workspace_id":7,"session_id":"s"}}"#.into(),
        format!(r#"{{"event":"qr_code_generated","data":{{"workspace_id":7,"session_id":"s","qr":"{}"}}}}"#, "q".repeat(QrCode::MAX_LEN + 1)),
    ] {
        let error = read(&json).unwrap_err();
        assert_eq!(error.code(), "invalid_event");
        assert!(!error.to_string().contains("999"), "{error}");
    }
    let large = format!(r#"{{"event":"x","data":"{}"}}"#, "x".repeat(MAX_EVENT));
    assert_eq!(
        read(&large).unwrap_err(),
        EventError::TooLarge { bytes: large.len() }
    );
}

#[test]
fn ids_compare_by_text_and_are_masked() {
    assert_eq!(SessionId::from(7), SessionId::new("7").unwrap());
    let key = SessionKey::new("-7", PHONE).unwrap();
    assert_eq!(key.to_string(), "62********41 of workspace -7");
    assert!(!format!("{key:?}").contains(PHONE));
    let id = EventId::new(PHONE).unwrap();
    assert!(!format!("{id} {id:?}").contains(PHONE));
}

#[tokio::test]
async fn debug_masks_everything() {
    let lid = "123456789012345@lid".parse().unwrap();
    let ready = Ready::from(phone()).with_lid(lid);
    let qr = QrCode::new("2@secret").unwrap();
    for event in [
        SessionEvent::session_ready(key(), ready),
        SessionEvent::qr_code_generated(key(), qr),
        SessionEvent::session_disconnected(key(), "logged out by 628110000041@c.us"),
        read(r#"{"event":"to 628110000041","data":{"secret":1},"secret":2}"#).unwrap(),
    ] {
        let said = format!("{event:?}");
        for secret in [PHONE, "123456789012345", "secret"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_is_forgotten_after_a_minute_wherever_it_is() {
    let event = SessionEvent::qr_code_generated(key(), QrCode::new("2@secret").unwrap());
    let (sink, mut events) = channel(1);
    sink.send(&event).await.unwrap();
    assert!(event.to_json().contains("2@secret"));
    tokio::time::sleep(QrCode::LIFE).await;
    let late = events.recv().await.unwrap();
    for event in [event, late] {
        assert_eq!(value(&event)["data"]["qr"], Value::Null);
        // An event that was passed on too late is still an event.
        assert!(read(&event.to_json()).is_ok());
    }
}

#[tokio::test]
async fn an_expired_qr_code_has_no_payload_and_is_read_as_it_was_written() {
    let event = SessionEvent::qr_code_generated(key(), QrCode::expired());
    assert_eq!(value(&event)["data"]["expired"], true);
    assert_eq!(value(&event)["data"]["qr"], Value::Null);
    let same = read(&event.to_json()).unwrap();
    assert_eq!(value(&same), value(&event));
    let EventKind::QrCodeGenerated(qr) = same.kind() else {
        panic!("{same:?}");
    };
    assert!(qr.is_expired() && qr.reveal().is_none());
    assert!(format!("{event:?}").contains("QrCode(expired)"));

    let with = |more: &str| {
        let json = format!(
            r#"{{"event":"qr_code_generated","data":{{"workspace_id":7,"session_id":"s",{more}}}}}"#
        );
        let event = read(&json).unwrap();
        let EventKind::QrCodeGenerated(qr) = event.kind() else {
            panic!("{event:?}");
        };
        let expected: Value = serde_json::from_str(&json).unwrap();
        (qr.is_expired(), value(&event) == expected)
    };
    // The payload of an expired code is not passed on.
    assert_eq!(with(r#""qr":"2@abc","expired":true"#), (true, false));
    assert_eq!(with(r#""qr":null,"expired":true"#), (true, true));
    assert_eq!(with(r#""qr":"2@abc","expired":false"#), (false, true));
    // Not a boolean: another sender's field, kept.
    assert_eq!(with(r#""qr":"2@abc","expired":"soon""#), (false, true));
    for valid in [QrCode::unknown(), QrCode::new("2@abc").unwrap()] {
        assert!(!valid.is_expired());
        let event = SessionEvent::qr_code_generated(key(), valid);
        assert_eq!(value(&event)["data"].get("expired"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_refuses_in_time_and_a_closed_one_at_once() {
    let (sink, events) = channel(1);
    let event = SessionEvent::session_authenticated(key());
    sink.send(&event).await.unwrap();
    let error = sink.send(&event).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("sink_full", true));
    drop(events);
    let error = sink.send(&event).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), ("sink_closed", false));
}

#[test]
fn the_event_has_the_result_of_the_extraction() {
    let error = crate::extract::ExtractError::from(crate::failure::ProtocolFailure::new(
        crate::failure::Site::Unknown,
        "said somebody",
    ));
    let event = SessionEvent::session_error(key(), &error);
    assert_eq!(value(&event)["data"]["code"], error.code());
}

#[tokio::test(start_paused = true)]
async fn foreign_members_beside_a_qr_code_are_forgotten_with_it() {
    let json = r#"{"event": "qr_code_generated", "trace": "t", "data": {"workspace_id": 7,
        "session_id": "s", "qr": "2@secret", "qr_image": "data:image/png;base64,SECRET"}}"#;
    let event = SessionEvent::from_json(json.as_bytes()).unwrap();
    assert!(event.to_json().contains("SECRET"));
    tokio::time::advance(QrCode::LIFE).await;
    let late: Value = serde_json::from_str(&event.to_json()).unwrap();
    assert_eq!(late["trace"], "t");
    let data = serde_json::json!({"workspace_id": 7, "session_id": "s", "qr": null});
    assert_eq!(late["data"], data);
}

/// The event is still held, so the copies must be gone from it, and not only from its JSON.
#[tokio::test(start_paused = true)]
async fn no_copy_of_a_qr_code_outlives_its_minute_in_memory() {
    let json = r#"{"event": "qr_code_generated", "trace": "t", "copy": ["2@\"secret"], "picture": "data:image/png;base64,SECRET",
        "data": {"workspace_id": 7, "session_id": "s", "qr": "2@\"secret", "qr_code": "data:image/png;base64,SECRET", "expires_in": 60}}"#;
    let event = read(json).unwrap();
    assert_eq!(value(&event), serde_json::from_str::<Value>(json).unwrap());
    for map in [&event.beside, &event.within] {
        assert!(
            !serde_json::to_string(map)
                .unwrap()
                .to_lowercase()
                .contains("secret")
        );
    }
    let copies = event.copies.clone().unwrap();
    assert!(copies.reveal().unwrap().contains("SECRET"));
    tokio::time::sleep(QrCode::LIFE + Duration::from_millis(1)).await;
    // Removed by its task, before any call reads it.
    assert_eq!(format!("{copies:?}"), "QrCode(forgotten)");
    let late = value(&event);
    assert_eq!(late["trace"], "t");
    assert!(
        !late.to_string().to_lowercase().contains("secret"),
        "{late}"
    );
    assert_eq!(late["data"]["expires_in"], 60);
}

#[tokio::test]
async fn fields_of_others_that_share_a_name_with_ours_are_kept() {
    for json in [
        r#"{"event":"session_authenticated","id":7,"seq":"12","data":{"workspace_id":7,"session_id":"s"}}"#,
        r#"{"event":"session_error","data":{"workspace_id":7,"session_id":"s","error":{"name":"x"},"code":404,"message":["a"]}}"#,
        r#"{"event":"session_disconnected","data":{"workspace_id":7,"session_id":"s","reason":428}}"#,
        r#"{"event":"session_disconnected","data":{"workspace_id":7,"session_id":"s","reason":null}}"#,
        r#"{"event":"session_ready","data":{"workspace_id":7,"session_id":"s","phone_number":"628110000041","status":200}}"#,
        r#"{"event":"qr_code_generated","data":{"workspace_id":7,"session_id":"s","qr":{"count":2},"qr_code":"2@abc"}}"#,
    ] {
        let event = read(json).unwrap();
        assert!(!matches!(event.kind(), EventKind::Foreign(_)), "{json}");
        if let EventKind::SessionError(failed) = event.kind() {
            assert_eq!((failed.error(), failed.code()), (Failed::EXTRACTION, None));
        }
        assert_eq!((event.id(), event.seq()), (None, None));
        let expected: Value = serde_json::from_str(json).unwrap();
        assert_eq!(value(&event), expected, "{json}");
    }
}

#[test]
fn serde_reads_and_writes_what_json_has() {
    let event = SessionEvent::session_ready(key(), phone()).with_seq(3);
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(json, event.to_json());
    let same: SessionEvent = serde_json::from_str(&json).unwrap();
    assert_eq!(same.to_json(), json);
    let error = serde_json::from_str::<SessionEvent>(r#"{"event": "session_ready"}"#).unwrap_err();
    assert!(error.to_string().starts_with("the event's `"), "{error}");

    let keys = r#"[{"workspace_id":7,"session_id":"b"},{"workspace_id":"7","session_id":"a"}]"#;
    let mut read: Vec<SessionKey> = serde_json::from_str(keys).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), keys);
    read.sort();
    assert_eq!(read[0].session_id, "a".parse().unwrap());
    assert!(serde_json::from_str::<SessionId>("1.5").is_err());
    let error = serde_json::from_str::<EventId>("\"a b\"").unwrap_err();
    assert!(error.to_string().starts_with("the event's `id` must be"));
}

#[tokio::test]
async fn the_receiver_of_a_channel_is_a_stream() {
    let (sink, events) = channel(2);
    for _ in 0..2 {
        sink.send(&SessionEvent::session_authenticated(key()))
            .await
            .unwrap();
    }
    drop(sink);
    assert_eq!(events.count().await, 2);
}
