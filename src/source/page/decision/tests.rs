//! Decisions on envelopes, without a browser.

use serde_json::{Value, json};

use super::*;
use crate::source::page::readers::READERS;

const ME: &str = "628110000041@c.us";
const OTHER: &str = "628990000099@c.us";
const LID: &str = "123456789012345@lid";

/// A current page, registered, connected and synced, without any reader's answer.
fn page() -> Value {
    json!({
        "origin": "https://web.whatsapp.com",
        "document": "1.5",
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
#[allow(clippy::needless_pass_by_value)] // for short calls
fn with(mut page: Value, id: ReaderId, number: Option<&str>, lid: Option<&str>) -> Value {
    let wid =
        |text: Option<&str>| text.map_or(json!({"nobody": true}), |text| json!({"jid": text}));
    page["rows"][place(&id)] = json!({"number": wid(number), "lid": wid(lid)});
    page
}

fn place(id: &ReaderId) -> String {
    let place = READERS.iter().position(|row| row.id == *id);
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

const NONE: Option<Assurance> = None;
const PROVISIONAL: Option<Assurance> = Some(Assurance::Provisional);
const UNVERIFIED: Option<Assurance> = Some(Assurance::Unverified);
const CONFIRMED: Option<Assurance> = Some(Assurance::Confirmed);

mod accounts;
mod first_looks;
mod later_looks;
