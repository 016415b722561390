//! Clients in several languages report that the driver does not answer as it should.

use super::{FANTOCCINI, PLAYWRIGHT, Row, SELENIUM, row};
use crate::classify::ErrorClass::{BrowserGone, PageScript, Setup, Timeout};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // One driver serves many sessions, so an unreachable driver is no evidence that this session ended.
    row("driver_no_response", BrowserGone).contains_any(&["webdriver could not be reached", "webdriver server did not respond"]).sample("webdriver could not be reached (hyper_util): client error (SendRequest)", FANTOCCINI),
    row("driver_failed_variant", BrowserGone).message_starts("Failed(hyper::Error(").sample("Failed(hyper::Error(IncompleteMessage))", FANTOCCINI),
    row("driver_failed_client_variant", BrowserGone).contains("FailedC(hyper_util::").sample("FailedC(hyper_util::client::legacy::Error(SendRequest, hyper::Error(IncompleteMessage)))", FANTOCCINI),
    row("driver_lost", BrowserGone).contains("webdriver connection lost").orphan().sample("webdriver connection lost: broken pipe", FANTOCCINI),
    row("unknown_code", PageScript).contains("String(\"<unknown>\")").sample("webdriver returned non-conforming response: String(\"<unknown>\")", FANTOCCINI),
    row("unknown_code_text", PageScript).contains("<unknown>: Failed to ").sample("<unknown>: Failed to read it\n  (Session info: chrome=156.0.8078.79)", "ChromeDriver"),
    row("not_webdriver", Setup).contains_any(&["webdriver returned non-conforming response", "webdriver returned invalid response", "webdriver returned incoherent response"]).sample("webdriver returned non-conforming response: Object {}", FANTOCCINI),
    row("driver_http_timeout", Timeout).contains("HTTP request to the remote WebDriver server").contains("timed out after").sample("OpenQA.Selenium.WebDriverException: The HTTP request to the remote WebDriver server for URL http://localhost:51234/session/abc/element timed out after 60 seconds.", SELENIUM),
    row("driver_unexpected_answer", BrowserGone).contains("sending an HTTP request to the remote WebDriver server").sample("An unknown exception was encountered sending an HTTP request to the remote WebDriver server for URL http://localhost:51234/session/abc", SELENIUM),
    row("playwright_driver_gone", BrowserGone).contains("Playwright connection closed").sample("com.microsoft.playwright.impl.DriverException: Playwright connection closed", PLAYWRIGHT),
];
