//! No answer came in time. These rules stand below those on losses: the loss that ended a wait says more.

use super::{
    BROWSER, CDP, CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, FANTOCCINI, GECKODRIVER, HEADLESS_CHROME,
    PLAYWRIGHT, PUPPETEER, Row, SELENIUM, WWEBJS, row,
};
use crate::classify::ErrorClass::Timeout;

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    row("protocol_timeout", Timeout).contains("Increase the 'protocolTimeout'").orphan().sample("ProtocolError: Runtime.callFunctionOn timed out. Increase the 'protocolTimeout' setting in launch/connect calls for a higher timeout if needed.", PUPPETEER),
    row("renderer_timeout", Timeout).contains("imed out receiving message from renderer").orphan().sample("timeout: Timed out receiving message from renderer: -0.001\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("navigation_timeout", Timeout).contains("Navigation timeout of ").contains(" exceeded").orphan().sample("TimeoutError: Navigation timeout of 1500 ms exceeded", PUPPETEER),
    row("navigation_timeout_old", Timeout).contains("Navigation Timeout Exceeded").orphan().sample("TimeoutError: Navigation Timeout Exceeded: 30000ms exceeded", "Puppeteer 1-2"),
    row("navigation_timed_out", Timeout).message_starts("Navigation timed out after ").message_ends("00 ms").orphan().sample("Navigation timed out after 2000 ms", GECKODRIVER),
    row("waiting_timeout", Timeout).message_ends("ms exceeded").contains("failed: ").contains("aiting f").orphan().sample("TimeoutError: Waiting for selector `#nope` failed: Waiting failed: 1000ms exceeded", PUPPETEER),
    row("waited_too_long", Timeout).message_starts("Timed out after waiting ").message_ends("00ms").orphan().sample("TimeoutError: Timed out after waiting 1000ms", PUPPETEER),
    row("timed_out_after", Timeout).message_starts("Timed out after ").message_ends("00 ms").orphan().at(BROWSER).sample("Timed out after 1000 ms", GECKODRIVER),
    row("playwright_timeout", Timeout).message_starts("Timeout ").message_ends("ms exceeded").orphan().sample("TimeoutError: page.waitForSelector: Timeout 1000ms exceeded.", PLAYWRIGHT),
    row("event_timeout", Timeout).contains("Timeout exceeded while waiting for event").orphan().sample("TimeoutError: Timeout exceeded while waiting for event", PUPPETEER),
    row("playwright_timeout_java", Timeout).contains("microsoft.playwright.TimeoutError").orphan().sample("com.microsoft.playwright.TimeoutError: Error {", PLAYWRIGHT),
    row("playwright_event", Timeout).message_starts("Timeout ").contains("ms exceeded while waiting for event ").orphan().sample("page.waitForEvent: Timeout 30000ms exceeded while waiting for event \"download\"", PLAYWRIGHT),
    row("polling_timeout", Timeout).contains("waiting for function failed: timeout").orphan().sample("waiting for function failed: timeout", CHROMEDP),
    row("expected_condition", Timeout).contains("Expected condition failed").contains("(tried for ").orphan().sample("org.openqa.selenium.TimeoutException: Expected condition failed: waiting for visibility (tried for 10 second(s) with 500 milliseconds interval)", SELENIUM),
    row("wdio_wait", Timeout).contains("\") still not ").contains("element (\"").orphan().sample("Error: element (\"#side\") still not displayed after 10000ms", "WebdriverIO"),
    row("selenide_timeout", Timeout).contains("Timeout: ").contains("selenide.ex.").orphan().sample("com.codeborne.selenide.ex.UIAssertionError: Timeout: 4 s.", "Selenide"),
    row("from_timeout", Timeout).contains("from timeout: Timed out").orphan().sample("unknown error: cannot determine loading status\nfrom timeout: Timed out", CHROMEDRIVER),
    row("test_timeout_playwright", Timeout).message_starts("Test timeout of ").sample("Test timeout of 30000ms exceeded.", PLAYWRIGHT),
    row("asynchronous_script_timeout", Timeout).contains("asynchronous script timeout").orphan().sample("asynchronous script timeout: result was not received", CHROMEDRIVER),
    row("wait_timeout", Timeout).contains("timeout waiting on condition").orphan().sample("timeout waiting on condition: ", FANTOCCINI),
    row("event_never_came", Timeout).contains("The event waited for never came").orphan().sample("The event waited for never came", HEADLESS_CHROME),
    row("whatsapp_timeout", Timeout).message_is_any(&["auth timeout", "ready timeout"]).sample("auth timeout", WWEBJS),
    row("request_timed_out", Timeout).message_is("Request timed out.").orphan().at(CDP).sample("Request timed out.", CHROMIUMOXIDE),
    row("context_deadline", Timeout).contains("context deadline exceeded").orphan().at(CDP).sample("context deadline exceeded", CHROMEDP),
];
