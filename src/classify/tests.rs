use super::*;
use crate::failure::{ProtocolFailure, Site};

mod narrow;
mod sources;

fn classifier() -> ProtocolErrorClassifier {
    ProtocolErrorClassifier::default()
}

/// A row's sample as a driver would report it.
fn reported(row: &Row) -> ProtocolFailure {
    let site = match row.pattern {
        Pattern::AnyScript => Site::Script,
        Pattern::Text(_) => site_of(row),
        _ => Site::WebDriverCommand,
    };
    let failure = ProtocolFailure::new(site, row.sample);
    match row.pattern {
        Pattern::Code(code) | Pattern::VagueCode(code) | Pattern::CodeAndText(code, _) => {
            failure.with_code(code)
        }
        _ => failure,
    }
}

/// A call site that the row holds for, the least telling first.
fn site_of(row: &Row) -> Site {
    let holds = |site: &&Site| row.sites.contains(**site);
    *Site::ALL.iter().rev().find(holds).unwrap()
}

#[test]
fn every_sample_hits_its_own_row_first() {
    let classifier = classifier();
    let mut wrong = Vec::new();
    for row in rows() {
        let failure = reported(row);
        let mut found = vec![classifier.classify(&failure)];
        if let Pattern::Text(_) = row.pattern {
            let index = index::built_in();
            let first = index.first(&index.search(row.sample), site_of(row));
            if first.map(|first| first.name) != Some(row.name) {
                wrong.push((row.name, first.map_or("nothing", |first| first.name)));
            }
            if row.sites.contains(Site::Unknown) {
                found.push(classifier.classify_text(row.sample));
            }
            // Where the sample begins with a code, that row answers, and must say the same.
            found.retain(|found| (found.class, found.orphan) != (row.class, row.orphan));
        } else {
            found.retain(|found| *found != row.into());
        }
        wrong.extend(found.iter().map(|found| (row.name, found.rule)));
    }
    assert!(wrong.is_empty(), "samples and what they hit: {wrong:#?}");
}

#[test]
fn rows_are_well_formed_and_their_names_unique() {
    let mut names = std::collections::HashSet::from(["unlisted"]);
    for row in rows() {
        let name = row.name;
        assert!(names.insert(name), "{name} twice");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        );
        assert!(!row.sample.is_empty() && !row.origin.is_empty(), "{name}");
        let losable = matches!(
            row.class,
            ErrorClass::Navigation
                | ErrorClass::PageClosed
                | ErrorClass::BrowserGone
                | ErrorClass::Timeout
        );
        assert!(
            losable || !row.orphan,
            "{name}: only a loss can be an orphan"
        );
    }
}

#[test]
fn the_verdicts_are_those_of_the_table() {
    use ErrorClass as C;
    use Verdict as V;
    for (class, live) in [
        (C::Navigation, V::Retry),
        (C::Timeout, V::Retry),
        (C::Network, V::Retry),
        (C::Blocked, V::Retry),
        (C::PageClosed, V::EndSession),
        (C::BrowserGone, V::EndBrowser),
        (C::PageScript, V::Surface),
        (C::Setup, V::Surface),
        (C::Unrelated, V::Surface),
    ] {
        for orphan in [false, true] {
            let found = Classification {
                class,
                rule: "x",
                orphan,
                explanation: None,
            };
            assert_eq!(found.verdict(Phase::Live), live, "{class}");
            let ending = if orphan { V::Suppress } else { live };
            assert_eq!(found.verdict(Phase::Ending), ending, "{class}");
        }
    }
}

#[test]
fn what_is_not_listed_is_neither_retried_nor_suppressed() {
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
        "Error: x\n    at Protocol error (a): Target closed",
    ] {
        for found in [
            classifier().classify_text(text),
            classifier().classify(&ProtocolFailure::new(Site::Cdp, text)),
            classifier().classify(
                &ProtocolFailure::new(Site::WebDriverCommand, text).with_code("unheard of"),
            ),
        ] {
            assert_eq!(found, Classification::UNLISTED, "{text}");
            assert_eq!(found.verdict(Phase::Live), Verdict::Surface);
            assert_eq!(found.verdict(Phase::Ending), Verdict::Surface);
        }
    }
}

