//! Where a failure comes from: stacks and causes, call sites, rules of the user's, foreign errors.

use super::*;

#[test]
fn causes_told_behind_a_stack_are_read_and_stacks_are_not() {
    for (text, class) in [
        (
            "Error: x\n    at Protocol error (a): Target closed",
            ErrorClass::Unrelated,
        ),
        (
            "TypeError: x\n    at f (a.js:1:2) {\n  [cause]: Error: Target closed\n}",
            ErrorClass::PageClosed,
        ),
        (
            "x.Y: z\n\tat a.b(C.java:1)\nCaused by: q.WebDriverException: chrome not reachable\n\tat d.e(F.java:2)",
            ErrorClass::BrowserGone,
        ),
    ] {
        assert_eq!(classifier().classify_text(text).class, class, "{text}");
    }
}

#[test]
fn what_anybody_says_counts_by_its_call_site() {
    use ErrorClass as C;
    for (text, driver, cdp, sidecar, unknown) in [
        (
            "Connection refused (os error 111)",
            C::BrowserGone,
            C::BrowserGone,
            C::Network,
            C::Unrelated,
        ),
        (
            "operation timed out",
            C::Timeout,
            C::Timeout,
            C::Timeout,
            C::Unrelated,
        ),
        (
            "TypeError: x is not a function",
            C::Unrelated,
            C::PageScript,
            C::Unrelated,
            C::Unrelated,
        ),
    ] {
        for (site, class) in [
            (Site::WebDriverCommand, driver),
            (Site::Cdp, cdp),
            (Site::Sidecar, sidecar),
            (Site::Unknown, unknown),
            (Site::Script, C::PageScript),
        ] {
            let failure = ProtocolFailure::new(site, text);
            assert_eq!(
                classifier().classify(&failure).class,
                class,
                "{site}: {text}"
            );
        }
    }
}

#[test]
fn own_rules_go_before_or_after_the_table_in_their_order() {
    let closed = "Protocol error (a.b): Target closed";
    let rule = |name, phrase| Rule::text(name, ErrorClass::Network, phrase);
    let before = ProtocolErrorClassifier::builder()
        .before(rule("first", "Target").at(Site::Cdp))
        .before(Rule::text(
            "second".to_owned(),
            ErrorClass::Network,
            "closed".to_owned(),
        ))
        .before(rule("third", "Target"))
        .build();
    assert_eq!(before.classify_text(closed).rule, "second");
    assert_eq!(
        before
            .clone()
            .classify(&ProtocolFailure::new(Site::Cdp, closed))
            .rule,
        "first"
    );
    let after = ProtocolErrorClassifier::builder()
        .after(rule("mine", "Target").orphan())
        .build();
    assert_eq!(after.classify_text(closed).rule, "target_closed");
    let found = after.classify_text("the Target moved");
    assert_eq!(
        (found.rule, found.verdict(Phase::Ending)),
        ("mine", Verdict::Suppress)
    );
    assert_eq!(found.verdict(Phase::Live), Verdict::Retry);
    // Neither the stack nor text of the page is shown to them.
    assert_eq!(after.classify_text("x\n    at Target").rule, "unlisted");
    let said = ProtocolFailure::new(Site::Script, "the Target moved");
    assert_eq!(after.classify(&said).rule, "page_said");
    let page = rule("page", "Target").at(Site::Script);
    let page = ProtocolErrorClassifier::builder().before(page).build();
    assert_eq!(page.classify(&said).rule, "page");
}

#[test]
fn any_error_is_read_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(
        &'static str,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    );

    let classifier = classifier();
    let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let request = Outer(
        "error sending request for url (http://127.0.0.1:9515/session/1b)",
        refused().into(),
    );
    assert_eq!(
        classifier.classify_error(Site::Unknown, &request).class,
        ErrorClass::BrowserGone
    );
    let webhook = Outer(
        "error sending request for url (http://127.0.0.1:8000/hook)",
        refused().into(),
    );
    assert_eq!(
        classifier.classify_error(Site::Unknown, &webhook).class,
        ErrorClass::Unrelated
    );
    let failure = ProtocolFailure::new(Site::Script, "Target closed").with_code("javascript error");
    let wrapped = Outer("chrome not reachable", failure.into());
    assert_eq!(
        classifier.classify_error(Site::Cdp, &wrapped).class,
        ErrorClass::PageScript
    );
    let long = Outer("x", "y".repeat(1 << 20).into());
    assert_eq!(
        classifier.classify_error(Site::Unknown, &long),
        Classification::UNLISTED
    );
}

#[cfg(feature = "webdriver")]
#[test]
fn fantoccinis_errors_are_known_by_their_variants() {
    use fantoccini::error::{CmdError, ErrorStatus, NewSessionError, WebDriver};

    let standard = |status, text: &str| WebDriver::new(status, text.to_owned());
    let command = |error: CmdError| {
        let classifier = classifier();
        let found = classifier.classify_error(Site::Unknown, &error);
        (found.class, found.verdict(Phase::Ending))
    };
    use ErrorClass as C;
    use Verdict as V;
    assert_eq!(
        command(CmdError::Standard(standard(ErrorStatus::NoSuchWindow, "x"))),
        (C::PageClosed, V::Suppress)
    );
    assert_eq!(
        command(CmdError::Standard(standard(
            ErrorStatus::JavascriptError,
            "no such window: Session closed"
        ))),
        (C::PageScript, V::Surface)
    );
    assert_eq!(
        command(CmdError::NotW3C("tab crashed".into())),
        (C::PageClosed, V::EndSession)
    );
    assert_eq!(
        command(CmdError::NotW3C("chrome not reachable".into())),
        (C::BrowserGone, V::Suppress)
    );
    let lost = std::io::Error::new(
        std::io::ErrorKind::BrokenPipe,
        "WebDriver session has been closed",
    );
    assert_eq!(command(CmdError::Lost(lost)), (C::PageClosed, V::Suppress));
    let not_created = NewSessionError::SessionNotCreated(standard(
        ErrorStatus::SessionNotCreated,
        "from chrome not reachable",
    ));
    assert_eq!(
        classifier()
            .classify_error(Site::Unknown, &not_created)
            .class,
        C::Setup
    );
}

#[test]
fn explanations_are_ours_and_short() {
    for class in ErrorClass::ALL {
        let explanation = class.explanation();
        assert!(
            (20..120).contains(&explanation.len()) && !explanation.contains('\n'),
            "{class}"
        );
    }
    let classifier = classifier();
    let secret = "Error: Protocol error (hunter2): Target closed";
    assert!(
        !classifier
            .classify_text(secret)
            .to_string()
            .contains("hunter2")
    );
}
