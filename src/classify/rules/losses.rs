//! The browser, the driver, the page or the session is gone. Some texts follow a closed page and a lost
//! browser alike; they count as a closed page, because only the browser itself can distinguish the two.

use super::{
    BIDI, CDP, CHROMEDRIVER, CHROMIUMOXIDE, FANTOCCINI, GECKODRIVER, HEADLESS_CHROME, PLAYWRIGHT,
    PUPPETEER, PYPPETEER, Row, SELENIUM, WWEBJS, row,
};
use crate::classify::ErrorClass::{BrowserGone, PageClosed, Timeout};

/// Commands that only the connection to the browser itself sends.
const BROWSER_COMMANDS: &[&str] = &[
    "Protocol error (Browser.",
    "Protocol error (Target.attachToTarget)",
    "Protocol error (Target.createBrowserContext)",
    "Protocol error (Target.createTarget)",
    "Protocol error (Target.disposeBrowserContext)",
    "Protocol error (Target.getBrowserContexts)",
    "Protocol error (Target.setDiscoverTargets)",
];

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // Browser or driver.
    row("devtools_lost", BrowserGone).contains_any(&["session deleted as the browser has closed the connection", "not connected to DevTools", "nable to receive message from renderer", "nable to connect to renderer", "received Inspector.detached event", "String(\"disconnected\")"]).orphan().sample("disconnected: not connected to DevTools\n  (failed to check if window was closed: disconnected: not connected to DevTools)", "uxDaniel/visa_rescheduler#43"),
    row("chrome_not_reachable", BrowserGone).contains_any(&["chrome not reachable", "edge not reachable"]).orphan().sample("WebDriverException: Message: chrome not reachable", "umihico/pythonista-chromeless#40"),
    row("marionette", BrowserGone).contains("Failed to decode response from marionette").orphan().sample("Failed to decode response from marionette", GECKODRIVER),
    row("marionette_array", BrowserGone).message_is("Failed to interpret value as array").sample("Failed to interpret value as array", GECKODRIVER),
    row("message_channel", BrowserGone).contains("[MessageChannel] Error: ").sample("###!!! [Parent][MessageChannel] Error: (msgtype=0x2400FC,name=PContent::Msg_AsyncMessage) Channel error: cannot send/recv", "Firefox"),
    row("remote_browser", BrowserGone).contains_any(&["Error communicating with the remote browser", "UnreachableBrowserException"]).sample("org.openqa.selenium.remote.UnreachableBrowserException: Error communicating with the remote browser. It may have died.", SELENIUM),
    row("chrome_crashed", BrowserGone).contains_any(&["Chrome subprocess crashed", "Chrome process crashed"]).sample("Chrome subprocess crashed with code 0.", "browser-use/browser-use#2608"),
    row("from_disconnected", BrowserGone).contains("from disconnected: ").contains("unknown error").orphan().sample("unknown error: failed to check status\nfrom disconnected: the wire was cut", CHROMEDRIVER),
    row("browser_command", BrowserGone).contains_any(BROWSER_COMMANDS).contains_any(&["Target closed", "Session closed", "session closed"]).orphan().sample("TargetCloseError: Protocol error (Target.disposeBrowserContext): Target closed", PUPPETEER),
    row("most_likely_browser", BrowserGone).contains("Most likely the browser has been closed").orphan().sample("Session closed. Most likely the browser has been closed.", PUPPETEER),
    row("no_new_tab", BrowserGone).contains("Failed to open a new tab").contains("Protocol error (").orphan().sample("ProtocolError: Protocol error (Target.createTarget): Failed to open a new tab", PUPPETEER),
    row("playwright_new_page", BrowserGone).contains_any(&["rowser.newContext: Target page, ", "rowser.newPage: Target page, ", "Browser.new_context: Target page, ", "Browser.new_page: Target page, "]).orphan().sample("Error: browser.newContext: Target page, context or browser has been closed", PLAYWRIGHT),
    row("browser_closed", BrowserGone).message_is_any(&["Browser has been closed", "Browser closed", "Browser already closed", "Root session has been closed"]).orphan().sample("browser.newPage: Browser has been closed", PLAYWRIGHT),
    row("browser_disconnected", BrowserGone).message_starts("Browser was disconnected").orphan().sample("Browser was disconnected, reason: connection lost", BIDI),
    row("playwright_driver", BrowserGone).contains("Connection closed while reading from the driver").orphan().sample("Exception: Connection closed while reading from the driver", PLAYWRIGHT),
    row("connection_closed_error", BrowserGone).message_ends("ConnectionClosedError: Connection closed.").orphan().sample("ConnectionClosedError: Connection closed.", PUPPETEER),
    row("connection_is_closed", BrowserGone).contains("nable to make method calls because underlying connection is closed").orphan().sample("Unable to make method calls because underlying connection is closed", HEADLESS_CHROME),
    row("oxide_socket", BrowserGone).contains("chromiumoxide::handler: WS Connection error").orphan().sample("chromiumoxide::handler: WS Connection error: Ws(ConnectionClosed)", CHROMIUMOXIDE),
    row("no_response", BrowserGone).contains("Received no response from the chromium instance").orphan().sample("Received no response from the chromium instance.", CHROMIUMOXIDE),

    // A wait failed. The name of the error distinguishes a lost page from a timeout.
    row("waiting_timed_out", Timeout).contains("TimeoutError: Waiting for ").message_ends(" failed").orphan().sample("TimeoutError: Waiting for selector `#nope` failed", PUPPETEER),
    row("waiting_failed", PageClosed).message_is("Waiting failed").orphan().sample("Error: Waiting failed", PUPPETEER),
    row("waiting_selector_failed", PageClosed).message_starts("Waiting for selector ").message_ends(" failed").orphan().sample("Error: Waiting for selector `#nope` failed", PUPPETEER),

    // Page or session.
    row("page_most_likely_closed", PageClosed).contains("Most likely the page has been closed").orphan().sample("Error: Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.", "puppeteer-core 1-24"),
    row("target_most_likely_closed", PageClosed).contains(". Most likely the ").contains(" has been closed").orphan().sample("Protocol error (Runtime.evaluate): Session closed. Most likely the iframe has been closed.", PUPPETEER),
    row("session_closed", PageClosed).contains("Session closed").contains("Protocol error (").orphan().sample("Error: Protocol error (Runtime.callFunctionOn): Session closed.", "puppeteer-core 1-24"),
    row("target_closed", PageClosed).contains("): Target closed").orphan().sample("ProtocolError: Waiting for selector `#nope` failed: Protocol error (Runtime.callFunctionOn): Target closed", PUPPETEER),
    row("target_closed_no_brackets", PageClosed).contains("NetworkError: Protocol error ").contains(": Target closed").orphan().sample("pyppeteer.errors.NetworkError: Protocol error Runtime.callFunctionOn: Target closed.", PYPPETEER),
    row("bare_target_closed", PageClosed).message_is("Target closed").orphan().sample("TargetCloseError: Target closed", PUPPETEER),
    // Below `page_most_likely_closed`: with that half sentence the page was closed.
    row("cdp_connection_closed", BrowserGone).contains("Protocol error: Connection closed").orphan().sample("Error: Protocol error: Connection closed.", PUPPETEER),
    row("cdp_call_connection_closed", BrowserGone).contains("): Connection closed").orphan().sample("Protocol error (Runtime.callFunctionOn): Connection closed.", PUPPETEER),
    row("playwright_closed", PageClosed).contains_any(&["arget page, context or browser ", "Context or browser has been closed"]).orphan().sample("Error: page.evaluate: Target page, context or browser has been closed", PLAYWRIGHT),
    row("page_closed", PageClosed).message_is_any(&["Page closed", "Frame was detached", "Frame has been detached", "Request context disposed"]).orphan().sample("page.waitForTimeout: Page closed", PLAYWRIGHT),
    row("test_ended", PageClosed).message_ends(": Test ended.").orphan().sample("Error: page.goto: Test ended.", PLAYWRIGHT),
    row("target_closed_error", PageClosed).contains_any(&["TargetCloseError: ", "TargetClosedError: "]).orphan().sample("TargetCloseError: the page is no more", PUPPETEER),
    row("navigation_page_closed", PageClosed).contains_any(&["Navigation failed because browser has disconnected", "Navigation failed because page was closed"]).orphan().sample("Error: Navigation failed because browser has disconnected!", PUPPETEER),
    row("navigation_page_crashed", PageClosed).contains("Navigation failed because page crashed").sample("page.goto: Navigation failed because page crashed!", PLAYWRIGHT),
    row("context_destroyed", PageClosed).message_starts("Execution context was destroyed").orphan().sample("Error: Execution context was destroyed", "puppeteer-core 22-24"),
    row("detached_frame", PageClosed).contains_any(&["Attempted to use detached Frame", "Navigating frame was detached", "LifecycleWatcher disposed", "is not available in detached frame", "failed: frame got detached"]).orphan().sample("Error: Attempted to use detached Frame 'D7E3'.", PUPPETEER),
    row("not_attached_to_page", PageClosed).contains("Not attached to an active page").orphan().sample("Protocol error (Page.captureScreenshot): Not attached to an active page", PUPPETEER),
    row("inspector_detached", PageClosed).contains("Inspector.detached").contains_any(&["target_closed", "ender process gone"]).orphan().sample("{\"method\":\"Inspector.detached\",\"params\":{\"reason\":\"target_closed\"}}", "Chrome DevTools protocol"),
    row("no_target", PageClosed).contains_any(&["No target with given id", "Session with given id not found", "No session with given id"]).contains_any(&["Protocol error (", "-3200", "-3260"]).orphan().sample("ProtocolError: Protocol error (Target.closeTarget): No target with given id found", PUPPETEER),
    row("no_window_global", PageClosed).contains("currentWindowGlobal is null").orphan().sample("TypeError: browsingContext.currentWindowGlobal is null", GECKODRIVER),
    row("session_not_started", PageClosed).message_is("Session not started or terminated").orphan().sample("Session not started or terminated", "BrowserStack"),
    row("status_session", PageClosed).contains("due to invalid session id").contains("Request failed with status ").orphan().sample("Request failed with status 404 due to invalid session id", "WebdriverIO"),
    row("no_browser_context", PageClosed).contains_any(&["Failed to find browser context", "Failed to find context with id"]).orphan().sample("ProtocolError: Protocol error (Target.createTarget): Failed to find browser context with id AE789E1CEEDA3DAC8F7A92F997904859", PUPPETEER),
    row("bidi_context_closed", PageClosed).contains_any(&["Browsing context already closed", "User context already closed"]).orphan().sample("Error: Browsing context already closed.", BIDI),
    row("bidi_session_ended", PageClosed).message_is("Session already ended.").at(CDP).sample("Error: Session already ended.", BIDI),
    row("bidi_no_such_frame", PageClosed).contains("no such frame").contains("Protocol error (").orphan().sample("ProtocolError: Protocol error (browsingContext.navigate): no such frame Context 4A923C301CF8C9FBB761A985A7311220 not found", BIDI),
    row("bidi_no_context", PageClosed).contains("no such frame - Context ").orphan().sample("WebDriver Bidi command \"browsingContext.navigate\" failed with error: no such frame - Context B11F not found", "webdriverio/webdriverio#14382"),
    row("window_closed", PageClosed).contains("target window already closed").orphan().sample("no such window: target window already closed\nfrom unknown error: web view not found", CHROMEDRIVER),
    row("window_was_closed", PageClosed).contains("window was already closed").contains("no such window").orphan().sample("no such window: window was already closed", CHROMEDRIVER),
    row("web_view", PageClosed).contains("error: web view not found").orphan().sample("unknown error: web view not found", CHROMEDRIVER),
    row("no_window_located", PageClosed).message_starts("Unable to locate window: ").orphan().sample("Unable to locate window: 1b2c3d4e", GECKODRIVER),
    row("context_discarded", PageClosed).contains("rowsing context has been discarded").orphan().sample("Browsing context has been discarded", GECKODRIVER),
    row("no_connection_established", PageClosed).contains("Tried to run command without establishing a connection").orphan().sample("Tried to run command without establishing a connection", GECKODRIVER),
    row("unexpected_session", PageClosed).message_starts("Got unexpected session id ").orphan().sample("Got unexpected session id nope", GECKODRIVER),
    row("client_closed", PageClosed).contains_any(&["WebDriver session has been closed", "WebDriver session was closed while waiting"]).orphan().sample("webdriver connection lost: WebDriver session has been closed", FANTOCCINI),
    row("session_ended", PageClosed).contains_any(&["Using WebDriver after calling quit()", "driver instance does not have a valid session ID", "A session is either terminated or not started", "A session id is required for this command", "The WebDriver session id is invalid"]).orphan().sample("NoSuchSessionError: This driver instance does not have a valid session ID (did you call WebDriver.quit()?) and may no longer be used.", SELENIUM),
    row("session_id_bare", PageClosed).message_is("invalid session id").orphan().sample("NoSuchSessionError: invalid session id", SELENIUM),
    row("session_id_terminated", PageClosed).contains("has been terminated").message_starts("invalid session id: session ").orphan().sample("invalid session id: session 3f2b1c has been terminated", "Appium"),
    row("no_such_session", PageClosed).message_starts("no such session").contains("chromedriver").orphan().sample("no such session\n  (Driver info: chromedriver=2.40)", "ChromeDriver up to 2"),
    row("grid_session_gone", PageClosed).contains("Unable to find session with ID").contains("Build info: ").orphan().sample("Unable to find session with ID: 1b2c3d4e\nBuild info: version: '4.9.0'", "Selenium Grid"),
    row("grid_session_terminated", PageClosed).contains("not among the last 1000 terminated sessions").orphan().sample("Session [1b2c] not available and is not among the last 1000 terminated sessions.", "Selenium Grid"),
    row("grid_session_timeout", PageClosed).contains("] was terminated due to ").contains("Session [").orphan().sample("Session [1b2c] was terminated due to TIMEOUT", "Selenium Grid"),

    // Reasons for a disconnection that WhatsApp's clients report.
    row("logout", PageClosed).text_is_any(&["LOGOUT", "UNPAIRED", "UNPAIRED_IDLE"]).orphan().sample("LOGOUT", WWEBJS),
    row("conflict", PageClosed).message_is("CONFLICT").at(CDP).sample("CONFLICT", WWEBJS),
    row("qr_retries", PageClosed).contains("Max qrcode retries reached").orphan().sample("Max qrcode retries reached", WWEBJS),
    row("auto_close", PageClosed).message_starts("Auto Close Called").orphan().sample("Auto Close Called", "wppconnect-team/wppconnect#2804"),
];
