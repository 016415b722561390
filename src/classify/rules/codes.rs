//! Error codes: the crate's own, those of W3C WebDriver, and those that drivers added.

use super::{CHROMEDRIVER, FANTOCCINI, GECKODRIVER, Row, THIS_CRATE, W3C, row};
use crate::classify::ErrorClass::{
    Blocked, BrowserGone, Navigation, Network, PageClosed, PageScript, Setup, Timeout, Unrelated,
};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // Codes of this crate. fantoccini also reports a lost connection on a client whose session was ended
    // while browser and driver live. One driver serves many sessions, so an unreachable driver is no
    // evidence that this session ended.
    row("ambiguous_tab", Setup).common_code("ambiguous_tab").sample("3 tabs match", THIS_CRATE),
    row("misconfigured", Setup).common_code("misconfigured").sample("the URL of the driver is invalid", THIS_CRATE),
    row("look_timeout", Timeout).common_code("look timeout").orphan().sample("no answer within 2s", THIS_CRATE),
    row("answer_too_long", Timeout).code("answer too long").sample("error reading a body from connection: the WebDriver server's answer is longer than 16 MiB", THIS_CRATE),
    row("wrong_origin", Navigation).common_code("wrong origin").orphan().sample("the page is at another origin", THIS_CRATE),
    row("no_answer", Navigation).common_code("no answer").orphan().sample("the page gave no answer", THIS_CRATE),
    row("connection_lost_after_end", PageClosed).common_code("connection lost").contains("WebDriver session has been closed").orphan().sample("webdriver connection lost: WebDriver session has been closed", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost_at_end", PageClosed).common_code("connection lost").contains("WebDriver session was closed while waiting").orphan().sample("webdriver connection lost: WebDriver session was closed while waiting", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost", BrowserGone).common_code("connection lost").orphan().sample("the driver closed the connection", THIS_CRATE),
    row("driver_unreachable", BrowserGone).common_code("driver unreachable").sample("webdriver could not be reached (hyper_util): client error (SendRequest)", "fantoccini 0.22, CmdError::FailedC"),
    row("source_panicked", Unrelated).common_code("source panicked").sample("index out of bounds", THIS_CRATE),

    // Codes of W3C WebDriver and of drivers. A row that also looks at the text stands above the code alone.
    row("javascript_error_dead_object", Navigation).code("javascript error").contains("can't access dead object").orphan().sample("TypeError: can't access dead object", GECKODRIVER),
    row("no_such_element_unseen", Navigation).code("no such element").contains("not seen before").orphan().sample("Web element reference not seen before: 4d1ae883", GECKODRIVER),
    row("javascript_error_unloaded", Navigation).code("javascript error").contains("Document was unloaded").orphan().sample("Document was unloaded", GECKODRIVER),
    row("no_such_element_foreign", Navigation).code("no such element").contains("is not known in the current browsing context").orphan().sample("The element with the reference nope is not known in the current browsing context", GECKODRIVER),
    row("element_click_intercepted", Blocked).code("element click intercepted").sample("element click intercepted", W3C),
    row("element_not_interactable", Blocked).code("element not interactable").sample("element not interactable\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("element_not_selectable", Blocked).code("element not selectable").sample("element not selectable", "older WebDriver drafts, fantoccini 0.22"),
    row("insecure_certificate", Network).code("insecure certificate").sample("insecure certificate", W3C),
    row("invalid_argument", Setup).common_code("invalid argument").sample("invalid argument: 'capabilities' must be a JSON object", CHROMEDRIVER),
    row("invalid_cookie_domain", Setup).code("invalid cookie domain").sample("invalid cookie domain", W3C),
    row("invalid_coordinates", Setup).common_code("invalid coordinates").sample("invalid coordinates", "older WebDriver drafts, fantoccini 0.22"),
    row("invalid_element_state", Blocked).code("invalid element state").sample("invalid element state", W3C),
    row("invalid_selector", PageScript).common_code("invalid selector").sample("invalid selector: An invalid or illegal selector was specified\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("invalid_session_id", PageClosed).common_code("invalid session id").fallback().orphan().sample("WebDriver session does not exist, or is not active", GECKODRIVER),
    row("javascript_error", PageScript).code("javascript error").sample("javascript error: require is not defined\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("move_target_out_of_bounds", Blocked).code("move target out of bounds").sample("move target out of bounds", W3C),
    row("no_such_alert", Blocked).common_code("no such alert").sample("no such alert", W3C),
    row("no_such_cookie", PageScript).code("no such cookie").sample("no such cookie", W3C),
    row("no_such_element", PageScript).code("no such element").sample("no such element: Unable to locate element: {\"method\":\"css selector\",\"selector\":\"div[data-testid=\"chat-list\"]\"}", CHROMEDRIVER),
    row("no_such_frame", Navigation).code("no such frame").orphan().sample("Unable to locate frame with index: 7", GECKODRIVER),
    row("no_such_shadow_root", PageScript).code("no such shadow root").sample("no such shadow root", W3C),
    row("no_such_window", PageClosed).code("no such window").orphan().sample("no such window\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("script_timeout", Timeout).common_code("script timeout").orphan().sample("script timeout\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("session_not_created", Setup).common_code("session not created").sample("session not created\nfrom unknown error: no chrome binary at /nope/chrome", CHROMEDRIVER),
    row("stale_element_reference", Navigation).code("stale element reference").orphan().sample("stale element reference: stale element not found in the current frame\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("detached_shadow_root", Navigation).code("detached shadow root").orphan().sample("detached shadow root", W3C),
    row("timeout", Timeout).common_code("timeout").fallback().orphan().sample("timeout\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("unable_to_set_cookie", PageScript).code("unable to set cookie").sample("unable to set cookie", W3C),
    row("unable_to_capture_screen", Blocked).code("unable to capture screen").sample("unable to capture screen", W3C),
    row("unexpected_alert_open", Blocked).code("unexpected alert open").sample("unexpected alert open: {Alert text : Session closed}\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("unknown_command", Blocked).common_code("unknown command").sample("unknown command: unknown command: nope", CHROMEDRIVER),
    row("unknown_error", Unrelated).common_code("unknown error").fallback().sample("unknown error", W3C),
    row("unknown_method", Blocked).common_code("unknown method").sample("unknown method", W3C),
    row("unknown_path", Blocked).common_code("unknown path").sample("unknown path", FANTOCCINI),
    row("unsupported_operation", Blocked).common_code("unsupported operation").sample("Navigation to \"foo://bar\" is not allowed in this context", GECKODRIVER),
    row("code_tab_crashed", PageClosed).code("tab crashed").sample("webdriver returned non-conforming response: String(\"tab crashed\")", "fantoccini 0.22, CmdError::NotW3C"),
    row("code_chrome_not_reachable", BrowserGone).code("chrome not reachable").orphan().sample("chrome not reachable\n  (Session info: chrome=90.0.4412.0)", "web-platform-tests/wpt#27751"),
    row("code_disconnected", BrowserGone).common_code("disconnected").orphan().sample("disconnected: received Inspector.detached event\n  (Session info: chrome=80.0.3987.132)", "SeleniumHQ/selenium#8099"),
    row("code_no_such_execution_context", Navigation).code("no such execution context").orphan().sample("no such execution context: loader has changed while resolving nodes\n  (Session info: chrome=113.0.5672.93)", "moksha-z/automate-boss#1"),
    row("code_aborted_by_navigation", Navigation).code("aborted by navigation").orphan().sample("aborted by navigation: loader has changed while resolving nodes\n(Session info: chrome=132.0.6834.83)", "dotnet/aspnetcore#60067"),
    row("code_target_frame_detached", Navigation).code("target frame detached").orphan().sample("target frame detached", CHROMEDRIVER),
    row("code_unknown", PageScript).code("<unknown>").sample("<unknown>: Failed to read the 'localStorage' property from 'Window': Storage is disabled inside 'data:' URLs.", CHROMEDRIVER),
    row("code_element_not_visible", Blocked).code("element not visible").sample("element not visible", "ChromeDriver up to 74"),
    row("code_no_such_handle", Navigation).common_code("no such handle").orphan().sample("no such handle", "WebDriver BiDi"),
    row("code_no_such_node", Navigation).common_code("no such node").orphan().sample("no such node", "WebDriver BiDi"),
    row("code_no_such_request", Navigation).common_code("no such request").orphan().sample("no such request", "WebDriver BiDi"),
    row("code_no_such_user_context", PageClosed).code("no such user context").orphan().sample("no such user context", "WebDriver BiDi"),
];
