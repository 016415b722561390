//! What looks like ours and is another program's, and what foreign forms hide.

use super::*;

#[test]
fn other_services_with_sessions_end_nothing() {
    for text in [
        "error sending request for url (https://hooks.example.com/session/7/ready): client error (Connect)",
        "error sending request for url (http://10.0.0.7:8000/session/7/ready): operation timed out",
        "error sending request for url (https://auth.example.com/session): operation timed out",
        "error decoding response body for url (https://auth.example.com/session): EOF",
        "HTTP status server error (503 Service Unavailable) for url (https://billing.example.com/sessions/42)",
        "HTTP status client error (404 Not Found) for url (https://api.example.com/session/42)",
        "Post \"https://api.example.com/sessions\": dial tcp 10.0.0.1:443: i/o timeout",
        "Post \"http://127.0.0.1:8000/sessions\": dial tcp 127.0.0.1:8000: connect: connection refused",
        "ConnectionError: HTTPConnectionPool(host='api.example.com', port=80): Max retries exceeded with url: /sessions/new",
        "ConnectionError: HTTPConnectionPool(host='localhost', port=80): Max retries exceeded with url: /sessions/new",
        "Error: connect ECONNREFUSED 10.0.5.2:44443",
        "Error: connect ECONNREFUSED 10.0.5.2:95150",
        "java.net.ConnectException: Connection refused: db/10.0.5.2:44440",
        "dial tcp 10.0.0.7:9222999: connect: connection refused",
        "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='localhost', port=9200): Read timed out. (read timeout=10)",
        "urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='localhost', port=9200): Read timed out. (read timeout=10)",
    ] {
        let classifier = classifier();
        let found = classifier.classify_text(text);
        assert_eq!(found, Classification::UNLISTED, "{text}");
    }
    // The same words of the driver's own call site, wherever it runs.
    for (text, class) in [
        (
            "error sending request for url (http://grid:4444/session/7/url): client error (Connect)",
            ErrorClass::BrowserGone,
        ),
        (
            "error sending request for url (https://grid/session): operation timed out",
            ErrorClass::Timeout,
        ),
        (
            "HTTP status client error (404 Not Found) for url (https://grid/session/42)",
            ErrorClass::PageClosed,
        ),
    ] {
        let classifier = classifier();
        let found = classifier.classify_text_at(Site::WebDriverCommand, text);
        assert_eq!(found.class, class, "{text}");
    }
}

#[test]
fn what_others_say_nearly_alike_is_neither_suppressed_nor_ends_a_session() {
    for text in [
        "java.util.concurrent.TimeoutException: Timed out after 5000 ms",
        "Navigation timed out after 120 seconds: robot r2 did not reach its goal",
        "[radius] auth timeout",
        "Error: ready timeout",
        "[audit] LOGOUT",
        "[audit] UNPAIRED",
        "[audit] UNPAIRED_IDLE",
        "Error: CONFLICT",
        "Error: Session already ended.",
        "script timeout: deploy.sh took longer than 30 s",
        "invalid session id: 42 is not in table sessions",
        "error: no such alert: HighMemoryUsage",
        "invalid selector: app=web,tier",
        "unknown path: /srv/data",
        "request rejected due to invalid session id",
        "curl: (60) Peer's Certificate issuer is not recognized. SEC_ERROR_UNKNOWN_ISSUER",
    ] {
        let classifier = classifier();
        let found = classifier.classify_text(text);
        assert_ne!(found.verdict(Phase::Ending), Verdict::Suppress, "{text}");
        let live = found.verdict(Phase::Live);
        let ends = matches!(live, Verdict::EndSession | Verdict::EndBrowser);
        assert!(!ends, "{text}: {}", found.rule);
    }
    for (site, text, class) in [
        (Site::Cdp, "CONFLICT", ErrorClass::PageClosed),
        (
            Site::Cdp,
            "Error: Session already ended.",
            ErrorClass::PageClosed,
        ),
        (Site::Unknown, " LOGOUT\n", ErrorClass::PageClosed),
        (
            Site::WebDriverCommand,
            "Timed out after 1000 ms",
            ErrorClass::Timeout,
        ),
        (
            Site::Unknown,
            "NoSuchSessionError: invalid session id\n    at x",
            ErrorClass::PageClosed,
        ),
    ] {
        let classifier = classifier();
        assert_eq!(
            classifier.classify_text_at(site, text).class,
            class,
            "{text}"
        );
    }
}

