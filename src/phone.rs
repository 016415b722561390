//! [`PhoneNumber`]: the phone number of an account, as digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::text::{mask_number, read_text};

/// A phone number as WhatsApp writes it: 5 to 20 ASCII digits, country code first, no `+`.
///
/// The digits are kept verbatim. They are not always the dialable number (Brazil's ninth digit,
/// Mexico's extra 1), so compare accounts by [`Jid`](crate::jid::Jid), not by dialing rules.
///
/// `Debug` and `Display` print a mask; [`reveal`](Self::reveal) gives the digits. Serialising
/// reveals them too: that is how the number leaves for a database or a webhook.
///
/// ```
/// use whatsapp_phone::phone::PhoneNumber;
///
/// let phone: PhoneNumber = "628110000041".parse()?;
/// assert_eq!(phone.to_string(), "62********41");
/// assert_eq!(phone.reveal(), "628110000041");
/// # Ok::<(), whatsapp_phone::phone::PhoneNumberError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct PhoneNumber(Box<str>);

impl PhoneNumber {
    /// Fewest digits of a number.
    pub const MIN_DIGITS: usize = 5;
    /// Most digits of a number.
    pub const MAX_DIGITS: usize = 20;

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// The first rule that `text` breaks. The error never contains the text.
    pub fn parse(text: &str) -> Result<Self, PhoneNumberError> {
        check(text).map(|()| Self(text.into()))
    }

    /// Returns the digits. Keep them out of logs and errors.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), PhoneNumberError> {
    use PhoneNumberError as E;
    match text {
        "" => return Err(E::Empty),
        "null" | "undefined" => return Err(E::NullText),
        _ => {}
    }
    let mut start = text.chars().take(MAX_INPUT);
    if let Some(at) = start.position(|c| !c.is_ascii_digit()) {
        return Err(E::NotADigit { at });
    }
    match text.len() {
        digits if digits < PhoneNumber::MIN_DIGITS && text != "0" => Err(E::TooShort { digits }),
        digits if digits > PhoneNumber::MAX_DIGITS => Err(E::TooLong { digits }),
        _ if text.starts_with('0') => Err(E::LeadingZero),
        _ if text.starts_with("10") => Err(E::ReservedPrefix),
        _ if is_whatsapps_own(text) => Err(E::WhatsAppAccount),
        _ => Ok(()),
    }
}

/// No more characters are read of an input that is too long anyway.
const MAX_INPUT: usize = 256;

/// Returns whether it is one of WhatsApp's own bots and service accounts.
fn is_whatsapps_own(digits: &str) -> bool {
    let is_in_block = |prefix: &str, more: usize| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == more)
    };
    is_in_block("1313555", 4)
        || is_in_block("131655500", 2)
        || matches!(digits, "16505361212" | "16508638904")
}

impl FromStr for PhoneNumber {
    type Err = PhoneNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = PhoneNumberError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check(&text).map(|()| Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = "a phone number is a string of digits; write it in quotes";
        read_text(deserializer, wanted, Self::parse)
    }
}

