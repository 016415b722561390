//! Texts that quote the page: whatever stands behind these words may be the page's. And texts of other
//! programs that a row below would take for ours.

use super::{
    CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, GECKODRIVER, KEEP, PLAYWRIGHT, PUPPETEER, Row, SELENIUM,
    text,
};
use crate::classify::ErrorClass::{Blocked, PageScript, Unrelated};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    text("alert_open", Blocked, KEEP, &["unexpected alert open"], "OpenQA.Selenium.UnhandledAlertException : unexpected alert open: {Alert text : }", "aquality-automation/aquality-selenium-dotnet#239"),
    text("alert_dialog", Blocked, KEEP, &["Unexpected alert dialog"], "Unexpected alert dialog detected. Performed handler \"dismiss\"", GECKODRIVER),
    text("alert_present", Blocked, KEEP, &["UnexpectedAlertPresentException"], "selenium.common.exceptions.UnexpectedAlertPresentException: Alert Text: hi", SELENIUM),
    text("evaluation_failed", PageScript, KEEP, &["Evaluation failed: "], "Error: Evaluation failed: TypeError: Cannot read property 'default' of undefined", "whatsapp-web.js on Puppeteer up to 19"),
    text("javascript_error_text", PageScript, KEEP, &["javascript error: "], "javascript error: Cannot read properties of undefined (reading 'Chat')", CHROMEDRIVER),
    text("javascript_returned_error", PageScript, KEEP, &["The Javascript code returned an error"], "The Javascript code returned an error:\n    Status: 500", "thirtyfour"),
    text("call_threw", PageScript, KEEP, &["Runtime.callFunctionOn threw exception"], "unknown error: Runtime.callFunctionOn threw exception: TypeError: Cannot read properties of undefined (reading 'code')", CHROMEDRIVER),
    text("evaluate_threw", PageScript, KEEP, &["Runtime.evaluate threw exception"], "unknown error: Runtime.evaluate threw exception: SyntaxError: Invalid or unexpected token", CHROMEDRIVER),
    text("exception_details", PageScript, KEEP, &["ExceptionDetails { exception_id"], "ExceptionDetails { exception_id: 1, text: \"Uncaught\", line_number: 0 }", CHROMIUMOXIDE),
    text("exception_uncaught", PageScript, KEEP, &["exception \"Uncaught"], "exception \"Uncaught\" (0:8): ReferenceError: foo is not defined", CHROMEDP),
    text("encountered_exception", PageScript, KEEP, &["encountered exception 'Uncaught"], "encountered exception 'Uncaught' (0:0)", CHROMEDP),
    text("eval_js_error", PageScript, KEEP, &["eval js error: "], "eval js error: TypeError: window.Store is undefined", CHROMEDP),
    text("evaluate_type_error", PageScript, KEEP, &["valuate: TypeError: "], "Error: page.evaluate: TypeError: Cannot read properties of undefined (reading 'Chat')", PLAYWRIGHT),
    text("evaluate_reference_error", PageScript, KEEP, &["valuate: ReferenceError: "], "Error: page.evaluate: ReferenceError: require is not defined", PLAYWRIGHT),
    text("evaluate_syntax_error", PageScript, KEEP, &["valuate: SyntaxError: "], "page.evaluate: SyntaxError: Unexpected token ')'", PLAYWRIGHT),
    text("evaluate_range_error", PageScript, KEEP, &["valuate: RangeError: "], "page.evaluate: RangeError: Maximum call stack size exceeded", PLAYWRIGHT),
    text("evaluate_dom_exception", PageScript, KEEP, &["valuate: DOMException: "], "page.evaluate: DOMException: Failed to read the 'localStorage' property from 'Window'", PLAYWRIGHT),
    text("evaluate_error", PageScript, KEEP, &["valuate: Error: "], "Error: page.evaluate: Error: no chat", PLAYWRIGHT),
    text("wait_type_error", PageScript, KEEP, &["waitForFunction: TypeError: "], "page.waitForFunction: TypeError: Cannot read properties of undefined (reading 'AppState')", PLAYWRIGHT),
    text("dom_not_allowed", Blocked, KEEP, &["DOMException: NotAllowedError: "], "DOMException: NotAllowedError: Failed to execute 'readText' on 'Clipboard': Read permission denied.", PUPPETEER),
    text("dom_security_error", PageScript, KEEP, &["DOMException: SecurityError"], "DOMException: SecurityError: Failed to read the 'localStorage' property from 'Window'", PUPPETEER),
    text("dom_not_found", PageScript, KEEP, &["DOMException: NotFoundError"], "DOMException: NotFoundError: Requested device not found", PUPPETEER),
    text("dom_quota", PageScript, KEEP, &["DOMException: QuotaExceededError"], "DOMException: QuotaExceededError: the quota has been exceeded", PUPPETEER),
    text("dom_invalid_state", PageScript, KEEP, &["DOMException: InvalidStateError"], "DOMException: InvalidStateError: A mutation operation was attempted on a database that did not allow mutations.", PUPPETEER),
    text("dom_clone", PageScript, KEEP, &["DOMException: DataCloneError"], "DOMException: DataCloneError: Failed to execute 'postMessage' on 'Window'", PUPPETEER),
    text("dom_syntax", PageScript, KEEP, &["DOMException: SyntaxError"], "DOMException: SyntaxError: Failed to execute 'querySelector' on 'Document': '##' is not a valid selector.", PUPPETEER),
    text("failed_to_execute", PageScript, KEEP, &["' on '", "Failed to execute '"], "SyntaxError: Failed to execute 'querySelector' on 'Document': '##' is not a valid selector.", "Chromium"),
    text("failed_to_read", PageScript, KEEP, &["' property from '", "Failed to read the '"], "SecurityError: Failed to read the 'localStorage' property from 'Window': Storage is disabled inside 'data:' URLs.", "Chromium"),

    // Other programs.
    text("test_timeout", Unrelated, KEEP, &["Timeout of ", "ms exceeded"], "Error: Timeout of 2000ms exceeded. For async tests and hooks, ensure \"done()\" is called", "Mocha"),
    text("karma_browser", Unrelated, KEEP, &["Disconnected, because no message in"], "HeadlessChrome 63.0.3205 (Linux 0.0.0) ERROR\n  Disconnected, because no message in 10000 ms.", "Karma"),
];