#[test]
fn a_code_that_says_little_leaves_room_for_rules_and_causes() {
    let after = ProtocolErrorClassifier::builder()
        .after(Rule::text("mine", ErrorClass::Network, "flux"))
        .build();
    let closed = || ProtocolFailure::new(Site::Cdp, "Protocol error (a.b): Target closed");
    for (code, alone) in [
        ("unknown error", ErrorClass::Unrelated),
        ("timeout", ErrorClass::Timeout),
        ("invalid session id", ErrorClass::PageClosed),
    ] {
        let flux = ProtocolFailure::new(Site::WebDriverCommand, "the flux").with_code(code);
        assert_eq!(after.classify(&flux).rule, "mine", "{code}");
        let classifier = classifier();
        assert_eq!(classifier.classify(&flux).class, alone, "{code}");
        let caused = flux.clone().caused_by(closed());
        assert_eq!(classifier.classify(&caused).rule, "target_closed", "{code}");
        let caused = flux.caused_by(ProtocolFailure::new(Site::Script, "x"));
        assert_eq!(classifier.classify(&caused).class, alone, "{code}");
        // What a page caused itself is not asked.
        let page = ProtocolFailure::new(Site::Script, "x").with_code(code);
        let caused = page.caused_by(closed());
        assert_eq!(classifier.classify(&caused).class, alone, "{code}");
    }
}

#[test]
fn colours_bars_and_flattened_stacks_hide_nothing() {
    for (text, class) in [
        (
            "\u{1b}[31mError: Execution context was destroyed\u{1b}[39m",
            ErrorClass::PageClosed,
        ),
        ("Error: No LID\u{1b}[0m for user", ErrorClass::PageScript),
        (
            "target window \u{1b}[0malready closed",
            ErrorClass::PageClosed,
        ),
        (
            "x.Y: z\n\tat a.b(C.java:1)\nCaused by: q.WebDriverException: chrome not reachable\n\tat d.e(F.java:2)",
            ErrorClass::BrowserGone,
        ),
    ] {
        let classifier = classifier();
        assert_eq!(classifier.classify_text(text).class, class, "{text}");
        let reported = ProtocolFailure::new(Site::Cdp, text);
        assert_eq!(classifier.classify(&reported).class, class, "{text}");
    }
    let barred = "The element with the reference 4d is\nweb-1  | stale; either its node document";
    let classifier = classifier();
    assert_eq!(classifier.classify_text(barred).rule, "stale_reference");
}

#[test]
fn a_long_text_of_a_known_site_is_read_beyond_what_a_failure_keeps() {
    let frames = "  File \"x.py\", line 7, in look\n".repeat(100);
    let text = format!("Traceback (most recent call last):\n{frames}OSError: socket hang up");
    let classifier = classifier();
    let found = classifier.classify_text_at(Site::WebDriverCommand, &text);
    assert_eq!(found.class, ErrorClass::BrowserGone);
    assert_eq!(classifier.classify_text(&text), Classification::UNLISTED);
    let page = classifier.classify_text_at(Site::Script, "): Target closed");
    assert_eq!(page.rule, "page_said");
}

#[cfg(feature = "webdriver")]
#[test]
fn every_code_of_fantoccini_has_its_row() {
    use fantoccini::error::ErrorStatus as S;
    for status in [
        S::DetachedShadowRoot,
        S::ElementClickIntercepted,
        S::ElementNotInteractable,
        S::ElementNotSelectable,
        S::InsecureCertificate,
        S::InvalidArgument,
        S::InvalidCookieDomain,
        S::InvalidCoordinates,
        S::InvalidElementState,
        S::InvalidSelector,
        S::InvalidSessionId,
        S::JavascriptError,
        S::MoveTargetOutOfBounds,
        S::NoSuchAlert,
        S::NoSuchCookie,
        S::NoSuchElement,
        S::NoSuchFrame,
        S::NoSuchShadowRoot,
        S::NoSuchWindow,
        S::ScriptTimeout,
        S::SessionNotCreated,
        S::StaleElementReference,
        S::Timeout,
        S::UnableToCaptureScreen,
        S::UnableToSetCookie,
        S::UnexpectedAlertOpen,
        S::UnknownCommand,
        S::UnknownError,
        S::UnknownMethod,
        S::UnknownPath,
        S::UnsupportedOperation,
    ] {
        let code = status.description();
        let has_row = rows().any(|row| {
            matches!(row.pattern, Pattern::Code(known) | Pattern::VagueCode(known) if known == code)
        });
        assert!(has_row, "{code}");
    }
}