impl From<PhoneNumber> for String {
    /// Reveals the digits.
    fn from(phone: PhoneNumber) -> Self {
        phone.0.into()
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&mask_number(&self.0))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

/// The rule that a text breaks, so that it is not a [`PhoneNumber`]. Never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneNumberError {
    /// Nothing was given.
    #[error("the phone number is empty; give 5 to 20 digits")]
    Empty,
    /// The text is `null` or `undefined`: a missing value that some program printed.
    #[error("the phone number is the word `null` or `undefined`: the sender had no number")]
    NullText,
    /// A character is not one of `0` to `9`.
    #[error(
        "the phone number has a character at position {at} that is not a digit 0-9; give digits only, without `+` or spaces"
    )]
    NotADigit {
        /// Its position, counted in characters from 0.
        at: usize,
    },
    /// Fewer than five digits.
    #[error("the phone number has {digits} digits; the minimum is 5")]
    TooShort {
        /// The number of digits.
        digits: usize,
    },
    /// More than twenty digits.
    #[error("the phone number has {digits} digits; the maximum is 20")]
    TooLong {
        /// The number of digits.
        digits: usize,
    },
    /// It starts with `0`: a trunk prefix, or WhatsApp's own account `0`.
    #[error("the phone number starts with 0; it must start with the country code")]
    LeadingZero,
    /// It starts with `10`, which no account has.
    #[error("the phone number starts with 10, which no WhatsApp account does")]
    ReservedPrefix,
    /// It belongs to WhatsApp itself: a bot or a service account.
    #[error("the phone number is one of WhatsApp's own accounts, not a user's")]
    WhatsAppAccount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_rule_is_named() {
        use PhoneNumberError as E;
        for (text, error) in [
            ("", E::Empty),
            ("null", E::NullText),
            ("undefined", E::NullText),
            ("+628110000041", E::NotADigit { at: 0 }),
            ("62811 000041", E::NotADigit { at: 5 }),
            ("62811٠000041", E::NotADigit { at: 5 }),
            ("６２８１１０００００", E::NotADigit { at: 0 }),
            ("6281", E::TooShort { digits: 4 }),
            ("123456789012345678901", E::TooLong { digits: 21 }),
            ("0", E::LeadingZero),
            ("0811000041", E::LeadingZero),
            ("1012345678", E::ReservedPrefix),
            ("13135550002", E::WhatsAppAccount),
            ("13165550042", E::WhatsAppAccount),
            ("16505361212", E::WhatsAppAccount),
            ("16508638904", E::WhatsAppAccount),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(error), "{text}");
        }
        let words = "no number ".repeat(1000);
        assert_eq!(PhoneNumber::parse(&words), Err(E::NotADigit { at: 0 }));
        let tail = "6".repeat(200) + &" ".repeat(1000);
        assert_eq!(PhoneNumber::parse(&tail), Err(E::NotADigit { at: 200 }));
        let huge = "6".repeat(50 << 20);
        assert_eq!(
            PhoneNumber::parse(&huge),
            Err(E::TooLong { digits: huge.len() })
        );
    }

    #[test]
    fn neighbours_of_whatsapps_own_accounts_are_numbers() {
        for text in [
            "131355500021",
            "131655500",
            "16505361213",
            "12025550123",
            "55119",
        ] {
            assert!(PhoneNumber::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn printing_masks_and_serde_reveals() {
        let phone = PhoneNumber::parse("62811000041").unwrap();
        assert_eq!(format!("{phone}"), "62*******41");
        assert_eq!(format!("{phone:?}"), "PhoneNumber(62*******41)");
        assert_eq!(serde_json::to_string(&phone).unwrap(), "\"62811000041\"");
        let error = serde_json::from_str::<PhoneNumber>("\"0811000041\"").unwrap_err();
        assert!(!error.to_string().contains("811"), "{error}");
    }

    #[test]
    fn values_of_other_types_are_refused_without_a_word_of_them() {
        for json in [
            "628110000041",
            "-628110000041",
            "12345",
            "6281100000.41",
            "62811000004162811000004162811000004",
            "true",
            "null",
            "[\"628110000041\"]",
            "{\"628110000041\": 1}",
        ] {
            let error = serde_json::from_str::<PhoneNumber>(json).unwrap_err();
            let said = error.to_string();
            assert!(said.starts_with("a phone number is a string of"), "{said}");
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(json) {
                let same = serde_json::from_value::<PhoneNumber>(value).unwrap_err();
                assert!(same.to_string().starts_with("a phone number"), "{same}");
            }
        }
        // An error in the JSON itself is reported as usual.
        let error = serde_json::from_str::<PhoneNumber>("\"6281").unwrap_err();
        assert!(error.is_eof(), "{error}");
    }

    proptest! {
        #[test]
        fn parsing_and_printing_round_trip(text in "[1-9][1-9][0-9]{3,18}") {
            if let Ok(phone) = PhoneNumber::parse(&text) {
                prop_assert_eq!(phone.reveal(), &text);
                prop_assert_eq!(PhoneNumber::parse(phone.reveal()), Ok(phone));
            }
        }

        #[test]
        fn no_text_panics_or_shows_in_an_error(text in any::<String>()) {
            if let Err(error) = PhoneNumber::parse(&text) {
                prop_assert!(text.len() < 5 || !error.to_string().contains(&text) || text == "undefined");
            }
        }
    }
}
