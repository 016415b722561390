//! Measures the classifier on real messages with labels.
//!
//! - `fixtures/errors.jsonl`: the real messages that the rules were written for.
//! - `fixtures/further.jsonl`: further messages and many similar texts of other programs, some written
//!   from memory, some from public issues. Its parts were labelled and classified before any rule was added
//!   for them, except `field-` (new kinds of failures) and `sample-` (former samples of the rules).
//! - `fixtures/frozen.jsonl`: messages from public issues, labelled before they were classified. **No rule is
//!   ever written for one of them**, so this part shows the accuracy on unknown messages.
//!
//! First results on each part, as bare text and by all fields; without the ambiguous messages in the
//! first three parts, with them in the others:
//!
//! | part | content | right | orphans suppressed | others suppressed |
//! |---|---|---|---|---|
//! | `own-` | all stacks, and similar texts of others, by the first rules | 68 % | 24 of 56 | 1 of 63 unrelated |
//! | `blind-` | mostly families that no rule knew | 87 % | 31 of 35 | 2 of 44 unrelated |
//! | `unseen-` | known sentences in other forms (all 23 right), then families that no rule knew | 85 % | 17 of 22 | 1 of 26 unrelated |
//! | `late-` | rarer sentences of all stacks, and texts close to known rows | 66 of 118 | 18 of 37 | 6 of 78 |
//! | `wild-` | public issues and logs | 31 of 39 | 8 of 10 | 0 of 27 |
//! | `frozen-` | public issues and logs | 69 of 79 | 26 of 32 | 0 of 44 |
//!
//! The rules know all parts but `frozen-` today, so the figures of those only show regressions. Each
//! message is classified with all fields that a driver reports, with fewer, and as a bare line of text.
//! `cargo test --test accuracy -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use whatsapp_phone::classify::{Classification, Phase, ProtocolErrorClassifier, Verdict};
use whatsapp_phone::failure::{ProtocolFailure, Site};

struct Message(Value);

impl Message {
    fn text(&self, key: &str) -> Option<&str> {
        self.0[key].as_str()
    }

    fn message(&self) -> &str {
        self.text("message").unwrap()
    }

    fn class(&self) -> &str {
        self.text("class").unwrap()
    }

    fn is_ambiguous(&self) -> bool {
        self.0["ambiguous"] == true
    }

    /// Whether the answer is the label, or one of several labels of an ambiguous text.
    fn allows(&self, answer: &str) -> bool {
        let others = self.0["alt_classes"].as_array();
        answer == self.class() || others.is_some_and(|all| all.iter().any(|alt| alt == answer))
    }

    /// The call site at which a message of this origin is caught.
    fn site(&self) -> Site {
        match self.text("origin").unwrap() {
            "chromedriver" | "geckodriver" | "fantoccini" | "http" => Site::WebDriverCommand,
            "puppeteer" | "playwright" => Site::Cdp,
            _ => Site::Unknown,
        }
    }

    fn reported(&self, site: Site) -> ProtocolFailure {
        let failure = ProtocolFailure::new(site, self.message());
        match self.text("webdriver_error_code") {
            Some(code) => failure.with_code(code.to_owned()),
            None => failure,
        }
    }
}

fn fixture(name: &str) -> Vec<Message> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let text = fs::read_to_string(path.join(name)).unwrap();
    let messages: Vec<_> = text
        .lines()
        .map(|line| Message(serde_json::from_str(line).unwrap()))
        .collect();
    assert!(messages.len() > 50, "{name} is cut");
    messages
}

/// Classifies a message by some of its fields.
type View = for<'a> fn(&'a ProtocolErrorClassifier, &Message) -> Classification<'a>;

const VIEWS: [(&str, View); 4] = [
    ("all fields", |by, message| {
        by.classify(&message.reported(message.site()))
    }),
    ("code and text", |by, message| {
        by.classify(&message.reported(Site::Unknown))
    }),
    ("cleaned text", |by, message| {
        by.classify(&ProtocolFailure::new(Site::Unknown, message.message()))
    }),
    ("text", |by, message| by.classify_text(message.message())),
];

