//! Classifying allocates nothing, as the classifier's docs promise. The test is alone in its file,
//! because the allocator counts for the whole process.
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::{ErrorClass, Rule};
use whatsapp_phone::failure::{ProtocolFailure, Site};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Every message of the fixtures.
fn messages() -> Vec<String> {
    let fixtures = [
        include_str!("fixtures/errors.jsonl"),
        include_str!("fixtures/further.jsonl"),
    ];
    let lines = fixtures.into_iter().flat_map(str::lines).map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["message"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

#[test]
fn classifying_allocates_nothing() {
    let classifier = ProtocolErrorClassifier::builder()
        .before(Rule::text("before", ErrorClass::Network, "in no text"))
        .after(Rule::text(
            "after",
            ErrorClass::Network,
            "in no text either",
        ))
        .build();
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let long = "\u{1b}[31m x\nweb-1  | Target".repeat(10_000);
    let texts = messages();
    let failures = texts.iter().map(|text| {
        ProtocolFailure::new(Site::Cdp, text)
            .with_code("unknown error")
            .caused_by(ProtocolFailure::new(Site::Unknown, text))
    });
    let failures: Vec<_> = failures.collect();
    // The first call prepares the rules.
    assert_eq!(classifier.classify_text("").rule, "unlisted");

    let region = Region::new(ALLOCATOR);
    for text in &texts {
        for &site in Site::ALL {
            let _ = classifier.classify_text_at(site, text);
        }
    }
    for failure in &failures {
        let _ = classifier.classify(failure);
    }
    let _ = classifier.classify_text(&long);
    let _ = classifier.classify_error(Site::Cdp, &refused);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
