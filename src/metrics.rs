//! Metrics, recorded through the facade of the crate [`metrics`](https://docs.rs/metrics) (feature `metrics`).
//!
//! A program installs a recorder, for instance the one of `metrics-exporter-prometheus`, and calls [`register`]
//! once. Without a recorder nothing is recorded; without the feature the crate records nothing.
//!
//! | metric | type, unit | labels | meaning |
//! |---|---|---|---|
//! | [`EXTRACTIONS`] | counter | `outcome`, `source` | extractions that ended |
//! | [`EXTRACTION_FAILURES`] | counter | `outcome` | those that ended without a number |
//! | [`EXTRACTION_DURATION`] | histogram, seconds | `outcome`, `source` | time from the call to the answer |
//! | [`SESSION_READY_PROCESSING_TIME`] | histogram, milliseconds | `outcome` | time that a `StoreSink` takes for a `session_ready` |
//! | [`PROTOCOL_ERRORS_SUPPRESSED`] | counter | `class` | errors that were expected after the end of their session |
//! | [`SESSIONS_UNRESPONSIVE`] | gauge | | watched pages that do not answer |
//! | [`OUTBOX_PENDING`] | gauge | `queue` | events that wait in an outbox |
//! | [`OUTBOX_OLDEST_AGE`] | gauge, seconds | `queue` | age of the first of them; 0 if none waits |
//! | [`OUTBOX_DEAD_LETTERS`] | gauge | `queue` | dead letters of an outbox |
//! | [`OUTBOX_DELIVERIES`] | counter | `queue`, `outcome` | attempts to deliver an event of an outbox |
//!
//! Labels are categories. They hold no number, JID or id:
//!
//! - `outcome` of an extraction: the [assurance](crate::Assurance) of the number (`confirmed`, `unverified`,
//!   `provisional`), or the [code](crate::ErrorKind::code) of the error.
//! - `outcome` of a `session_ready`: `applied`, `ignored`, or the code of the store's error.
//! - `source`: the name of the source that gave the number, `none` without a number.
//! - `queue`: the name of the outbox. Every process with a worker records the gauges of the whole queue.
//! - `outcome` of a delivery: `delivered`, `failed` (it is tried again) or `dead`.
//! - `class`: the [class](crate::classify::ErrorClass) of the error.
//!
//! A dropped extraction is not recorded. The success rate is
//! `1 - rate(whatsapp_phone_extraction_failures) / rate(whatsapp_phone_extractions_total)`.

use std::time::Duration;

#[cfg(feature = "metrics")]
use crate::codes;

/// Counter: extractions that ended, with and without a number.
pub const EXTRACTIONS: &str = "whatsapp_phone_extractions_total";
/// Counter: extractions that ended without a number.
pub const EXTRACTION_FAILURES: &str = "whatsapp_phone_extraction_failures";
/// Histogram, seconds: the time that an extraction took.
pub const EXTRACTION_DURATION: &str = "whatsapp_phone_extraction_duration_seconds";
/// Histogram, milliseconds: the time that a store took to process a `session_ready`.
pub const SESSION_READY_PROCESSING_TIME: &str = "whatsapp_session_ready_processing_time_ms";
/// Counter: errors that were expected after the end of their session.
pub const PROTOCOL_ERRORS_SUPPRESSED: &str = "whatsapp_protocol_errors_suppressed_total";
/// Gauge: watched pages that do not answer.
pub const SESSIONS_UNRESPONSIVE: &str = "whatsapp_phone_sessions_unresponsive";

/// Gauge: events that wait in an outbox.
pub const OUTBOX_PENDING: &str = "whatsapp_phone_outbox_pending";
/// Gauge, seconds: the age of the first event that waits in an outbox.
pub const OUTBOX_OLDEST_AGE: &str = "whatsapp_phone_outbox_oldest_age_seconds";
/// Gauge: dead letters of an outbox.
pub const OUTBOX_DEAD_LETTERS: &str = "whatsapp_phone_outbox_dead_letters";
/// Counter: attempts to deliver an event of an outbox.
pub const OUTBOX_DELIVERIES: &str = "whatsapp_phone_outbox_deliveries_total";

/// The codes of [`ErrorKind`](crate::ErrorKind).
#[cfg(feature = "metrics")]
const EXTRACTION_CODES: [&str; 9] = [
    codes::NOT_READY,
    codes::LID_ONLY,
    codes::PAGE_CLOSED,
    codes::BROWSER_GONE,
    codes::BLOCKED,
    codes::SOURCES_DISAGREE,
    codes::SOURCE_PANICKED,
    codes::AMBIGUOUS_TAB,
    codes::MISCONFIGURED,
];