/// Returns the share of right classes in percent, of the unambiguous messages and of all. Prints the
/// shares by class, and every message that was classified wrongly.
fn accuracy(name: &str, view: &str, classified: &[(&Message, Classification<'_>)]) -> (f64, f64) {
    let mut classes: BTreeMap<&str, [u32; 4]> = BTreeMap::new();
    for (message, found) in classified {
        let right = message.allows(found.class.as_str());
        for class in [message.class(), "all of them"] {
            let counts = classes.entry(class).or_default();
            counts[2] += u32::from(right);
            counts[3] += 1;
            if !message.is_ambiguous() {
                counts[0] += u32::from(right);
                counts[1] += 1;
            }
        }
        if !right {
            let text: String = message.message().chars().take(120).collect();
            println!(
                "  {} for {} by {}: {text:?}",
                found.class,
                message.class(),
                found.rule
            );
        }
    }
    let share = |right: u32, all: u32| f64::from(right) * 100.0 / f64::from(all.max(1));
    let mut total = (0.0, 0.0);
    for (class, [right, all, any_right, any]) in classes {
        let of_class = (share(right, all), share(any_right, any));
        println!(
            "{name}, {view}: {class}: {right}/{all} = {:.1} %, with ambiguous {any_right}/{any} = {:.1} %",
            of_class.0, of_class.1
        );
        if class == "all of them" {
            total = of_class;
        }
    }
    total
}

/// Counts the suppressed messages: of the expected orphans, of the others, of the unrelated.
fn suppressed(
    name: &str,
    view: &str,
    classified: &[(&Message, Classification<'_>)],
    phase: Phase,
) -> [(u32, u32); 3] {
    let mut counts = [(0, 0); 3];
    for (message, found) in classified {
        let Some(is_orphan) = message.0["after_disconnect_safe"].as_bool() else {
            continue;
        };
        let is_suppressed = found.verdict(phase) == Verdict::Suppress;
        let kinds = [is_orphan, !is_orphan, message.class() == "unrelated"];
        for (count, _) in counts.iter_mut().zip(kinds).filter(|(_, is)| *is) {
            count.0 += u32::from(is_suppressed);
            count.1 += 1;
        }
        if phase == Phase::Ending && is_suppressed != is_orphan {
            let text: String = message.message().chars().take(120).collect();
            println!(
                "  {} by {}: {text:?}",
                found.verdict(phase).as_str(),
                found.rule
            );
        }
    }
    println!("{name}, {view}: suppressed while {phase:?}: orphans, others, unrelated: {counts:?}");
    counts
}

/// The limits that a set must keep, in percent.
struct Limits {
    right: f64,
    right_with_ambiguous: f64,
    orphans_suppressed: f64,
    others_suppressed: f64,
}

fn check(name: &str, limits: &Limits) {
    let messages = fixture(name);
    let classifier = ProtocolErrorClassifier::new();
    for (view, classify) in VIEWS {
        let classified: Vec<_> = messages
            .iter()
            .map(|message| (message, classify(&classifier, message)))
            .collect();
        let (right, with_ambiguous) = accuracy(name, view, &classified);
        let [orphans, others, unrelated] = suppressed(name, view, &classified, Phase::Ending);
        let share = |(some, all): (u32, u32)| f64::from(some) * 100.0 / f64::from(all);
        assert!(right >= limits.right, "{name}, {view}: {right}");
        assert!(
            with_ambiguous >= limits.right_with_ambiguous,
            "{name}, {view}: {with_ambiguous}"
        );
        assert!(
            share(orphans) >= limits.orphans_suppressed,
            "{name}, {view}: {orphans:?}"
        );
        assert!(
            share(others) <= limits.others_suppressed,
            "{name}, {view}: {others:?}"
        );
        assert_eq!(unrelated.0, 0, "{name}, {view}");
        for (suppressed, _) in self::suppressed(name, view, &classified, Phase::Live) {
            assert_eq!(suppressed, 0, "{name}, {view}");
        }
    }
}

#[test]
fn known_messages_are_classified() {
    let limits = Limits {
        right: 98.0,
        right_with_ambiguous: 97.0,
        orphans_suppressed: 97.0,
        others_suppressed: 3.0,
    };
    check("errors.jsonl", &limits);
}

#[test]
fn further_messages_are_classified() {
    let limits = Limits {
        right: 95.0,
        right_with_ambiguous: 95.0,
        orphans_suppressed: 95.0,
        others_suppressed: 3.0,
    };
    check("further.jsonl", &limits);
}

#[test]
fn unknown_messages_are_classified_as_well_as_before() {
    let limits = Limits {
        right: 89.0,
        right_with_ambiguous: 87.0,
        orphans_suppressed: 81.0,
        others_suppressed: 0.0,
    };
    check("frozen.jsonl", &limits);
}
