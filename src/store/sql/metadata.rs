//! Merges an error into the metadata of other programs, and keeps every byte of theirs.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::event::Failed;
use crate::store::outbox::table::ascii;

/// The members of a JSON object, in order; their values as they are written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Returns the metadata with the error in it. `None`: it is not a JSON object, and stays as it is.
pub(super) fn with_error(before: Option<&str>, error: &Failed) -> Option<String> {
    let members = match before.map(str::trim) {
        None | Some("null") => Vec::new(),
        Some(text) => serde_json::from_str::<Members>(text).ok()?.0,
    };
    let ours = [
        ("last_error", error.error()),
        ("error_message", error.message()),
    ];
    let is_theirs = |name: &str| ours.iter().all(|(our, _)| *our != name);
    let theirs = members.iter().filter(|(name, _)| is_theirs(name));
    let theirs = theirs.map(|(name, value)| format!("{}:{}", quoted(name), value.get()));
    let ours = ours.iter();
    let ours = ours.map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
    let merged: Vec<_> = theirs.chain(ours).collect();
    Some(ascii(&format!("{{{}}}", merged.join(","))))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_every_digit_and_their_order() {
        let failed = Failed::new("not_ready", "no \u{e9} number");
        let before =
            r#"{"z": 12345678901234567890.1230, "a": [], "last_error": 1, "n": "Zo\u00eb 😀"}"#;
        let after = with_error(Some(before), &failed).unwrap();
        assert_eq!(
            after,
            r#"{"z":12345678901234567890.1230,"a":[],"n":"Zo\u00eb \ud83d\ude00","last_error":"phone_extraction_failed","error_message":"no \u00e9 number"}"#
        );
        for other in ["[]", "[1]", "eyJpdiI6", "a:1:{s:1:\"a\";i:1;}", "", "3"] {
            assert_eq!(with_error(Some(other), &failed), None, "{other}");
        }
        assert!(with_error(None, &failed).is_some());
    }
}
