use super::*;
use crate::failure::{ProtocolFailure, Site};
use matcher::MATCHER;
use rules::rows;

mod lookalikes;
mod sources;

static CLASSIFIER: ProtocolErrorClassifier = ProtocolErrorClassifier::new();

/// Classifies a plain text.
fn class_of(text: &str) -> ErrorClass {
    CLASSIFIER.classify_text(text).class
}

/// Returns a call site that the row holds for.
fn site_of(row: &Row) -> Site {
    match (row.code, row.sites) {
        (Some(_), _) => Site::WebDriverCommand,
        (None, [site, ..]) => *site,
        (None, []) => Site::Unknown,
    }
}

/// Returns the row's sample, and the sample with each other phrase of its conditions.
fn samples(row: &Row) -> Vec<String> {
    let mut samples = vec![row.sample.to_owned()];
    for condition in row.conditions() {
        let phrases = condition.phrases();
        let is_in = |phrase: &&&str| row.sample.contains(**phrase);
        let Some(own) = phrases.iter().find(is_in) else {
            panic!("{}: the sample meets no condition", row.name);
        };
        let others = phrases.iter().filter(|phrase| *phrase != own);
        samples.extend(others.map(|other| row.sample.replacen(own, other, 1)));
    }
    samples
}

#[test]
fn every_sample_meets_its_own_row_first() {
    let mut wrong = Vec::new();
    for row in rows() {
        for sample in samples(row) {
            let failure = ProtocolFailure::new(site_of(row), &sample);
            let found = match row.code {
                Some(code) => Some(CLASSIFIER.classify(&failure.with_code(code)).rule),
                None => MATCHER
                    .by_text(&MATCHER.search(&sample), site_of(row))
                    .map(|row| row.name),
            };
            if found != Some(row.name) {
                wrong.push((row.name, found, sample));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "samples that meet another row: {wrong:#?}"
    );
}

#[test]
fn every_sample_has_the_class_of_its_row() {
    for row in rows() {
        let failure = ProtocolFailure::new(site_of(row), row.sample);
        let failure = match row.code {
            Some(code) => failure.with_code(code),
            None => failure,
        };
        let mut found = vec![CLASSIFIER.classify(&failure)];
        if row.code.is_none() {
            found.push(CLASSIFIER.classify_text_at(site_of(row), row.sample));
        }
        for found in found {
            assert_eq!(
                (found.class, found.orphan),
                (row.class, row.orphan),
                "{}",
                row.name
            );
        }
    }
}

#[test]
fn rows_are_well_formed_and_their_names_unique() {
    let mut names = std::collections::HashSet::from(["unlisted", rules::PAGE_SAID.name]);
    for row in rows() {
        let name = row.name;
        assert!(names.insert(name), "{name} twice");
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        assert!(name.bytes().all(is_plain), "{name}");
        assert!(row.code.is_some() || row.conditions().count() > 0, "{name}");
        use ErrorClass::{BrowserGone, Navigation, PageClosed, Timeout};
        let is_loss = matches!(row.class, Navigation | PageClosed | BrowserGone | Timeout);
        assert!(
            is_loss || !row.orphan,
            "{name}: only a loss can be an orphan"
        );
    }
}

#[test]
fn verdicts_are_those_of_the_table() {
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
                orphan,
                ..Classification::UNLISTED
            };
            assert_eq!(found.verdict(Phase::Live), live, "{class}");
            let ending = if orphan { V::Suppress } else { live };
            assert_eq!(found.verdict(Phase::Ending), ending, "{class}");
        }
    }
}

#[test]
fn the_code_decides_before_the_text_unless_it_says_little() {
    use ErrorClass as C;
    #[rustfmt::skip]
    let cases = [
        ("javascript error", "javascript error: Session closed. Most likely the page has been closed", C::PageScript),
        ("javascript error", "javascript error: target window already closed", C::PageScript),
        ("javascript error", "most likely because of a navigation", C::PageScript),
        ("javascript error", "Document was unloaded", C::Navigation),
        ("unexpected alert open", "unexpected alert open: {Alert text : tab crashed}", C::Blocked),
        ("no such element", "Unable to locate element: chrome not reachable", C::PageScript),
        ("session not created", "session not created from chrome not reachable", C::Setup),
        ("no such window", "from disconnected: not connected to DevTools", C::PageClosed),
        ("timeout", "timeout from aborted by navigation", C::Navigation),
        ("timeout", "timeout from no such execution context", C::Navigation),
        ("timeout", "timeout: Timed out receiving message from renderer: 2.000", C::Timeout),
        ("invalid session id", "session deleted as the browser has closed the connection", C::BrowserGone),
        ("invalid session id", "session deleted because of page crash", C::PageClosed),
        ("invalid session id", "Got unexpected session id nope", C::PageClosed),
        ("unknown error", "unknown error: net::ERR_CONNECTION_REFUSED", C::Network),
        ("unknown error", "unknown error: net::ERR_ABORTED", C::Navigation),
        ("unknown error", "unknown error: Runtime.callFunctionOn threw exception: Error: target window already closed", C::PageScript),
        ("unknown error", "unknown error: something new", C::Unrelated),
    ];
    for (code, text, class) in cases {
        let failure = ProtocolFailure::new(Site::WebDriverCommand, text).with_code(code);
        assert_eq!(CLASSIFIER.classify(&failure).class, class, "{code}: {text}");
    }
}

