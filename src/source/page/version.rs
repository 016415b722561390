//! [`version`]: a page's version, which must stay readable although it is nearly all digits.

use super::envelope::Text;
use crate::failure::clean;

/// Longest version kept, in bytes.
pub(super) const MAX_VERSION: usize = 64;

/// Returns a version that the page names. Any other text is cleaned.
pub(super) fn version(text: Option<&Text>) -> Option<String> {
    let text = text?.as_str()?;
    match is_version(text) {
        true => Some(text.to_owned()),
        false => Some(clean(text, MAX_VERSION)),
    }
}

/// Whether a text has the form of a version, whose digits are no number: `2.3000.1030000000-alpha`.
fn is_version(text: &str) -> bool {
    let (numbers, name) = text.split_once('-').unwrap_or((text, ""));
    let mut lengths = Vec::new();
    for number in numbers.split('.') {
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        lengths.push(number.len());
    }
    let is_name = name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name && matches!(lengths[..], [1..=2, 1..=4, 1..=10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_readable_and_a_number_in_its_place_is_masked() {
        for (text, shown) in [
            ("2.3000.1030000000", "2.3000.1030000000"),
            ("2.3000.1030000000-alpha", "2.3000.1030000000-alpha"),
            ("2.2412.54", "2.2412.54"),
            ("628110000041", "62********41"),
            ("2.3000.628110000041", "2.3000.62********41"),
            (
                "2.3000.1030000000-628110000041",
                "2.3000.10******00-62********41",
            ),
        ] {
            let given = version(Some(&Text::Short(text.into())));
            assert_eq!(given.as_deref(), Some(shown));
        }
    }
}
