//! Events as the reference really sends them.

use serde_json::json;

use super::*;

/// The beginning of a PNG as a data URL.
const PICTURE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==";

/// A `qr_code_generated` with these fields in its data.
fn qr_event(fields: &Value) -> Value {
    let mut event = json!({
        "event": "qr_code_generated", "data": {"workspace_id": 7, "session_id": "s"},
    });
    for (name, value) in fields.as_object().unwrap() {
        event["data"][name] = value.clone();
    }
    event
}

fn payload(event: &SessionEvent) -> Option<String> {
    let EventKind::QrCodeGenerated(qr) = event.kind() else {
        panic!("{event:?}");
    };
    qr.reveal()
}

#[tokio::test]
async fn its_events_are_read_and_written_as_they_came() {
    for (event, data) in [
        (
            "qr_code_generated",
            json!({"qr_code": PICTURE, "expires_in": 60, "qr_count": 2, "is_regeneration": true}),
        ),
        (
            "session_ready",
            json!({"phone_number": PHONE, "status": "connected", "platform": null, "extraction_method": null}),
        ),
        (
            "session_error",
            json!({"error": "webhook_send_failed", "message": "", "phone_number": PHONE}),
        ),
        ("session_disconnected", json!({"reason": "LOGOUT"})),
        ("session_disconnected", json!({"reason": ""})),
        ("session_disconnected", json!({})),
        (
            "session_reconnected",
            json!({"status": "reconnected", "timestamp": "2026-01-01T00:00:00.000Z"}),
        ),
        (
            "session_reconnected",
            json!({"phone_number": null, "deep": [{"x": [1.5, null]}]}),
        ),
    ] {
        let mut json = json!({"event": event, "data": data});
        json["data"]["workspace_id"] = json!(7);
        json["data"]["session_id"] = json!("s");
        let read = read(&json.to_string()).unwrap();
        assert_eq!(read.name(), event);
        assert!(!matches!(read.kind(), EventKind::Foreign(_)), "{event}");
        assert_eq!(value(&read), json);
    }
}

#[tokio::test]
async fn a_qr_code_may_be_in_either_field() {
    for (fields, expected) in [
        (json!({"qr": "2@abc"}), Some("2@abc")),
        (json!({"qr_code": "2@abc"}), Some("2@abc")),
        (json!({"qr": PICTURE}), Some(PICTURE)),
        (json!({"qr": "2@abc", "qr_code": PICTURE}), Some("2@abc")),
        (json!({"qr": "2@abc", "qr_code": null}), Some("2@abc")),
        (json!({"qr": null, "qr_code": PICTURE}), Some(PICTURE)),
        (json!({"qr_code": null}), None),
        (json!({"qr": null}), None),
    ] {
        let json = qr_event(&fields);
        let event = read(&json.to_string()).unwrap();
        assert_eq!(payload(&event).as_deref(), expected, "{fields}");
        assert_eq!(value(&event), json);
    }
    let long = "q".repeat(QrCode::MAX_LEN + 1);
    for wrong in [
        json!({"qr_code": 7}),
        json!({"qr_code": ""}),
        json!({"qr_code": long}),
    ] {
        let error = read(&qr_event(&wrong).to_string()).unwrap_err();
        let is_named = matches!(
            error,
            EventError::Field {
                field: "qr_code",
                ..
            }
        );
        assert!(is_named, "{error}");
        assert!(!error.to_string().contains("qqq"));
    }
}

#[tokio::test]
async fn a_picture_of_ours_is_sent_in_the_field_of_the_reference() {
    let sent = |payload: &str| {
        let qr = QrCode::new(payload).unwrap();
        value(&SessionEvent::qr_code_generated(key(), qr))["data"].clone()
    };
    let (text, picture) = (sent("2@abc"), sent(PICTURE));
    assert_eq!((&text["qr"], text.get("qr_code")), (&json!("2@abc"), None));
    assert_eq!(
        (&picture["qr_code"], picture.get("qr")),
        (&json!(PICTURE), None)
    );
    // The largest picture fits into an event.
    let largest = PICTURE.trim_end_matches('=').to_owned();
    let rest = "A".repeat(QrCode::MAX_LEN - largest.len());
    let qr = QrCode::new(largest + &rest).unwrap();
    let event = SessionEvent::qr_code_generated(key(), qr).to_json();
    assert!(payload(&read(&event).unwrap()).is_some());
}

/// A payload of WhatsApp's form and length.
fn raw() -> String {
    let part = |byte: &str| byte.repeat(44);
    format!(
        "2@{}==,{},{},{}",
        part("aB3/"),
        part("c"),
        part("d"),
        part("e")
    )
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_qr_code_leaves_the_fields_beside_it() {
    let (raw, agent) = (
        raw(),
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML) Chrome/143.0.0.0",
    );
    let kept = json!({
        "expires_in": 60, "qr_count": 2, "is_regeneration": false, "none": null, "hint": "Scan within a minute.",
        "from": "628110000041:2@c.us", "mail": "ops2@example.com", "at": "2026-01-01T00:00:00.000Z",
        "trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "list": ["a", "b", 3], "object": {"deep": [{"agent": agent}], "empty": {}},
    });
    let copies = json!({
        "copy": PICTURE, "copies": [PICTURE], "nested": {"copy": PICTURE}, "named": {PICTURE: 1},
        "raw": raw, "short": "2@abc,def", "link": format!("https://wa.me/settings/linked_devices#{raw}"),
        "encoded": format!("https://draw.example/?data={}", raw.replace('@', "%40").replace(',', "%2C")),
        "buffer": {"type": "Buffer", "data": raw.as_bytes()},
        "base64": "iVBORw0KGgoAAAANSUhEUg==", "matrix": vec![vec![0; 29]; 29],
        "art": "█ ▄▄▄▄▄ █▀ █▀▀\n".repeat(40),
    });
    for (code, in_field) in [(PICTURE, "qr_code"), (&*raw, "qr")] {
        let mut json = qr_event(&json!({in_field: code}));
        for place in ["kept", "copies"] {
            let fields = if place == "kept" { &kept } else { &copies };
            for (name, value) in fields.as_object().unwrap() {
                json["data"][name] = value.clone();
                json[name] = value.clone();
            }
        }
        let event = read(&json.to_string()).unwrap();
        assert_eq!(value(&event), json);
        tokio::time::sleep(QrCode::LIFE).await;
        let late = value(&event);
        for place in [&late, &late["data"]] {
            for (name, value) in kept.as_object().unwrap() {
                assert_eq!(place[name], *value, "{name}");
            }
            for (name, _) in copies.as_object().unwrap() {
                assert_eq!(place.get(name), None, "{name}");
            }
        }
        assert_eq!(late["data"][in_field], Value::Null);
        // It is still an event.
        assert_eq!(payload(&read(&event.to_json()).unwrap()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_does_not_outlive_a_code_that_came_without_its_payload() {
    for fields in [
        json!({"qr": null, "raw": raw()}),
        json!({"qr": "2@a", "expired": true, "raw": raw()}),
    ] {
        let event = read(&qr_event(&fields).to_string()).unwrap();
        assert_eq!(value(&event)["data"].get("raw"), None);
    }
}

#[test]
fn a_session_comes_back_with_the_status_of_the_reference() {
    let event = SessionEvent::session_reconnected(key());
    assert_eq!(value(&event)["data"]["status"], "reconnected");
    let same = read(&event.to_json()).unwrap();
    assert!(matches!(same.kind(), EventKind::SessionReconnected));
    assert_eq!(value(&same), value(&event));
}