#[test]
fn text_of_the_page_is_not_read() {
    let text = "Protocol error (x): Session closed. Most likely the page has been closed.";
    let failure = |text: &str| ProtocolFailure::new(Site::Script, text);
    for failure in [
        failure(text),
        failure("t: t"),
        failure("Evaluation failed: t"),
        failure(text).with_code("unknown error"),
        failure("Document was unloaded").with_code("javascript error"),
        failure(text).with_code("unheard of"),
    ] {
        let found = CLASSIFIER.classify(&failure);
        for phase in [Phase::Live, Phase::Ending] {
            assert_eq!(found.verdict(phase), Verdict::Surface, "{failure:?}");
        }
        let is_script = found.class == ErrorClass::PageScript;
        assert!(
            is_script || failure.code() == Some("unknown error"),
            "{failure:?}"
        );
    }
    let gone = failure("anything").with_code("no such window");
    assert_eq!(CLASSIFIER.classify(&gone).class, ErrorClass::PageClosed);
}

#[test]
fn an_unknown_failure_is_read_by_its_cause_and_no_deeper_than_eight() {
    let closed = || ProtocolFailure::new(Site::Cdp, "Protocol error (a.b): Target closed");
    let wrap = |inner| ProtocolFailure::new(Site::Unknown, "the look failed").caused_by(inner);
    let deep = |levels: u32| (0..levels).fold(closed(), |inner, _| wrap(inner));
    for (levels, class) in [
        (1, ErrorClass::PageClosed),
        (8, ErrorClass::PageClosed),
        (9, ErrorClass::Unrelated),
    ] {
        assert_eq!(CLASSIFIER.classify(&deep(levels)).class, class, "{levels}");
    }
}

#[test]
fn a_code_that_says_little_leaves_room_for_rules_and_causes() {
    let after = Rule::text("mine", ErrorClass::Network, "flux");
    let after = ProtocolErrorClassifier::builder().after(after).build();
    let closed = || ProtocolFailure::new(Site::Cdp, "Protocol error (a.b): Target closed");
    for (code, alone) in [
        ("unknown error", ErrorClass::Unrelated),
        ("timeout", ErrorClass::Timeout),
        ("invalid session id", ErrorClass::PageClosed),
    ] {
        let flux = ProtocolFailure::new(Site::WebDriverCommand, "the flux").with_code(code);
        assert_eq!(after.classify(&flux).rule, "mine", "{code}");
        assert_eq!(CLASSIFIER.classify(&flux).class, alone, "{code}");
        let caused = flux.clone().caused_by(closed());
        assert_eq!(CLASSIFIER.classify(&caused).rule, "target_closed", "{code}");
        let caused = flux.caused_by(ProtocolFailure::new(Site::Script, "x"));
        assert_eq!(CLASSIFIER.classify(&caused).class, alone, "{code}");
        // The page may have written the causes of its own errors.
        let page = ProtocolFailure::new(Site::Script, "x").with_code(code);
        assert_eq!(
            CLASSIFIER.classify(&page.caused_by(closed())).class,
            alone,
            "{code}"
        );
    }
}

#[test]
fn a_text_without_end_is_read_to_a_bound() {
    let mut text = "é".repeat(MAX_READ / 2 - 1);
    text.push_str("xé Target closed");
    text.push_str(&"): Target closed".repeat(100_000));
    assert_eq!(CLASSIFIER.classify_text(&text), Classification::UNLISTED);
    assert_eq!(class_of("): Target closed"), ErrorClass::PageClosed);
}

#[test]
fn explanations_are_short_and_quote_no_failure() {
    for class in ErrorClass::ALL {
        let explanation = class.explanation();
        let is_short = (20..120).contains(&explanation.len()) && !explanation.contains('\n');
        assert!(is_short, "{class}");
    }
    let found = CLASSIFIER.classify_text("Error: Protocol error (hunter2): Target closed");
    assert!(!found.to_string().contains("hunter2"));
}

#[test]
fn a_classifier_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: T) {}
    shared(CLASSIFIER.clone());
}
