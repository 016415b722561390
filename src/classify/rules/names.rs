//! Names of error types, tried last: they name the failed command, and texts name the reason.

use super::{FANTOCCINI, Row, SELENIUM, THIS_CRATE, row};
use crate::classify::ErrorClass::{Blocked, Network, PageClosed, PageScript, Setup, Timeout};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    row("name_session", PageClosed).contains_any(&["InvalidSessionId", "NoSuchSession", "SessionNotFoundException", "NoSuchWindow"]).contains("elenium").orphan().sample("selenium.common.exceptions.InvalidSessionIdException: Message: \n", SELENIUM),
    row("name_script_timeout", Timeout).contains("ScriptTimeout").contains("elenium").orphan().sample("org.openqa.selenium.ScriptTimeoutException: 30 s", SELENIUM),
    row("name_timeout", Timeout).contains_any(&["openqa.selenium.TimeoutException", "common.exceptions.TimeoutException", "WebDriverTimeoutException", "WebDriver::Error::TimeoutError"]).orphan().sample("org.openqa.selenium.TimeoutException: java.net.SocketTimeoutException", SELENIUM),
    row("name_javascript", PageScript).contains_any(&["JavascriptException", "Error::JavascriptError"]).sample("org.openqa.selenium.JavascriptException: x is not defined", SELENIUM),
    row("name_no_element", PageScript).contains_any(&["selenium.NoSuchElementE", "exceptions.NoSuchElementE", "Selenium.NoSuchElementE", "NoSuchElementError", "InvalidSelectorE"]).sample("org.openqa.selenium.NoSuchElementException: #side", SELENIUM),
    row("name_alert", Blocked).contains_any(&["UnhandledAlertException", "NoAlertPresentException", "ElementClickIntercepted", "ElementNotInteractable", "ElementNotVisibleE"]).sample("org.openqa.selenium.UnhandledAlertException: Modal dialog present", SELENIUM),
    row("name_certificate", Network).contains("InsecureCertificateE").sample("InsecureCertificateException: self signed", SELENIUM),
    row("name_argument", Setup).contains("selenium.InvalidArgumentException").sample("org.openqa.selenium.InvalidArgumentException: bad", SELENIUM),
    row("variant_lost", PageClosed).message_starts("Lost(Custom { kind: BrokenPipe").orphan().sample("Lost(Custom { kind: BrokenPipe, error: \"gone\" })", FANTOCCINI),
];

/// The fallback for a failure of a page script.
pub(in crate::classify) static PAGE_SAID: Row =
    row("page_said", PageScript).sample("Session closed", THIS_CRATE);
