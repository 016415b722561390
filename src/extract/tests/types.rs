//! Properties of the extractor and its errors as types.

use super::*;

#[tokio::test]
async fn without_sources_it_is_misconfigured() {
    let error = extract_phone_safely(&[], &RetryPolicy::eager())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Misconfigured, 0)
    );
    assert!(Extractor::builder().build().is_err());
}

#[tokio::test(start_paused = true)]
async fn no_error_prints_a_number() {
    let leaky = ProtocolFailure::new(Site::Unknown, "no such contact 628110000041@c.us");
    let page = MockSource::new("page").at(ms(0), leaky);
    let error = extract(&[&page], &policy(LookMode::Poll, 1))
        .await
        .unwrap_err();
    let printed = format!(
        "{error} {error:?} {}",
        std::error::Error::source(&error).unwrap()
    );
    assert!(!printed.contains("628110000041"), "{printed}");

    let page = MockSource::new("page").number_at(ms(0), NUMBER);
    let found = extract(&[&page], &RetryPolicy::eager()).await.unwrap();
    assert!(!format!("{found:?}").contains("628110000041"));
}

#[tokio::test(start_paused = true)]
async fn the_blocking_dialog_is_named() {
    let text = format!(
        "unexpected alert open: {{Alert text : Call 628110000041?{}}}",
        "!".repeat(500)
    );
    let dialog =
        ProtocolFailure::new(Site::WebDriverCommand, text).with_code("unexpected alert open");
    let other = MockSource::new("other").at(ms(0), failure("wrong origin"));
    let page = MockSource::new("page").at(ms(0), dialog.clone());
    let error = extract(&[&other, &page], &policy(LookMode::Poll, 2))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked);
    let text = error.to_string();
    assert!(
        text.contains("\"unexpected alert open: {Alert text : Call 62********41?!!"),
        "{text}"
    );
    assert!(text.len() < 400 && !text.contains("628110000041"), "{text}");
    // And whole where the chain of causes is printed, although another failed before it.
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), dialog.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_did_not_decide_is_no_cause() {
    let torn = MockSource::new("torn").at(ms(0), Look::Conflict);
    let lid = MockSource::new("lid").at(ms(0), look(LID, Assurance::Confirmed));
    let unsure = MockSource::new("unsure").at(ms(0), look(NUMBER, Assurance::Provisional));
    let failing = MockSource::new("failing").at(ms(0), failure("wrong origin"));
    for (source, kind) in [
        (&torn, ErrorKind::SourcesDisagree),
        (&lid, ErrorKind::LidOnly),
        (&unsure, ErrorKind::NotReady),
    ] {
        let error = extract(&[&failing, source], &policy(LookMode::Poll, 2)).await;
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.failures().len()), (kind, 1));
        assert!(std::error::Error::source(&error).is_none(), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_extractions_of_one_extractor_do_not_meet() {
    let page = MockSource::new("page").number_at(ms(600), NUMBER);
    let extractor = Arc::new(Extractor::builder().source(page).build().unwrap());
    let both = (extractor.extract(), extractor.extract());
    let (a, b) = tokio::join!(both.0, both.1);
    assert_eq!((a.unwrap().elapsed, b.unwrap().elapsed), (ms(600), ms(600)));
}

#[test]
fn an_extraction_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let extractor = Extractor::builder().source(from_fn("fn", || async { Ok(Look::NotYet) }));
    is_send(&extractor.build().unwrap().extract());
    is_send(&extract_phone_safely(&[], &RetryPolicy::eager()));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_sure_enough_says_more_than_a_lid() {
    let lid = MockSource::new("lid").at(ms(0), look(LID, Assurance::Confirmed));
    let unsure = MockSource::new("unsure").at(ms(0), look(NUMBER, Assurance::Provisional));
    let error = extract(&[&lid, &unsure], &policy(LookMode::Poll, 2))
        .await
        .unwrap_err();
    let seen = (error.kind(), error.refused());
    assert_eq!(seen, (ErrorKind::NotReady, Some(Assurance::Provisional)));
}
