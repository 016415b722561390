//! Errors of other programs in nearly the same words, and the forms in which texts arrive.

use super::*;

#[test]
fn unlisted_texts_are_neither_retried_nor_suppressed() {
    for text in [
        "",
        "something else",
        "SFTP :: SFTP session closed",
        "Session closed by remote host.",
        "Telnet session closed by remote host",
        "The target closed or rejected the scanner connection.",
        "Protocol error, got \"\\xf0\" as reply type byte",
        "Error [ERR_HTTP2_ERROR]: Protocol error",
        "Error: Protocol error, Session closed",
        "Error: Connection closed unexpectedly",
        "Error: Connection lost: The server closed the connection.",
        "timeout: the database did not answer",
        "unknown command: said by anybody",
        "Timeout 5000ms exceeded while acquiring the mutex",
        "Session closed at the Tokyo exchange",
        "Target closed the deal",
        "Page closed for maintenance",
        "most likely because of a navigation system update",
        "java.util.NoSuchElementException: No line found",
        "AxiosError: timeout of 1000ms exceeded",
        "Service stopped before startup completed",
        "JVM debug port 5005 not available",
        "error: received unknown error (42) from the mail server",
        "Error: x\n    at Protocol error (a): Target closed",
    ] {
        let failure = |site| ProtocolFailure::new(site, text);
        let code = failure(Site::WebDriverCommand).with_code("unheard of");
        for found in [
            CLASSIFIER.classify_text(text),
            CLASSIFIER.classify(&failure(Site::Cdp)),
            CLASSIFIER.classify(&code),
        ] {
            assert_eq!(found, Classification::UNLISTED, "{text}");
            assert_eq!(found.verdict(Phase::Live), Verdict::Surface);
            assert_eq!(found.verdict(Phase::Ending), Verdict::Surface);
        }
    }
}

#[test]
fn sessions_of_other_services_end_nothing() {
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
        assert_eq!(
            CLASSIFIER.classify_text(text),
            Classification::UNLISTED,
            "{text}"
        );
    }
    // The same words at the driver's own call site, on any host.
    use ErrorClass as C;
    #[rustfmt::skip]
    let cases = [
        ("error sending request for url (http://grid:4444/session/7/url): client error (Connect)", C::BrowserGone),
        ("error sending request for url (https://grid/session): operation timed out", C::Timeout),
        ("HTTP status client error (404 Not Found) for url (https://grid/session/42)", C::PageClosed),
    ];
    for (text, class) in cases {
        let found = CLASSIFIER.classify_text_at(Site::WebDriverCommand, text);
        assert_eq!(found.class, class, "{text}");
    }
}

#[test]
fn similar_texts_of_others_are_not_suppressed_and_end_no_session() {
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
        let found = CLASSIFIER.classify_text(text);
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
        assert_eq!(
            CLASSIFIER.classify_text_at(site, text).class,
            class,
            "{text}"
        );
    }
}

#[test]
fn forms_of_logs_and_drivers_hide_neither_code_nor_text() {
    use ErrorClass as C;
    #[rustfmt::skip]
    let cases = [
        ("no such window\n  (Session info: chrome=156.0.8078.79)", C::PageClosed),
        ("webdriver returned error: script timeout\n  (Session info: chrome=156.0.8078.79)", C::Timeout),
        ("javascript error: Session closed. Most likely the page has been closed.\n  (Session info: chrome=1)", C::PageScript),
        ("chatgpt  | Error: Execution context was destroyed, most likely because of a navigation.\nchatgpt  |     at rewriteError", C::Navigation),
        ("\u{1b}[31mError: Protocol error (Page.navigate): Target closed.\u{1b}[39m", C::PageClosed),
        ("\u{1b}[31mError: Execution context was destroyed\u{1b}[39m", C::PageClosed),
        ("Error: No LID\u{1b}[0m for user", C::PageScript),
        ("target window \u{1b}[0malready closed", C::PageClosed),
        ("x.Y: z\n\tat a.b(C.java:1)\nCaused by: q.WebDriverException: chrome not reachable\n\tat d.e(F.java:2)", C::BrowserGone),
        ("thread 'main' panicked at 'received unknown error (no such frame) for NOT_FOUND status code', x.rs:1", C::Navigation),
        ("panicked: received unknown error (timeout) for INTERNAL_SERVER_ERROR status code", C::Timeout),
        ("`Err` value: Standard(WebDriver { error: NoSuchWindow, message: \"x\" })", C::PageClosed),
        ("`Err` value: WebDriverError(NoSuchWindow(WebDriverErrorInfo { status: 404, error: \"\" }))", C::PageClosed),
    ];
    for (text, class) in cases {
        assert_eq!(class_of(text), class, "{text}");
        let reported = ProtocolFailure::new(Site::Cdp, text);
        assert_eq!(CLASSIFIER.classify(&reported).class, class, "{text}");
    }
    let barred = "The element with the reference 4d is\nweb-1  | stale; either its node document";
    assert_eq!(class_of(barred), C::Navigation);
}

#[test]
fn a_long_text_of_a_known_site_is_read_beyond_the_limit_of_a_failure() {
    let frames = "  File \"x.py\", line 7, in look\n".repeat(100);
    let text = format!("Traceback (most recent call last):\n{frames}OSError: socket hang up");
    let found = CLASSIFIER.classify_text_at(Site::WebDriverCommand, &text);
    assert_eq!(found.class, ErrorClass::BrowserGone);
    assert_eq!(CLASSIFIER.classify_text(&text), Classification::UNLISTED);
    let page = CLASSIFIER.classify_text_at(Site::Script, "): Target closed");
    assert_eq!(page.rule, "page_said");
}

#[cfg(feature = "webdriver")]
#[test]
fn every_code_of_fantoccini_has_its_row() {
    use fantoccini::error::ErrorStatus as S;
    #[rustfmt::skip]
    let all = [
        S::DetachedShadowRoot, S::ElementClickIntercepted, S::ElementNotInteractable, S::ElementNotSelectable,
        S::InsecureCertificate, S::InvalidArgument, S::InvalidCookieDomain, S::InvalidCoordinates,
        S::InvalidElementState, S::InvalidSelector, S::InvalidSessionId, S::JavascriptError,
        S::MoveTargetOutOfBounds, S::NoSuchAlert, S::NoSuchCookie, S::NoSuchElement, S::NoSuchFrame,
        S::NoSuchShadowRoot, S::NoSuchWindow, S::ScriptTimeout, S::SessionNotCreated, S::StaleElementReference,
        S::Timeout, S::UnableToCaptureScreen, S::UnableToSetCookie, S::UnexpectedAlertOpen, S::UnknownCommand,
        S::UnknownError, S::UnknownMethod, S::UnknownPath, S::UnsupportedOperation,
    ];
    for code in all.map(|status| status.description()) {
        assert!(rows().any(|row| row.code == Some(code)), "{code}");
    }
}
