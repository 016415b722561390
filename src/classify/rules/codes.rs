//! Error codes: ours, those of W3C WebDriver, and those that drivers added.

use super::Pattern::{Code, CodeAndText, VagueCode};
use super::{CHROMEDRIVER, FANTOCCINI, GECKODRIVER, KEEP, ORPHAN, OURS, Row, W3C, row};
use crate::classify::ErrorClass::{
    Blocked, BrowserGone, Navigation, Network, PageClosed, PageScript, Setup, Timeout, Unrelated,
};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // Our own codes. fantoccini says the first two on a client whose own session was ended; browser and
    // driver may well live. A driver serves many sessions: that it cannot be reached is no evidence of
    // this one's end.
    row("ambiguous_tab", Setup, KEEP, Code("ambiguous_tab"), "3 tabs match", OURS),
    row("misconfigured", Setup, KEEP, Code("misconfigured"), "the URL of the driver is invalid", OURS),
    row("look_timeout", Timeout, ORPHAN, Code("look timeout"), "no answer within 2s", OURS),
    row("answer_too_long", Timeout, KEEP, Code("answer too long"), "error reading a body from connection: the WebDriver server's answer is longer than 16 MiB", OURS),
    row("wrong_origin", Navigation, ORPHAN, Code("wrong origin"), "the page is at another origin", OURS),
    row("no_answer", Navigation, ORPHAN, Code("no answer"), "the page gave no answer", OURS),
    row("connection_lost_after_end", PageClosed, ORPHAN, CodeAndText("connection lost", "WebDriver session has been closed"), "webdriver connection lost: WebDriver session has been closed", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost_at_end", PageClosed, ORPHAN, CodeAndText("connection lost", "WebDriver session was closed while waiting"), "webdriver connection lost: WebDriver session was closed while waiting", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost", BrowserGone, ORPHAN, Code("connection lost"), "the driver closed the connection", OURS),
    row("driver_unreachable", BrowserGone, KEEP, Code("driver unreachable"), "webdriver could not be reached (hyper_util): client error (SendRequest)", "fantoccini 0.22, CmdError::FailedC"),
    row("source_panicked", Unrelated, KEEP, Code("source panicked"), "index out of bounds", OURS),

    // Codes of W3C WebDriver and of drivers, with what refines them first.
    row("javascript_error_dead_object", Navigation, ORPHAN, CodeAndText("javascript error", "can't access dead object"), "TypeError: can't access dead object", GECKODRIVER),
    row("no_such_element_unseen", Navigation, ORPHAN, CodeAndText("no such element", "not seen before"), "Web element reference not seen before: 4d1ae883", GECKODRIVER),
    row("javascript_error_unloaded", Navigation, ORPHAN, CodeAndText("javascript error", "Document was unloaded"), "Document was unloaded", GECKODRIVER),
    row("no_such_element_foreign", Navigation, ORPHAN, CodeAndText("no such element", "is not known in the current browsing context"), "The element with the reference nope is not known in the current browsing context", GECKODRIVER),
    row("element_click_intercepted", Blocked, KEEP, Code("element click intercepted"), "element click intercepted", W3C),
    row("element_not_interactable", Blocked, KEEP, Code("element not interactable"), "element not interactable\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("element_not_selectable", Blocked, KEEP, Code("element not selectable"), "element not selectable", "older WebDriver drafts, fantoccini 0.22"),
    row("insecure_certificate", Network, KEEP, Code("insecure certificate"), "insecure certificate", W3C),
    row("invalid_argument", Setup, KEEP, Code("invalid argument"), "invalid argument: 'capabilities' must be a JSON object", CHROMEDRIVER),
    row("invalid_cookie_domain", Setup, KEEP, Code("invalid cookie domain"), "invalid cookie domain", W3C),
    row("invalid_coordinates", Setup, KEEP, Code("invalid coordinates"), "invalid coordinates", "older WebDriver drafts, fantoccini 0.22"),
    row("invalid_element_state", Blocked, KEEP, Code("invalid element state"), "invalid element state", W3C),
    row("invalid_selector", PageScript, KEEP, Code("invalid selector"), "invalid selector: An invalid or illegal selector was specified\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("invalid_session_id", PageClosed, ORPHAN, VagueCode("invalid session id"), "WebDriver session does not exist, or is not active", GECKODRIVER),
    row("javascript_error", PageScript, KEEP, Code("javascript error"), "javascript error: require is not defined\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("move_target_out_of_bounds", Blocked, KEEP, Code("move target out of bounds"), "move target out of bounds", W3C),
    row("no_such_alert", Blocked, KEEP, Code("no such alert"), "no such alert", W3C),
    row("no_such_cookie", PageScript, KEEP, Code("no such cookie"), "no such cookie", W3C),
    row("no_such_element", PageScript, KEEP, Code("no such element"), "no such element: Unable to locate element: {\"method\":\"css selector\",\"selector\":\"div[data-testid=\"chat-list\"]\"}", CHROMEDRIVER),
    row("no_such_frame", Navigation, ORPHAN, Code("no such frame"), "Unable to locate frame with index: 7", GECKODRIVER),
    row("no_such_shadow_root", PageScript, KEEP, Code("no such shadow root"), "no such shadow root", W3C),
    row("no_such_window", PageClosed, ORPHAN, Code("no such window"), "no such window\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("script_timeout", Timeout, ORPHAN, Code("script timeout"), "script timeout\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("session_not_created", Setup, KEEP, Code("session not created"), "session not created\nfrom unknown error: no chrome binary at /nope/chrome", CHROMEDRIVER),
    row("stale_element_reference", Navigation, ORPHAN, Code("stale element reference"), "stale element reference: stale element not found in the current frame\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("detached_shadow_root", Navigation, ORPHAN, Code("detached shadow root"), "detached shadow root", W3C),
    row("timeout", Timeout, ORPHAN, VagueCode("timeout"), "timeout\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("unable_to_set_cookie", PageScript, KEEP, Code("unable to set cookie"), "unable to set cookie", W3C),
    row("unable_to_capture_screen", Blocked, KEEP, Code("unable to capture screen"), "unable to capture screen", W3C),
    row("unexpected_alert_open", Blocked, KEEP, Code("unexpected alert open"), "unexpected alert open: {Alert text : Session closed}\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("unknown_command", Blocked, KEEP, Code("unknown command"), "unknown command: unknown command: nope", CHROMEDRIVER),
    row("unknown_error", Unrelated, KEEP, VagueCode("unknown error"), "unknown error", W3C),
    row("unknown_method", Blocked, KEEP, Code("unknown method"), "unknown method", W3C),
    row("unknown_path", Blocked, KEEP, Code("unknown path"), "unknown path", FANTOCCINI),
    row("unsupported_operation", Blocked, KEEP, Code("unsupported operation"), "Navigation to \"foo://bar\" is not allowed in this context", GECKODRIVER),
    row("code_tab_crashed", PageClosed, KEEP, Code("tab crashed"), "webdriver returned non-conforming response: String(\"tab crashed\")", "fantoccini 0.22, CmdError::NotW3C"),
    row("code_chrome_not_reachable", BrowserGone, ORPHAN, Code("chrome not reachable"), "chrome not reachable\n  (Session info: chrome=90.0.4412.0)", "web-platform-tests/wpt#27751"),
    row("code_disconnected", BrowserGone, ORPHAN, Code("disconnected"), "disconnected: received Inspector.detached event\n  (Session info: chrome=80.0.3987.132)", "SeleniumHQ/selenium#8099"),
    row("code_no_such_execution_context", Navigation, ORPHAN, Code("no such execution context"), "no such execution context: loader has changed while resolving nodes\n  (Session info: chrome=113.0.5672.93)", "moksha-z/automate-boss#1"),
    row("code_aborted_by_navigation", Navigation, ORPHAN, Code("aborted by navigation"), "aborted by navigation: loader has changed while resolving nodes\n(Session info: chrome=132.0.6834.83)", "dotnet/aspnetcore#60067"),
    row("code_target_frame_detached", Navigation, ORPHAN, Code("target frame detached"), "target frame detached", CHROMEDRIVER),
    row("code_unknown", PageScript, KEEP, Code("<unknown>"), "<unknown>: Failed to read the 'localStorage' property from 'Window': Storage is disabled inside 'data:' URLs.", CHROMEDRIVER),
    row("code_element_not_visible", Blocked, KEEP, Code("element not visible"), "element not visible", "ChromeDriver up to 74"),
    row("code_no_such_handle", Navigation, ORPHAN, Code("no such handle"), "no such handle", "WebDriver BiDi"),
    row("code_no_such_node", Navigation, ORPHAN, Code("no such node"), "no such node", "WebDriver BiDi"),
    row("code_no_such_request", Navigation, ORPHAN, Code("no such request"), "no such request", "WebDriver BiDi"),
    row("code_no_such_user_context", PageClosed, ORPHAN, Code("no such user context"), "no such user context", "WebDriver BiDi"),
];
