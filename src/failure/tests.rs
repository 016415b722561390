//! Cuts and causes.

use super::*;

#[test]
fn a_long_text_is_cut_and_says_so() {
    let failure = ProtocolFailure::new(Site::Script, "x".repeat(50 << 20));
    assert_eq!(failure.message().len(), MAX_TEXT);
    assert!(failure.message().ends_with('…'));
}

#[test]
fn causes_are_cleaned_too_and_display_prints_the_message_alone() {
    let io = std::io::Error::other("no 628110000041");
    let failure = ProtocolFailure::new(Site::Sidecar, "request failed")
        .caused_by(ProtocolFailure::from_error(Site::Sidecar, &io));
    assert_eq!(failure.to_string(), "request failed");
    assert_eq!(failure.source().unwrap().to_string(), "no 62********41");
    assert!(!format!("{failure:?}").contains("628110000041"));
}
