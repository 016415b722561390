//! The table: [`RULES`].
//!
//! Rows on text are asked from top to bottom, so a row stands above those it is an exception to. Each
//! carries a real sample and where it was seen; a test holds every sample to its own row.

use super::ErrorClass::{
    self, Blocked, BrowserGone, Navigation, Network, PageClosed, PageScript, Setup, Timeout,
    Unrelated,
};
use crate::failure::Site;
use Pattern::{AllOf, Code, CodeAndText, VagueCode};

/// One row: what it matches and what that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The stable name, as in logs.
    pub name: &'static str,
    /// What it means.
    pub class: ErrorClass,
    /// Whether it is to be expected once its session was ended on purpose.
    pub orphan: bool,
    /// What it matches.
    pub pattern: Pattern,
    /// A real message that it matches, under its code if the pattern has one.
    pub sample: &'static str,
    /// Where the sample comes from.
    pub origin: &'static str,
}

/// What a [`Rule`] matches. Texts are searched letter by letter, case included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// The code is this one; the text is not asked.
    Code(&'static str),
    /// The code is this one and the text has these words.
    CodeAndText(&'static str, &'static str),
    /// The code is this one, which says little: a row on text goes first.
    VagueCode(&'static str),
    /// The text has these words.
    Text(&'static str),
    /// The text has all of these.
    AllOf(&'static [&'static str]),
    /// The failure comes from here and nothing else is known about it.
    Site(Site),
}

const ORPHAN: bool = true;
const KEEP: bool = false;

const W3C: &str = "W3C WebDriver, section Errors";
const CHROMEDRIVER: &str = "ChromeDriver 156";
const GECKODRIVER: &str = "geckodriver";
const PUPPETEER: &str = "puppeteer-core 18-24";
const PLAYWRIGHT: &str = "playwright-core 1.65";
const CHROMEDRIVER_REPORTED: &str = "ChromeDriver, widely reported";
const PUPPETEER_REPORTED: &str = "Puppeteer, widely reported";
const OURS: &str = "this crate";

const fn row(
    name: &'static str,
    class: ErrorClass,
    orphan: bool,
    pattern: Pattern,
    sample: &'static str,
    origin: &'static str,
) -> Rule {
    Rule {
        name,
        class,
        orphan,
        pattern,
        sample,
        origin,
    }
}

const fn text(
    name: &'static str,
    class: ErrorClass,
    orphan: bool,
    words: &'static str,
    sample: &'static str,
    origin: &'static str,
) -> Rule {
    row(name, class, orphan, Pattern::Text(words), sample, origin)
}

/// Every rule, exceptions first.
#[rustfmt::skip] // A table is read by its columns.
pub const RULES: &[Rule] = &[
    // Our own codes.
    row("ambiguous_tab", Setup, KEEP, Code("ambiguous_tab"), "3 tabs match", OURS),
    row("misconfigured", Setup, KEEP, Code("misconfigured"), "the URL of the driver is invalid", OURS),
    row("look_timeout", Timeout, ORPHAN, Code("look timeout"), "no answer within 2s", OURS),
    row("wrong_origin", Navigation, ORPHAN, Code("wrong origin"), "the page is at another origin", OURS),
    row("no_answer", Navigation, ORPHAN, Code("no answer"), "the page gave no answer", OURS),
    // fantoccini says so on a client whose own session was ended; browser and driver may well live.
    row("connection_lost_after_end", PageClosed, ORPHAN, CodeAndText("connection lost", "WebDriver session has been closed"), "webdriver connection lost: WebDriver session has been closed", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost_at_end", PageClosed, ORPHAN, CodeAndText("connection lost", "WebDriver session was closed while waiting"), "webdriver connection lost: WebDriver session was closed while waiting", "fantoccini 0.22, CmdError::Lost"),
    row("connection_lost", BrowserGone, ORPHAN, Code("connection lost"), "the driver closed the connection", OURS),
    // A driver serves many sessions: that it cannot be reached is no evidence of this one's end.
    row("driver_unreachable", BrowserGone, KEEP, Code("driver unreachable"), "webdriver could not be reached (hyper_util): client error (SendRequest)", "fantoccini 0.22, CmdError::FailedC"),
    row("source_panicked", Unrelated, KEEP, Code("source panicked"), "index out of bounds", OURS),

    // Codes of W3C WebDriver, with what refines them first.
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
    row("invalid_session_id", PageClosed, ORPHAN, VagueCode("invalid session id"), "invalid session id", W3C),
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
    row("timeout", Timeout, ORPHAN, VagueCode("timeout"), "Navigation timed out after 2000 ms", GECKODRIVER),
    row("unable_to_set_cookie", PageScript, KEEP, Code("unable to set cookie"), "unable to set cookie", W3C),
    row("unable_to_capture_screen", Blocked, KEEP, Code("unable to capture screen"), "unable to capture screen", W3C),
    row("unexpected_alert_open", Blocked, KEEP, Code("unexpected alert open"), "unexpected alert open: {Alert text : Session closed}\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("unknown_command", Blocked, KEEP, Code("unknown command"), "unknown command: unknown command: nope", CHROMEDRIVER),
    row("unknown_error", Unrelated, KEEP, VagueCode("unknown error"), "unknown error", W3C),
    row("unknown_method", Blocked, KEEP, Code("unknown method"), "unknown method", W3C),
    row("unsupported_operation", Blocked, KEEP, Code("unsupported operation"), "Navigation to \"foo://bar\" is not allowed in this context", GECKODRIVER),

    // Codes of ChromeDriver that W3C does not know. fantoccini drops their message.
    row("code_tab_crashed", PageClosed, KEEP, Code("tab crashed"), "webdriver returned non-conforming response: String(\"tab crashed\")", "fantoccini 0.22, CmdError::NotW3C"),
    row("code_chrome_not_reachable", BrowserGone, ORPHAN, Code("chrome not reachable"), "chrome not reachable\n  (Session info: chrome=90.0.4412.0)", "web-platform-tests/wpt#27751"),
    row("code_disconnected", BrowserGone, ORPHAN, Code("disconnected"), "disconnected: received Inspector.detached event\n  (Session info: chrome=80.0.3987.132)", "SeleniumHQ/selenium#8099"),
    row("code_no_such_execution_context", Navigation, ORPHAN, Code("no such execution context"), "no such execution context: loader has changed while resolving nodes\n  (Session info: chrome=113.0.5672.93)", "moksha-z/automate-boss#1"),
    row("code_aborted_by_navigation", Navigation, ORPHAN, Code("aborted by navigation"), "aborted by navigation: loader has changed while resolving nodes\n(Session info: chrome=132.0.6834.83)", "dotnet/aspnetcore#60067"),
    row("code_target_frame_detached", Navigation, ORPHAN, Code("target frame detached"), "target frame detached", CHROMEDRIVER),
    row("code_unknown", PageScript, KEEP, Code("<unknown>"), "<unknown>: Failed to read the 'localStorage' property from 'Window': Storage is disabled inside 'data:' URLs.", CHROMEDRIVER),

    // Texts that quote the page: whatever stands behind these words may be the page's.
    text("alert_open", Blocked, KEEP, "unexpected alert open", "OpenQA.Selenium.UnhandledAlertException : unexpected alert open: {Alert text : }", "aquality-automation/aquality-selenium-dotnet#239"),
    text("alert_dialog", Blocked, KEEP, "Unexpected alert dialog", "Unexpected alert dialog detected. Performed handler \"dismiss\"", GECKODRIVER),
    text("evaluation_failed", PageScript, KEEP, "Evaluation failed: ", "Error: Evaluation failed: TypeError: Cannot read property 'default' of undefined", "whatsapp-web.js on Puppeteer up to 19"),
    text("javascript_error_text", PageScript, KEEP, "javascript error: ", "javascript error: Cannot read properties of undefined (reading 'Chat')", CHROMEDRIVER),
    text("call_threw", PageScript, KEEP, "Runtime.callFunctionOn threw exception", "unknown error: Runtime.callFunctionOn threw exception: TypeError: Cannot read properties of undefined (reading 'code')", CHROMEDRIVER),
    text("evaluate_threw", PageScript, KEEP, "Runtime.evaluate threw exception", "unknown error: Runtime.evaluate threw exception: SyntaxError: Invalid or unexpected token", CHROMEDRIVER_REPORTED),

    // The session could not be made. Above the reasons for it, which would else be taken for losses.
    text("not_created", Setup, KEEP, "ession not created", "selenium.common.exceptions.SessionNotCreatedException: Message: session not created: This version of ChromeDriver only supports Chrome version 114", CHROMEDRIVER_REPORTED),
    text("launch_failed", Setup, KEEP, "Failed to launch the browser process", "Error: Failed to launch the browser process!", PUPPETEER),
    text("playwright_launch", Setup, KEEP, "browserType.launch", "Error: browserType.launch: Target page, context or browser has been closed", PLAYWRIGHT),
    text("devtools_active_port", Setup, KEEP, "DevToolsActivePort", "unknown error: DevToolsActivePort file doesn't exist", CHROMEDRIVER_REPORTED),
    text("chrome_version", Setup, KEEP, "only supports Chrome version", "This version of ChromeDriver only supports Chrome version 114", CHROMEDRIVER_REPORTED),
    text("cannot_connect", Setup, KEEP, "cannot connect to chrome", "unknown error: cannot connect to chrome at ******************\nfrom chrome not reachable", "charlesbel/Microsoft-Rewards-Farmer#363"),
    text("no_chrome_binary", Setup, KEEP, "no chrome binary", "unknown error: no chrome binary at /nope/chrome", CHROMEDRIVER),
    text("executable_path", Setup, KEEP, "Browser was not found at the configured executablePath", "Error: Browser was not found at the configured executablePath (/nope/chrome)", PUPPETEER),

    // The page crashed. It did not end with its session, so it is never an orphan.
    text("page_crash", PageClosed, KEEP, "session deleted because of page crash", "unknown error: session deleted because of page crash\nfrom unknown error: cannot determine loading status\nfrom tab crashed", "SeleniumHQ/selenium#13551"),
    text("tab_crashed", PageClosed, KEEP, "from tab crashed", "unknown error: cannot determine loading status\nfrom tab crashed", "SeleniumHQ/selenium#13551"),
    text("at_chrome_crash", PageClosed, KEEP, " at chrome://crash", "Error: net::ERR_ABORTED at chrome://crash", PUPPETEER),
    text("page_crashed", PageClosed, KEEP, "Page crashed!", "Error: Page crashed!", PUPPETEER),
    text("target_crashed", PageClosed, KEEP, "Target crashed", "Error: page.evaluate: Target crashed ", PLAYWRIGHT),

    // The context was replaced.
    text("context_destroyed_navigation", Navigation, ORPHAN, "most likely because of a navigation", "Error: Execution context was destroyed, most likely because of a navigation.", "puppeteer-core 1-24, playwright-core 1.65"),
    text("no_context", Navigation, ORPHAN, "Cannot find context with specified id", "ProtocolError: Protocol error (Runtime.callFunctionOn): Cannot find context with specified id", PUPPETEER),
    text("no_unique_context", Navigation, ORPHAN, "uniqueContextId not found", "ProtocolError: Protocol error (Runtime.evaluate): uniqueContextId not found", PUPPETEER),
    text("target_navigated", Navigation, ORPHAN, "Inspected target navigated or closed", "ProtocolError: Protocol error (Runtime.evaluate): Inspected target navigated or closed", PUPPETEER),
    text("aborted_by_navigation", Navigation, ORPHAN, "aborted by navigation", "org.openqa.selenium.WebDriverException: aborted by navigation: loader has changed while resolving nodes", "spring-projects/spring-security#16463"),
    text("loader_changed", Navigation, ORPHAN, "loader has changed while resolving nodes", "no such execution context: loader has changed while resolving nodes", "moksha-z/automate-boss#1"),
    text("no_execution_context", Navigation, ORPHAN, "no such execution context", "timeout\nfrom no such execution context\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    text("stale_element", Navigation, ORPHAN, "stale element", "stale element reference: stale element not found", CHROMEDRIVER),
    row("no_remote_object", Navigation, ORPHAN, AllOf(&["Protocol error (", "Invalid remote object id"]), "ProtocolError: Protocol error (Runtime.callFunctionOn): Invalid remote object id", PUPPETEER),
    row("other_world", Navigation, ORPHAN, AllOf(&["Protocol error (", "Argument should belong to the same JavaScript world"]), "ProtocolError: Protocol error (Runtime.callFunctionOn): Argument should belong to the same JavaScript world as target object", PUPPETEER),
    row("no_node", Navigation, ORPHAN, AllOf(&["Protocol error (", " node with given id"]), "ProtocolError: Protocol error (DOM.describeNode): Could not find node with given id", PUPPETEER),
    row("no_frame", Navigation, ORPHAN, AllOf(&["Protocol error (", "No frame with given id"]), "ProtocolError: Protocol error (Page.navigate): No frame with given id found", PUPPETEER),
    text("aborted_request", Navigation, ORPHAN, "net::ERR_ABORTED", "Error: net::ERR_ABORTED at http://127.0.0.1:42717/dl", PUPPETEER),

    // Browser or driver gone.
    text("browser_closed_connection", BrowserGone, ORPHAN, "session deleted as the browser has closed the connection", "invalid session id: session deleted as the browser has closed the connection\nfrom disconnected: Unable to receive message from renderer", CHROMEDRIVER),
    text("no_devtools", BrowserGone, ORPHAN, "not connected to DevTools", "disconnected: not connected to DevTools\n  (failed to check if window was closed: disconnected: not connected to DevTools)", "uxDaniel/visa_rescheduler#43"),
    text("renderer_unheard", BrowserGone, ORPHAN, "Unable to receive message from renderer", "disconnected: Unable to receive message from renderer", "SeleniumHQ/selenium#5901"),
    text("inspector_detached", BrowserGone, ORPHAN, "received Inspector.detached event", "disconnected: received Inspector.detached event", "SeleniumHQ/selenium#8099"),
    text("chrome_not_reachable", BrowserGone, ORPHAN, "chrome not reachable", "WebDriverException: Message: chrome not reachable", "umihico/pythonista-chromeless#40"),
    text("marionette", BrowserGone, ORPHAN, "Failed to decode response from marionette", "Failed to decode response from marionette", GECKODRIVER),
    row("context_with_browser", BrowserGone, ORPHAN, AllOf(&["Protocol error (Target.disposeBrowserContext)", "Target closed"]), "TargetCloseError: Protocol error (Target.disposeBrowserContext): Target closed", PUPPETEER),
    row("target_with_browser", BrowserGone, ORPHAN, AllOf(&["Protocol error (Target.createTarget)", "Target closed"]), "Error: Protocol error (Target.createTarget): Target closed.", PUPPETEER_REPORTED),
    text("new_context_with_browser", BrowserGone, ORPHAN, "browser.newContext: Target page, context or browser has been closed", "Error: browser.newContext: Target page, context or browser has been closed", PLAYWRIGHT),

    text("driver_not_reached", BrowserGone, KEEP, "webdriver could not be reached", "webdriver could not be reached (hyper_util): client error (SendRequest)", "fantoccini 0.22"),

    // The page or its session is gone. Some of these come after a dead browser too; the text cannot tell.
    row("session_closed", PageClosed, ORPHAN, AllOf(&["Protocol error (", "Session closed"]), "Error: Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.", "puppeteer-core 1-24"),
    text("target_closed", PageClosed, ORPHAN, "): Target closed", "ProtocolError: Waiting for selector `#nope` failed: Protocol error (Runtime.callFunctionOn): Target closed", PUPPETEER),
    text("bare_target_closed", PageClosed, ORPHAN, "Error: Target closed", "TargetCloseError: Target closed", PUPPETEER),
    text("client_closed", PageClosed, ORPHAN, "WebDriver session has been closed", "webdriver connection lost: WebDriver session has been closed", "fantoccini 0.22"),
    text("client_closing", PageClosed, ORPHAN, "WebDriver session was closed while waiting", "webdriver connection lost: WebDriver session was closed while waiting", "fantoccini 0.22"),
    text("page_most_likely_closed", PageClosed, ORPHAN, "Most likely the page has been closed", "Error: Session already detached. Most likely the page has been closed.", PUPPETEER),
    // Below the row above: with that half sentence it is the page that was closed.
    text("cdp_connection_closed", BrowserGone, ORPHAN, "Protocol error: Connection closed", "Error: Protocol error: Connection closed.", PUPPETEER),
    text("context_destroyed", PageClosed, ORPHAN, "Execution context was destroyed", "Error: Execution context was destroyed", "puppeteer-core 22-24"),
    text("detached_frame", PageClosed, ORPHAN, "Attempted to use detached Frame", "Error: Attempted to use detached Frame 'D7E3'.", PUPPETEER_REPORTED),
    text("navigating_frame_detached", PageClosed, ORPHAN, "Navigating frame was detached", "Error: Navigating frame was detached", PUPPETEER_REPORTED),
    text("context_in_detached_frame", PageClosed, ORPHAN, "is not available in detached frame", "Error: Execution Context is not available in detached frame \"http://127.0.0.1:41489/inner\" (are you trying to evaluate?)", PUPPETEER),
    // Puppeteer 1-20 says so when only the page was closed.
    text("navigation_disconnected", PageClosed, ORPHAN, "Navigation failed because browser has disconnected!", "Error: Navigation failed because browser has disconnected!", PUPPETEER_REPORTED),
    text("page_closed_error", PageClosed, ORPHAN, "TargetCloseError: ", "TargetCloseError: Page closed!", PUPPETEER),
    row("no_target", PageClosed, ORPHAN, AllOf(&["Protocol error (", "No target with given id"]), "ProtocolError: Protocol error (Target.closeTarget): No target with given id found", PUPPETEER),
    row("no_cdp_session", PageClosed, ORPHAN, AllOf(&["Protocol error (", "No session with given id"]), "ProtocolError: Protocol error (Target.detachFromTarget): No session with given id", PUPPETEER),
    text("playwright_closed", PageClosed, ORPHAN, "Target page, context or browser has been closed", "Error: page.evaluate: Target page, context or browser has been closed", PLAYWRIGHT),
    text("window_closed", PageClosed, ORPHAN, "target window already closed", "no such window: target window already closed\nfrom unknown error: web view not found", CHROMEDRIVER_REPORTED),
    text("web_view", PageClosed, ORPHAN, "web view not found", "unknown error: web view not found", CHROMEDRIVER),
    text("context_discarded", PageClosed, ORPHAN, "Browsing context has been discarded", "Browsing context has been discarded", GECKODRIVER),
    text("no_connection_established", PageClosed, ORPHAN, "Tried to run command without establishing a connection", "Tried to run command without establishing a connection", GECKODRIVER),

    // No answer in time.
    text("protocol_timeout", Timeout, ORPHAN, "Increase the 'protocolTimeout'", "ProtocolError: Runtime.callFunctionOn timed out. Increase the 'protocolTimeout' setting in launch/connect calls for a higher timeout if needed.", PUPPETEER_REPORTED),
    text("renderer_timeout", Timeout, ORPHAN, "Timed out receiving message from renderer", "timeout: Timed out receiving message from renderer: -0.001\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    text("navigation_timeout", Timeout, ORPHAN, "TimeoutError: Navigation timeout of ", "TimeoutError: Navigation timeout of 1500 ms exceeded", PUPPETEER),
    row("waiting_timeout", Timeout, ORPHAN, AllOf(&["TimeoutError: ", "aiting f", "ms exceeded"]), "TimeoutError: Waiting for selector `#nope` failed: Waiting failed: 1000ms exceeded", PUPPETEER),
    text("waited_too_long", Timeout, ORPHAN, "TimeoutError: Timed out after waiting", "TimeoutError: Timed out after waiting 1000ms", PUPPETEER),

    // A dialog.
    text("no_dialog", Blocked, KEEP, "(Page.handleJavaScriptDialog): No dialog is showing", "ProtocolError: Protocol error (Page.handleJavaScriptDialog): No dialog is showing", PUPPETEER),

    // The page's network.
    text("blocked_by_client", Blocked, KEEP, "net::ERR_BLOCKED_BY_CLIENT", "Error: net::ERR_BLOCKED_BY_CLIENT at http://127.0.0.1:42717", PUPPETEER),
    text("net_error", Network, KEEP, "net::ERR_", "unknown error: net::ERR_NAME_NOT_RESOLVED\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    text("neterror_page", Network, KEEP, "Reached error page: about:neterror", "Reached error page: about:neterror?e=dnsNotFound", "geckodriver, widely reported"),

    // What a page said, whatever it was.
    row("page_said", PageScript, KEEP, Pattern::Site(Site::Script), "Session closed", OURS),
];
