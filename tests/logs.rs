//! The logs of extractions and QR codes hold no number and no payload.
#![cfg(all(feature = "testkit", feature = "webdriver"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::log::Log;
use support::{LIMIT, Stage, ms, until_async};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::source::Assurance::{Confirmed, Unverified};
use whatsapp_phone::source::mock::{Act, MockSource};
use whatsapp_phone::testkit::standin::{Generation, QR_PREFIX, QrForm, Scenario};
use whatsapp_phone::{Extractor, RetryPolicy};

#[tokio::test]
async fn no_number_and_no_qr_code_is_logged_at_any_level() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .with_ansi(false);
    subscriber.init();

    let stage = Stage::open(Scenario::ready_after(Generation::Current, ms(300))).await;
    stage.extract(Unverified, LIMIT).await.unwrap();
    stage.reload(Scenario::disagree("628990000099@c.us")).await;
    stage.extract(Unverified, LIMIT).await.unwrap_err();
    stage
        .reload(Scenario::provisional_then_confirmed(ms(0), LIMIT))
        .await;
    stage.extract_in_three_looks(Confirmed).await.unwrap_err();

    for form in [QrForm::Text, QrForm::Canvas, QrForm::Sealed] {
        stage.reload(Scenario::never().with_qr_form(form)).await;
        let is_read = async || {
            let code = stage.page.qr().await.unwrap();
            code.is_some_and(|code| code.reveal().is_some())
        };
        until_async("the QR code is read", is_read).await;
    }

    let leaky = ProtocolFailure::new(Site::Unknown, "no chat with +62 811-0000-041");
    for act in [Act::Fail(leaky), Act::Panic, Act::Hang] {
        let policy = RetryPolicy::builder().deadline(ms(300)).build().unwrap();
        let source = MockSource::new("mock").at(ms(0), act);
        let extractor = Extractor::builder()
            .source(source)
            .policy(policy)
            .build()
            .unwrap();
        extractor.extract().await.unwrap_err();
    }

    let logged = log.text();
    for word in [
        "extract_phone",
        "phone number found",
        "no phone number",
        "a look failed",
        "whatsapp_phone.attempt=",
    ] {
        assert!(logged.contains(word), "{word} is not logged");
    }
    for secret in [
        "628110000041",
        "628990000099",
        "123456789012345",
        "811-0000-041",
        "Stand-in",
        QR_PREFIX,
        "iVBORw0KGgo",
    ] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
