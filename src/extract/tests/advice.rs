//! The advice of errors.

use super::*;
use crate::source::PageState;

#[tokio::test(start_paused = true)]
async fn an_error_carries_the_first_known_state_of_its_pages_and_that_states_advice() {
    let blank = MockSource::new("page").showing(PageState::Unknown);
    let page = MockSource::new("page").showing(PageState::Conflict);
    let policy = policy(LookMode::Poll, 2);
    let error = extract(&[&blank, &page], &policy).await.unwrap_err();
    assert_eq!(error.page_state(), Some(PageState::Conflict));
    let advice = PageState::Conflict.advice();
    assert!(error.to_string().contains(advice), "{error}");

    // The same if there was a number: more time would not make it acceptable.
    let refused = page.at(ms(0), look(NUMBER, Assurance::Provisional));
    let error = extract(&[&refused], &policy).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(advice) && !text.contains("more time"),
        "{text}"
    );

    let error = extract(&[&MockSource::new("page")], &policy).await;
    let error = error.unwrap_err();
    assert_eq!(error.page_state(), None);
    assert!(!error.to_string().contains("more time"), "{error}");

    let old = MockSource::new("page").at(ms(0), look(NUMBER, Assurance::Unverified));
    let extractor = Extractor::builder()
        .source(old)
        .accept(Assurance::Confirmed);
    let error = extractor.build().unwrap().extract().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("accept unverified") && !text.contains("more time"),
        "{text}"
    );
}

#[test]
fn a_timeout_before_the_first_look_is_blocked_with_its_cause() {
    let failure = ProtocolFailure::new(Site::WebDriverCommand, "the page was not there after 60s");
    let error = ExtractError::from(failure.with_code("timeout"));
    assert_eq!(error.kind(), ErrorKind::Blocked);
    let text = error.to_string();
    assert!(
        text.contains("not there after 60s") && text.contains("try again"),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
}
