//! What clients in Rust say when the driver does not answer as it should.

use super::{FANTOCCINI, KEEP, ORPHAN, PLAYWRIGHT, Row, SELENIUM, text};
use crate::classify::ErrorClass::{BrowserGone, PageScript, Setup, Timeout};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // A driver serves many sessions: that it cannot be reached is no evidence of this one's end.
    text("driver_not_reached", BrowserGone, KEEP, &["webdriver could not be reached"], "webdriver could not be reached (hyper_util): client error (SendRequest)", FANTOCCINI),
    text("driver_no_response", BrowserGone, KEEP, &["webdriver server did not respond"], "webdriver server did not respond: error reading a body from connection", FANTOCCINI),
    text("driver_failed_variant", BrowserGone, KEEP, &["^Failed(hyper::Error("], "Failed(hyper::Error(IncompleteMessage))", FANTOCCINI),
    text("driver_failed_client_variant", BrowserGone, KEEP, &["FailedC(hyper_util::"], "FailedC(hyper_util::client::legacy::Error(SendRequest, hyper::Error(IncompleteMessage)))", FANTOCCINI),
    text("driver_lost", BrowserGone, ORPHAN, &["webdriver connection lost"], "webdriver connection lost: broken pipe", FANTOCCINI),
    text("unknown_code", PageScript, KEEP, &["String(\"<unknown>\")"], "webdriver returned non-conforming response: String(\"<unknown>\")", FANTOCCINI),
    text("unknown_code_text", PageScript, KEEP, &["<unknown>: Failed to "], "<unknown>: Failed to read it\n  (Session info: chrome=156.0.8078.79)", "ChromeDriver"),
    text("not_webdriver", Setup, KEEP, &["webdriver returned non-conforming response"], "webdriver returned non-conforming response: Object {}", FANTOCCINI),
    text("driver_no_json", Setup, KEEP, &["webdriver returned invalid response"], "webdriver returned invalid response: <html>", FANTOCCINI),
    text("driver_incoherent", Setup, KEEP, &["webdriver returned incoherent response"], "webdriver returned incoherent response: EOF while parsing", FANTOCCINI),
    text("driver_http_timeout", Timeout, KEEP, &["timed out after", "HTTP request to the remote WebDriver server"], "OpenQA.Selenium.WebDriverException: The HTTP request to the remote WebDriver server for URL http://localhost:51234/session/abc/element timed out after 60 seconds.", SELENIUM),
    text("driver_unexpected_answer", BrowserGone, KEEP, &["sending an HTTP request to the remote WebDriver server"], "An unknown exception was encountered sending an HTTP request to the remote WebDriver server for URL http://localhost:51234/session/abc", SELENIUM),
    text("playwright_driver_gone", BrowserGone, KEEP, &["Playwright connection closed"], "com.microsoft.playwright.impl.DriverException: Playwright connection closed", PLAYWRIGHT),
];