/// Gives the installed recorder the description and unit of every metric, and starts the counters of errors at
/// zero: a counter that begins with its first error shows no increase.
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scrape = PrometheusBuilder::new().install_recorder()?;
/// whatsapp_phone::metrics::register();
/// // An HTTP handler answers with this text.
/// let text = scrape.render();
/// # assert!(text.contains("not_ready"));
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "metrics")]
pub fn register() {
    use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(EXTRACTIONS, Unit::Count, "Extractions that ended");
    describe_counter!(
        EXTRACTION_FAILURES,
        Unit::Count,
        "Extractions that ended without a number"
    );
    describe_histogram!(
        EXTRACTION_DURATION,
        Unit::Seconds,
        "Time from the call to the answer"
    );
    describe_histogram!(
        SESSION_READY_PROCESSING_TIME,
        Unit::Milliseconds,
        "Time that a store took to process a session_ready"
    );
    describe_counter!(
        PROTOCOL_ERRORS_SUPPRESSED,
        Unit::Count,
        "Errors that were expected after the end of their session"
    );
    describe_gauge!(
        SESSIONS_UNRESPONSIVE,
        Unit::Count,
        "Watched pages that do not answer"
    );
    describe_gauge!(OUTBOX_PENDING, Unit::Count, "Events that wait in an outbox");
    describe_gauge!(
        OUTBOX_OLDEST_AGE,
        Unit::Seconds,
        "Age of the first event that waits in an outbox"
    );
    describe_gauge!(
        OUTBOX_DEAD_LETTERS,
        Unit::Count,
        "Dead letters of an outbox"
    );
    describe_counter!(
        OUTBOX_DELIVERIES,
        Unit::Count,
        "Attempts to deliver an event of an outbox"
    );
    for outcome in EXTRACTION_CODES {
        counter!(EXTRACTIONS, "outcome" => outcome, "source" => "none").absolute(0);
        counter!(EXTRACTION_FAILURES, "outcome" => outcome).absolute(0);
    }
    for class in crate::classify::ErrorClass::ALL {
        counter!(PROTOCOL_ERRORS_SUPPRESSED, "class" => class.as_str()).absolute(0);
    }
}

/// Records an extraction that ended; `source` is `None` without a number.
pub(crate) fn extraction(outcome: &'static str, source: Option<&str>, elapsed: Duration) {
    #[cfg(feature = "metrics")]
    {
        let labels = [
            ("outcome", metrics::SharedString::const_str(outcome)),
            (
                "source",
                metrics::SharedString::from(source.unwrap_or("none").to_owned()),
            ),
        ];
        metrics::counter!(EXTRACTIONS, &labels).increment(1);
        metrics::histogram!(EXTRACTION_DURATION, &labels).record(elapsed);
        if source.is_none() {
            metrics::counter!(EXTRACTION_FAILURES, "outcome" => outcome).increment(1);
        }
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (outcome, source, elapsed);
}

/// Records that a store has processed a `session_ready`.
#[cfg(feature = "events")]
pub(crate) fn session_ready(outcome: &'static str, elapsed: Duration) {
    #[cfg(feature = "metrics")]
    metrics::histogram!(SESSION_READY_PROCESSING_TIME, "outcome" => outcome)
        .record(elapsed.as_secs_f64() * 1_000.0);
    #[cfg(not(feature = "metrics"))]
    let _ = (outcome, elapsed);
}

/// Records the state of an outbox.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) fn outbox(queue: &str, waiting: u64, oldest: Duration, dead: u64) {
    #[cfg(feature = "metrics")]
    {
        let labels = [("queue", queue.to_owned())];
        metrics::gauge!(OUTBOX_PENDING, &labels).set(waiting as f64);
        metrics::gauge!(OUTBOX_OLDEST_AGE, &labels).set(oldest.as_secs_f64());
        metrics::gauge!(OUTBOX_DEAD_LETTERS, &labels).set(dead as f64);
        for outcome in ["delivered", "failed", "dead"] {
            outbox_deliveries(queue, outcome, 0);
        }
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (queue, waiting, oldest, dead);
}

/// Records an attempt to deliver an event of an outbox.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) fn outbox_delivery(queue: &str, outcome: &'static str) {
    #[cfg(feature = "metrics")]
    outbox_deliveries(queue, outcome, 1);
    #[cfg(not(feature = "metrics"))]
    let _ = (queue, outcome);
}

#[cfg(all(
    feature = "metrics",
    any(feature = "sqlite", feature = "postgres", feature = "mysql")
))]
fn outbox_deliveries(queue: &str, outcome: &'static str, count: u64) {
    let labels = [
        ("queue", metrics::SharedString::from(queue.to_owned())),
        ("outcome", metrics::SharedString::const_str(outcome)),
    ];
    metrics::counter!(OUTBOX_DELIVERIES, &labels).increment(count);
}

/// Records an error that was expected after the end of its session.
#[cfg(feature = "supervisor")]
pub(crate) fn error_suppressed(class: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!(PROTOCOL_ERRORS_SUPPRESSED, "class" => class).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = class;
}

/// A watched page; it counts as unresponsive while it is set so, and not after it is dropped.
#[cfg(feature = "events")]
#[derive(Debug)]
pub(crate) struct WatchedPage {
    is_unresponsive: bool,
}

#[cfg(feature = "events")]
impl WatchedPage {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        metrics::gauge!(SESSIONS_UNRESPONSIVE).increment(0.0);
        Self {
            is_unresponsive: false,
        }
    }

    pub(crate) fn set_unresponsive(&mut self, is_unresponsive: bool) {
        if std::mem::replace(&mut self.is_unresponsive, is_unresponsive) != is_unresponsive {
            #[cfg(feature = "metrics")]
            metrics::gauge!(SESSIONS_UNRESPONSIVE).increment(if is_unresponsive {
                1.0
            } else {
                -1.0
            });
        }
    }
}

#[cfg(feature = "events")]
impl Drop for WatchedPage {
    fn drop(&mut self) {
        self.set_unresponsive(false);
    }
}
