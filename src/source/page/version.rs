//! [`version`]: a page's version, which must stay readable although it is nearly all digits.

use super::envelope::Text;
use crate::text::clean;

/// Longest version kept, in bytes.
pub(crate) const MAX_VERSION: usize = 64;

/// Returns a version that the page names. Any other text is cleaned.
pub(super) fn version(text: Option<&Text>) -> Option<String> {
    let text = text?.as_str()?;
    match is_version(text) {
        true => Some(text.to_owned()),
        false => Some(clean(text, MAX_VERSION)),
    }
}

/// Returns whether a text has the form of a version, whose digits are no number: `2.3000.1030000000-alpha`.
/// The revision starts with `10`, and no phone number does. The digits of other versions are too few to be
/// masked.
fn is_version(text: &str) -> bool {
    let (numbers, name) = text.split_once('-').unwrap_or((text, ""));
    let revision = numbers.strip_prefix("2.3000.10").unwrap_or_default();
    let is_revision = revision.len() == 8 && revision.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_revision && is_name
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
            ("0.4.930", "0.4.930"),
            ("62.811.0000041", "62.811.0*****1"),
            ("2.6281.1000004100", "2.6281.10******00"),
            ("62.8110.1000004100", "62.8110.10******00"),
            ("2.811.1000004100", "2.811.10******00"),
            ("2.3000.6281100000", "2.3000.62******00"),
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
