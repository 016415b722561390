//! Names of error types, asked last: they say what kind of command failed, and texts say why.

use super::{FANTOCCINI, KEEP, ORPHAN, OURS, Pattern, Row, SELENIUM, row, text};
use crate::classify::ErrorClass::{Blocked, Network, PageClosed, PageScript, Setup, Timeout};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    text("name_session", PageClosed, ORPHAN, &["elenium", "InvalidSessionId"], "selenium.common.exceptions.InvalidSessionIdException: Message: \n", SELENIUM),
    text("name_no_session", PageClosed, ORPHAN, &["elenium", "NoSuchSession"], "org.openqa.selenium.NoSuchSessionException: gone", SELENIUM),
    text("name_session_not_found", PageClosed, ORPHAN, &["elenium", "SessionNotFoundException"], "org.openqa.selenium.remote.SessionNotFoundException: gone", SELENIUM),
    text("name_window", PageClosed, ORPHAN, &["elenium", "NoSuchWindow"], "Selenium::WebDriver::Error::NoSuchWindowError: gone", SELENIUM),
    text("name_script_timeout", Timeout, ORPHAN, &["elenium", "ScriptTimeout"], "org.openqa.selenium.ScriptTimeoutException: 30 s", SELENIUM),
    text("name_timeout_java", Timeout, ORPHAN, &["openqa.selenium.TimeoutException"], "org.openqa.selenium.TimeoutException: java.net.SocketTimeoutException", SELENIUM),
    text("name_timeout_python", Timeout, ORPHAN, &["common.exceptions.TimeoutException"], "selenium.common.exceptions.TimeoutException: Message: \n", SELENIUM),
    text("name_timeout_net", Timeout, ORPHAN, &["WebDriverTimeoutException"], "OpenQA.Selenium.WebDriverTimeoutException: Timed out after 10 seconds", SELENIUM),
    text("name_timeout_ruby", Timeout, ORPHAN, &["WebDriver::Error::TimeoutError"], "Selenium::WebDriver::Error::TimeoutError: timed out after 10 seconds", SELENIUM),
    text("name_javascript", PageScript, KEEP, &["JavascriptException"], "org.openqa.selenium.JavascriptException: x is not defined", SELENIUM),
    text("name_javascript_ruby", PageScript, KEEP, &["Error::JavascriptError"], "Selenium::WebDriver::Error::JavascriptError: x is not defined", SELENIUM),
    text("name_no_element", PageScript, KEEP, &["selenium.NoSuchElementE"], "org.openqa.selenium.NoSuchElementException: #side", SELENIUM),
    text("name_no_element_python", PageScript, KEEP, &["exceptions.NoSuchElementE"], "selenium.common.exceptions.NoSuchElementException: Message: \n", SELENIUM),
    text("name_no_element_net", PageScript, KEEP, &["Selenium.NoSuchElementE"], "OpenQA.Selenium.NoSuchElementException : #side", SELENIUM),
    text("name_no_element_js", PageScript, KEEP, &["NoSuchElementError"], "NoSuchElementError: #side", SELENIUM),
    text("name_selector", PageScript, KEEP, &["InvalidSelectorE"], "org.openqa.selenium.InvalidSelectorException: ##", SELENIUM),
    text("name_alert", Blocked, KEEP, &["UnhandledAlertException"], "org.openqa.selenium.UnhandledAlertException: Modal dialog present", SELENIUM),
    text("name_no_alert", Blocked, KEEP, &["NoAlertPresentException"], "org.openqa.selenium.NoAlertPresentException: none", SELENIUM),
    text("name_intercepted", Blocked, KEEP, &["ElementClickIntercepted"], "ElementClickInterceptedException: by a div", SELENIUM),
    text("name_interactable", Blocked, KEEP, &["ElementNotInteractable"], "ElementNotInteractableException: hidden", SELENIUM),
    text("name_visible", Blocked, KEEP, &["ElementNotVisibleE"], "ElementNotVisibleException: hidden", SELENIUM),
    text("name_certificate", Network, KEEP, &["InsecureCertificateE"], "InsecureCertificateException: self signed", SELENIUM),
    text("name_argument", Setup, KEEP, &["selenium.InvalidArgumentException"], "org.openqa.selenium.InvalidArgumentException: bad", SELENIUM),
    text("variant_lost", PageClosed, ORPHAN, &["^Lost(Custom { kind: BrokenPipe"], "Lost(Custom { kind: BrokenPipe, error: \"gone\" })", FANTOCCINI),
];

/// What a page said, whatever it was.
pub(super) static PAGE_SAID: Row = row(
    "page_said",
    PageScript,
    KEEP,
    Pattern::AnyScript,
    "Session closed",
    OURS,
);
