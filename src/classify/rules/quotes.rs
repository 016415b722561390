//! Texts that quote the page, so that the words behind the quote may be the page's; and texts of other
//! programs that rules further down would match.

use super::{CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, PLAYWRIGHT, PUPPETEER, Row, row};
use crate::classify::ErrorClass::{Blocked, PageScript, Unrelated};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    row("alert_open", Blocked).contains_any(&["unexpected alert open", "Unexpected alert dialog", "UnexpectedAlertPresentException"]).sample("OpenQA.Selenium.UnhandledAlertException : unexpected alert open: {Alert text : }", "aquality-automation/aquality-selenium-dotnet#239"),
    row("evaluation_failed", PageScript).contains("Evaluation failed: ").sample("Error: Evaluation failed: TypeError: Cannot read property 'default' of undefined", "whatsapp-web.js on Puppeteer up to 19"),
    row("javascript_error_text", PageScript).contains("javascript error: ").sample("javascript error: Cannot read properties of undefined (reading 'Chat')", CHROMEDRIVER),
    row("javascript_returned_error", PageScript).contains("The Javascript code returned an error").sample("The Javascript code returned an error:\n    Status: 500", "thirtyfour"),
    row("script_threw", PageScript).contains_any(&["Runtime.callFunctionOn threw exception", "Runtime.evaluate threw exception"]).sample("unknown error: Runtime.callFunctionOn threw exception: TypeError: Cannot read properties of undefined (reading 'code')", CHROMEDRIVER),
    row("exception_details", PageScript).contains("ExceptionDetails { exception_id").sample("ExceptionDetails { exception_id: 1, text: \"Uncaught\", line_number: 0 }", CHROMIUMOXIDE),
    row("exception_uncaught", PageScript).contains_any(&["exception \"Uncaught", "encountered exception 'Uncaught"]).sample("exception \"Uncaught\" (0:8): ReferenceError: foo is not defined", CHROMEDP),
    row("eval_js_error", PageScript).contains("eval js error: ").sample("eval js error: TypeError: window.Store is undefined", CHROMEDP),
    row("evaluate_error", PageScript).contains_any(&["valuate: TypeError: ", "valuate: ReferenceError: ", "valuate: SyntaxError: ", "valuate: RangeError: ", "valuate: DOMException: ", "valuate: Error: ", "waitForFunction: TypeError: "]).sample("Error: page.evaluate: TypeError: Cannot read properties of undefined (reading 'Chat')", PLAYWRIGHT),
    row("dom_not_allowed", Blocked).contains("DOMException: NotAllowedError: ").sample("DOMException: NotAllowedError: Failed to execute 'readText' on 'Clipboard': Read permission denied.", PUPPETEER),
    row("dom_exception", PageScript).contains_any(&["DOMException: SecurityError", "DOMException: NotFoundError", "DOMException: QuotaExceededError", "DOMException: InvalidStateError", "DOMException: DataCloneError", "DOMException: SyntaxError"]).sample("DOMException: SecurityError: Failed to read the 'localStorage' property from 'Window'", PUPPETEER),
    row("failed_to_execute", PageScript).contains("Failed to execute '").contains("' on '").sample("SyntaxError: Failed to execute 'querySelector' on 'Document': '##' is not a valid selector.", "Chromium"),
    row("failed_to_read", PageScript).contains("Failed to read the '").contains("' property from '").sample("SecurityError: Failed to read the 'localStorage' property from 'Window': Storage is disabled inside 'data:' URLs.", "Chromium"),

    // Other programs.
    row("test_timeout", Unrelated).contains("ms exceeded").contains("Timeout of ").sample("Error: Timeout of 2000ms exceeded. For async tests and hooks, ensure \"done()\" is called", "Mocha"),
    row("karma_browser", Unrelated).contains("Disconnected, because no message in").sample("HeadlessChrome 63.0.3205 (Linux 0.0.0) ERROR\n  Disconnected, because no message in 10000 ms.", "Karma"),
];
