//! No answer in time. Below the losses: what stopped a wait says more than that something waited.

use super::{
    CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, FANTOCCINI, GECKODRIVER, HEADLESS_CHROME, KEEP, ORPHAN,
    PLAYWRIGHT, PUPPETEER, Row, SELENIUM, Sites, WWEBJS, text,
};
use crate::classify::ErrorClass::Timeout;

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    text("protocol_timeout", Timeout, ORPHAN, &["Increase the 'protocolTimeout'"], "ProtocolError: Runtime.callFunctionOn timed out. Increase the 'protocolTimeout' setting in launch/connect calls for a higher timeout if needed.", PUPPETEER),
    text("renderer_timeout", Timeout, ORPHAN, &["imed out receiving message from renderer"], "timeout: Timed out receiving message from renderer: -0.001\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    text("navigation_timeout", Timeout, ORPHAN, &[" exceeded", "Navigation timeout of "], "TimeoutError: Navigation timeout of 1500 ms exceeded", PUPPETEER),
    text("navigation_timeout_old", Timeout, ORPHAN, &["Navigation Timeout Exceeded"], "TimeoutError: Navigation Timeout Exceeded: 30000ms exceeded", "Puppeteer 1-2"),
    text("navigation_timed_out", Timeout, ORPHAN, &["00 ms$", "^Navigation timed out after "], "Navigation timed out after 2000 ms", GECKODRIVER),
    text("waiting_timeout", Timeout, ORPHAN, &["aiting f", "failed: ", "ms exceeded$"], "TimeoutError: Waiting for selector `#nope` failed: Waiting failed: 1000ms exceeded", PUPPETEER),
    text("waited_too_long", Timeout, ORPHAN, &["00ms$", "^Timed out after waiting "], "TimeoutError: Timed out after waiting 1000ms", PUPPETEER),
    text("timed_out_after", Timeout, ORPHAN, &["00 ms$", "^Timed out after "], "Timed out after 1000 ms", GECKODRIVER).at(Sites::BROWSER),
    text("playwright_timeout", Timeout, ORPHAN, &["ms exceeded$", "^Timeout "], "TimeoutError: page.waitForSelector: Timeout 1000ms exceeded.", PLAYWRIGHT),
    text("event_timeout", Timeout, ORPHAN, &["Timeout exceeded while waiting for event"], "TimeoutError: Timeout exceeded while waiting for event", PUPPETEER),
    text("playwright_timeout_java", Timeout, ORPHAN, &["microsoft.playwright.TimeoutError"], "com.microsoft.playwright.TimeoutError: Error {", PLAYWRIGHT),
    text("playwright_event", Timeout, ORPHAN, &["ms exceeded while waiting for event ", "^Timeout "], "page.waitForEvent: Timeout 30000ms exceeded while waiting for event \"download\"", PLAYWRIGHT),
    text("polling_timeout", Timeout, ORPHAN, &["waiting for function failed: timeout"], "waiting for function failed: timeout", CHROMEDP),
    text("expected_condition", Timeout, ORPHAN, &["(tried for ", "Expected condition failed"], "org.openqa.selenium.TimeoutException: Expected condition failed: waiting for visibility (tried for 10 second(s) with 500 milliseconds interval)", SELENIUM),
    text("wdio_wait", Timeout, ORPHAN, &["element (\"", "\") still not "], "Error: element (\"#side\") still not displayed after 10000ms", "WebdriverIO"),
    text("selenide_timeout", Timeout, ORPHAN, &["selenide.ex.", "Timeout: "], "com.codeborne.selenide.ex.UIAssertionError: Timeout: 4 s.", "Selenide"),
    text("from_timeout", Timeout, ORPHAN, &["from timeout: Timed out"], "unknown error: cannot determine loading status\nfrom timeout: Timed out", CHROMEDRIVER),
    text("test_timeout_playwright", Timeout, KEEP, &["^Test timeout of "], "Test timeout of 30000ms exceeded.", PLAYWRIGHT),
    text("asynchronous_script_timeout", Timeout, ORPHAN, &["asynchronous script timeout"], "asynchronous script timeout: result was not received", CHROMEDRIVER),
    text("wait_timeout", Timeout, ORPHAN, &["timeout waiting on condition"], "timeout waiting on condition: ", FANTOCCINI),
    text("event_never_came", Timeout, ORPHAN, &["The event waited for never came"], "The event waited for never came", HEADLESS_CHROME),
    text("auth_timeout", Timeout, KEEP, &["^auth timeout$"], "auth timeout", WWEBJS),
    text("ready_timeout", Timeout, KEEP, &["^ready timeout$"], "ready timeout", WWEBJS),
    text("request_timed_out", Timeout, ORPHAN, &["^Request timed out.$"], "Request timed out.", CHROMIUMOXIDE).at(Sites::CDP),
    text("context_deadline", Timeout, ORPHAN, &["context deadline exceeded"], "context deadline exceeded", CHROMEDP).at(Sites::CDP),
];
