//! Reading an error allocates nothing, as the classifier's docs promise. Alone in its file: the counts
//! are those of the whole process.
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use whatsapp_phone::ProtocolErrorClassifier;
use whatsapp_phone::classify::{ErrorClass, Rule, rows};
use whatsapp_phone::failure::{ProtocolFailure, Site};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn reading_allocates_nothing() {
    let classifier = ProtocolErrorClassifier::builder()
        .before(Rule::text(
            "before",
            ErrorClass::Network,
            "nowhere to be found",
        ))
        .after(Rule::text("after", ErrorClass::Network, "nowhere either"))
        .build();
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let long = "\u{1b}[31m x\nweb-1  | Target".repeat(10_000);
    let failures: Vec<_> = rows()
        .map(|row| {
            ProtocolFailure::new(Site::Cdp, row.sample)
                .with_code("unknown error")
                .caused_by(ProtocolFailure::new(Site::Unknown, row.sample))
        })
        .collect();
    // The first reading makes the index.
    assert_eq!(classifier.classify_text("").rule, "unlisted");

    let region = Region::new(ALLOCATOR);
    for row in rows() {
        for site in Site::ALL {
            let _ = classifier.classify_text_at(site, row.sample);
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