#[test]
fn the_code_goes_before_the_text_and_refines_only_where_listed() {
    use ErrorClass as C;
    for (code, text, class) in [
        (
            "javascript error",
            "javascript error: Session closed. Most likely the page has been closed",
            C::PageScript,
        ),
        (
            "javascript error",
            "javascript error: target window already closed",
            C::PageScript,
        ),
        (
            "javascript error",
            "most likely because of a navigation",
            C::PageScript,
        ),
        ("javascript error", "Document was unloaded", C::Navigation),
        (
            "unexpected alert open",
            "unexpected alert open: {Alert text : tab crashed}",
            C::Blocked,
        ),
        (
            "no such element",
            "Unable to locate element: chrome not reachable",
            C::PageScript,
        ),
        (
            "session not created",
            "session not created from chrome not reachable",
            C::Setup,
        ),
        (
            "no such window",
            "from disconnected: not connected to DevTools",
            C::PageClosed,
        ),
        (
            "timeout",
            "timeout from aborted by navigation",
            C::Navigation,
        ),
        (
            "timeout",
            "timeout from no such execution context",
            C::Navigation,
        ),
        (
            "timeout",
            "timeout: Timed out receiving message from renderer: 2.000",
            C::Timeout,
        ),
        (
            "invalid session id",
            "session deleted as the browser has closed the connection",
            C::BrowserGone,
        ),
        (
            "invalid session id",
            "session deleted because of page crash",
            C::PageClosed,
        ),
        (
            "invalid session id",
            "Got unexpected session id nope",
            C::PageClosed,
        ),
        (
            "unknown error",
            "unknown error: net::ERR_CONNECTION_REFUSED",
            C::Network,
        ),
        (
            "unknown error",
            "unknown error: net::ERR_ABORTED",
            C::Navigation,
        ),
        (
            "unknown error",
            "unknown error: Runtime.callFunctionOn threw exception: Error: target window already closed",
            C::PageScript,
        ),
        (
            "unknown error",
            "unknown error: something new",
            C::Unrelated,
        ),
    ] {
        let failure = ProtocolFailure::new(Site::WebDriverCommand, text).with_code(code);
        assert_eq!(
            classifier().classify(&failure).class,
            class,
            "{code}: {text}"
        );
    }
}

#[test]
fn text_of_the_page_is_not_read() {
    let said = "Protocol error (x): Session closed. Most likely the page has been closed.";
    for failure in [
        ProtocolFailure::new(Site::Script, said),
        ProtocolFailure::new(Site::Script, said).with_code("unknown error"),
        ProtocolFailure::new(Site::Script, "Document was unloaded").with_code("javascript error"),
        ProtocolFailure::new(Site::Script, said).with_code("unheard of"),
    ] {
        let classifier = classifier();
        let found = classifier.classify(&failure);
        assert_eq!(found.verdict(Phase::Live), Verdict::Surface, "{failure:?}");
        assert_eq!(
            found.verdict(Phase::Ending),
            Verdict::Surface,
            "{failure:?}"
        );
    }
    let gone = ProtocolFailure::new(Site::Script, "anything").with_code("no such window");
    assert_eq!(classifier().classify(&gone).class, ErrorClass::PageClosed);
}

#[test]
fn an_unknown_failure_is_read_by_its_cause_and_no_deeper_than_eight() {
    let closed = || ProtocolFailure::new(Site::Cdp, "Protocol error (a.b): Target closed");
    let wrap = |inner| ProtocolFailure::new(Site::Unknown, "the look failed").caused_by(inner);
    assert_eq!(
        classifier().classify(&wrap(closed())).class,
        ErrorClass::PageClosed
    );
    let deep = |levels: u32| (0..levels).fold(closed(), |inner, _| wrap(inner));
    assert_eq!(
        classifier().classify(&deep(8)).class,
        ErrorClass::PageClosed
    );
    let deepest = deep(9);
    assert_eq!(classifier().classify(&deepest), Classification::UNLISTED);
}

#[test]
fn plain_text_of_a_driver_shows_its_code() {
    use ErrorClass as C;
    for (text, class) in [
        (
            "no such window\n  (Session info: chrome=156.0.8078.79)",
            C::PageClosed,
        ),
        (
            "webdriver returned error: script timeout\n  (Session info: chrome=156.0.8078.79)",
            C::Timeout,
        ),
        (
            "javascript error: Session closed. Most likely the page has been closed.\n  (Session info: chrome=1)",
            C::PageScript,
        ),
        (
            "whatsapp-chatgpt  | Error: Execution context was destroyed, most likely because of a navigation.\nwhatsapp-chatgpt  |     at rewriteError",
            C::Navigation,
        ),
        (
            "\u{1b}[31mError: Protocol error (Page.navigate): Target closed.\u{1b}[39m",
            C::PageClosed,
        ),
    ] {
        assert_eq!(classifier().classify_text(text).class, class, "{text}");
    }
}

#[test]
fn a_text_without_end_is_read_to_a_bound() {
    let mut text = "é".repeat(MAX_READ / 2 - 1);
    text.push_str("xé Target closed");
    text.push_str(&"): Target closed".repeat(100_000));
    assert_eq!(classifier().classify_text(&text), Classification::UNLISTED);
    assert_eq!(
        classifier().classify_text("): Target closed").class,
        ErrorClass::PageClosed
    );
}

#[test]
fn it_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: T) {}
    shared(classifier());
}
