//! Decides which fields of others are forgotten with a QR code.

use serde_json::{Map, Value};

use super::QrCode;

/// Longest field that stays, in bytes of JSON. A list of the bytes of a code is longer, and so is a code that is
/// drawn in characters, numbers or SVG.
const MAX_FIELD: usize = 512;

/// Longest word that stays, in bytes. A payload or picture is longer, however it is encoded.
const MAX_WORD: usize = 72;

/// The beginnings of a picture: as a data URL, and of a PNG in base64.
const PICTURES: [&str; 2] = ["data:image/", "iVBORw0KGgo"];

/// The rule for a field that another sender has put beside a QR code, in `data` or beside `event`: it stays,
/// unless it may be a copy of the code. It may be one if it is longer than [`MAX_FIELD`], or if a text in it, a
/// name included,
///
/// - contains the code, or a text in the form of a payload (`2@...`),
/// - contains the beginning of a picture, or
/// - has a word, up to the next space, that is longer than [`MAX_WORD`].
///
/// Such a field is kept as long as the code.
pub(super) fn take_copies(
    qr: &QrCode,
    beside: &mut Map<String, Value>,
    within: &mut Map<String, Value>,
) -> Option<QrCode> {
    let code = qr.reveal();
    let is_code = |text: &str| {
        code.as_ref().is_some_and(|code| text.contains(code))
            || text
                .match_indices('@')
                .any(|(at, _)| has_version(&text[..at]))
            || PICTURES.iter().any(|picture| text.contains(picture))
            || text.split_whitespace().any(|word| word.len() > MAX_WORD)
    };
    let copies = (take(beside, &is_code), take(within, &is_code));
    let is_any = !copies.0.is_empty() || !copies.1.is_empty();
    is_any.then(|| qr.keep_beside(serde_json::json!(copies).to_string()))
}

/// Returns whether the text before an `@` ends with the version of a payload: a digit that is not part of a
/// word, as it is in addresses and JIDs.
fn has_version(before: &str) -> bool {
    let mut before = before.chars().rev();
    let is_part = |before: char| before.is_alphanumeric() || before == ':';
    before.next().is_some_and(|it| it.is_ascii_digit()) && !before.next().is_some_and(is_part)
}

/// Takes out the fields that may be copies.
fn take(from: &mut Map<String, Value>, is_code: &dyn Fn(&str) -> bool) -> Map<String, Value> {
    let (taken, left) = std::mem::take(from).into_iter().partition(|(name, value)| {
        is_code(name) || any_text(value, is_code) || value.to_string().len() > MAX_FIELD
    });
    *from = left;
    taken
}

fn any_text(value: &Value, is_code: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_code(text),
        Value::Array(values) => values.iter().any(|value| any_text(value, is_code)),
        Value::Object(fields) => {
            let mut fields = fields.iter();
            fields.any(|(name, value)| is_code(name) || any_text(value, is_code))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
