//! The origin of a failure: stacks and causes, call sites, the user's rules, foreign errors.

use super::*;

#[test]
fn causes_behind_a_stack_are_read_and_stacks_are_not() {
    use ErrorClass as C;
    #[rustfmt::skip]
    let cases = [
        ("Error: x\n    at Protocol error (a): Target closed", C::Unrelated),
        ("TypeError: x\n    at f (a.js:1:2) {\n  [cause]: Error: Target closed\n}", C::PageClosed),
        ("x.Y: z\n\tat a.b(C.java:1)\nCaused by: q.WebDriverException: chrome not reachable\n\tat d.e(F.java:2)", C::BrowserGone),
    ];
    for (text, class) in cases {
        assert_eq!(class_of(text), class, "{text}");
    }
}

#[test]
fn words_of_any_program_count_by_their_call_site() {
    use ErrorClass as C;
    #[rustfmt::skip]
    let cases = [
        ("Connection refused (os error 111)", [C::BrowserGone, C::BrowserGone, C::Network, C::Unrelated]),
        ("operation timed out", [C::Timeout, C::Timeout, C::Timeout, C::Unrelated]),
        ("TypeError: x is not a function", [C::Unrelated, C::PageScript, C::Unrelated, C::Unrelated]),
    ];
    let sites = [
        Site::WebDriverCommand,
        Site::Cdp,
        Site::Sidecar,
        Site::Unknown,
    ];
    for (text, classes) in cases {
        let expected = sites.into_iter().zip(classes);
        for (site, class) in expected.chain([(Site::Script, C::PageScript)]) {
            let failure = ProtocolFailure::new(site, text);
            assert_eq!(CLASSIFIER.classify(&failure).class, class, "{site}: {text}");
        }
    }
}

#[test]
fn own_rules_go_before_or_after_the_table_in_their_order() {
    let closed = "Protocol error (a.b): Target closed";
    let rule = |name, phrase| Rule::text(name, ErrorClass::Network, phrase);
    let second = Rule::text(
        "second".to_owned(),
        ErrorClass::Network,
        "closed".to_owned(),
    );
    let before = ProtocolErrorClassifier::builder()
        .before(rule("first", "Target").at(Site::Cdp))
        .before(second)
        .before(rule("third", "Target"))
        .build();
    assert_eq!(before.classify_text(closed).rule, "second");
    let at_cdp = ProtocolFailure::new(Site::Cdp, closed);
    assert_eq!(before.clone().classify(&at_cdp).rule, "first");

    let mine = rule("mine", "Target").orphan();
    let after = ProtocolErrorClassifier::builder().after(mine).build();
    assert_eq!(after.classify_text(closed).rule, "target_closed");
    let found = after.classify_text("the Target moved");
    assert_eq!(found.rule, "mine");
    assert_eq!(found.verdict(Phase::Ending), Verdict::Suppress);
    assert_eq!(found.verdict(Phase::Live), Verdict::Retry);

    // Neither stacks nor texts of the page are shown to rules.
    assert_eq!(after.classify_text("x\n    at Target").rule, "unlisted");
    let of_the_page = ProtocolFailure::new(Site::Script, "the Target moved");
    assert_eq!(after.classify(&of_the_page).rule, "page_said");
    let page = rule("page", "Target").at(Site::Script);
    let page = ProtocolErrorClassifier::builder().before(page).build();
    assert_eq!(page.classify(&of_the_page).rule, "page");
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Outer(
    &'static str,
    #[source] Box<dyn std::error::Error + Send + Sync>,
);

#[test]
fn any_error_is_read_with_its_causes() {
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let closed = ProtocolFailure::new(Site::Script, "Target closed").with_code("javascript error");
    #[rustfmt::skip]
    let cases = [
        (Site::Unknown, Outer("error sending request for url (http://127.0.0.1:9515/session/1b)", refused.into()), ErrorClass::BrowserGone),
        (Site::Unknown, Outer("error sending request for url (http://127.0.0.1:8000/hook)", "connection refused".into()), ErrorClass::Unrelated),
        (Site::Cdp, Outer("chrome not reachable", closed.into()), ErrorClass::PageScript),
        (Site::Unknown, Outer("x", "y".repeat(1 << 20).into()), ErrorClass::Unrelated),
    ];
    for (site, error, class) in cases {
        assert_eq!(
            CLASSIFIER.classify_error(site, &error).class,
            class,
            "{error}"
        );
    }
}

#[cfg(feature = "webdriver")]
#[test]
fn errors_of_fantoccini_are_known_by_their_variants() {
    use ErrorClass as C;
    use Verdict as V;
    use fantoccini::error::{CmdError, ErrorStatus as S, NewSessionError, WebDriver};

    let standard = |status, text: &str| WebDriver::new(status, text.to_owned());
    let broken = std::io::ErrorKind::BrokenPipe;
    let lost = std::io::Error::new(broken, "WebDriver session has been closed");
    #[rustfmt::skip]
    let cases = [
        (CmdError::Standard(standard(S::NoSuchWindow, "x")), C::PageClosed, V::Suppress),
        (CmdError::Standard(standard(S::JavascriptError, "no such window: Session closed")), C::PageScript, V::Surface),
        (CmdError::NotW3C("tab crashed".into()), C::PageClosed, V::EndSession),
        (CmdError::NotW3C("chrome not reachable".into()), C::BrowserGone, V::Suppress),
        (CmdError::Lost(lost), C::PageClosed, V::Suppress),
    ];
    for (error, class, ending) in cases {
        let found = CLASSIFIER.classify_error(Site::Unknown, &error);
        assert_eq!(
            (found.class, found.verdict(Phase::Ending)),
            (class, ending),
            "{error}"
        );
    }
    let not_created = standard(S::SessionNotCreated, "from chrome not reachable");
    let not_created = NewSessionError::SessionNotCreated(not_created);
    let found = CLASSIFIER.classify_error(Site::Unknown, &not_created);
    assert_eq!(found.class, C::Setup);
}
