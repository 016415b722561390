//! The page is still open: something is in the way, its network failed, or an element or function is missing.

use super::{CDP, CHROMEDRIVER, GECKODRIVER, PLAYWRIGHT, PUPPETEER, Row, SELENIUM, WWEBJS, row};
use crate::classify::ErrorClass::{Blocked, Network, PageScript};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // A dialog.
    row("dialog_handled", Blocked).contains_any(&["No dialog is showing", "dialog which is already handled"]).sample("ProtocolError: Protocol error (Page.handleJavaScriptDialog): No dialog is showing", PUPPETEER),
    row("prompt_handled", Blocked).message_starts_any(&["Dismissed user prompt dialog", "Accepted user prompt dialog"]).sample("Dismissed user prompt dialog: hi", GECKODRIVER),
    row("no_alert_input", Blocked).contains("User dialog does not have a text box").sample("element not interactable: User dialog does not have a text box input field.", CHROMEDRIVER),

    // An element that cannot be used.
    row("element_blocked", Blocked).contains_any(&["element click intercepted", "lement is not clickable at point", "cannot focus element", "element not interactable", "move target out of bounds"]).sample("element click intercepted: Element <button> is not clickable", CHROMEDRIVER),
    row("not_clickable_at", Blocked).contains("is not clickable").contains("lement <").sample("Element <a id=\"x\"> is not clickable at point (12,40) because another element <div> obscures it", GECKODRIVER),
    row("element_blocked_selenium", Blocked).contains_any(&["lement is obscured", "not currently interactable"]).sample("Message: Element is obscured", SELENIUM),
    row("element_blocked_playwright", Blocked).contains_any(&["intercepts pointer events", "lement is outside of the viewport", "Clicking the checkbox did not change its state"]).sample("<div class=\"overlay\"></div> intercepts pointer events", PLAYWRIGHT),
    row("element_blocked_firefox", Blocked).contains_any(&["could not be scrolled into view", "is not reachable by keyboard"]).sample("Element <button id=\"b\"> could not be scrolled into view", GECKODRIVER),
    row("element_blocked_puppeteer", Blocked).contains_any(&["Node is either not clickable", "Node is either not visible"]).sample("Error: Node is either not clickable or not an Element", PUPPETEER),
    row("element_not_ready", Blocked).message_starts_any(&["Element is not visible", "Element is not enabled"]).sample("elementHandle.click: Element is not visible", PLAYWRIGHT),

    // A command that is not allowed or not known.
    row("navigation_not_allowed", Blocked).contains("is not allowed in this context").contains("Navigation to \"").sample("Navigation to \"foo://bar\" is not allowed in this context", GECKODRIVER),
    row("cdp_not_allowed", Blocked).contains_any(&["' wasn't found", "): Not allowed", "): Not supported", "ermission can't be granted"]).contains("Protocol error (").sample("ProtocolError: Protocol error (Target.attachToBrowserTarget): Not allowed", PUPPETEER),
    row("no_screenshot", Blocked).contains("nable to capture screen").sample("ProtocolError: Protocol error (Page.captureScreenshot): Unable to capture screenshot", PUPPETEER),
    row("unknown_command_text", Blocked).message_starts("unknown command: unknown command").sample("unknown command: unknown command: nope", CHROMEDRIVER),
    row("method_not_allowed", Blocked).message_is("HTTP method not allowed").sample("HTTP method not allowed", GECKODRIVER),
    row("no_known_command", Blocked).contains("did not match a known command").sample("GET /nope did not match a known command", GECKODRIVER),
    row("local_resource", Blocked).contains("Not allowed to load local resource").sample("Not allowed to load local resource: file:///etc/hosts", "Chromium"),
    row("route_handled", Blocked).contains("Route is already handled!").sample("route.continue: Route is already handled!", PLAYWRIGHT),
    row("whatsapp_blocked", Blocked).message_is_any(&["TOS_BLOCK", "SMB_TOS_BLOCK", "PROXYBLOCK"]).sample("TOS_BLOCK", WWEBJS),
    row("request_handled", Blocked).message_starts("Request is already handled!").sample("Error: Request is already handled!", PUPPETEER),
    row("interception_off", Blocked).contains("Request Interception is not enabled").sample("Error: Request Interception is not enabled!", PUPPETEER),
    row("content_security", Blocked).contains("violates the following ").contains("Content Security Policy directive").sample("EvalError: Refused to evaluate a string as JavaScript because it violates the following Content Security Policy directive: \"script-src 'self'\"", "Chromium"),
    row("content_security_new", Blocked).contains("violates the document's Content Security Policy").sample("Executing inline script violates the document's Content Security Policy", "Chromium"),
    row("blocked_request", Blocked).contains("net::ERR_BLOCKED_BY_").sample("Error: net::ERR_BLOCKED_BY_CLIENT at http://127.0.0.1:42717", PUPPETEER),

    // The page's network.
    row("net_error", Network).contains("net::ERR_").sample("unknown error: net::ERR_NAME_NOT_RESOLVED\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("net_error_bare", Network).message_starts("ERR_").contains(" at http").sample("ERR_NETWORK_CHANGED at https://web.whatsapp.com", "wwebjs/whatsapp-web.js"),
    row("firefox_error_page", Network).contains_any(&["about:neterror", "about:certerror"]).sample("Reached error page: about:neterror?e=dnsNotFound", GECKODRIVER),
    row("firefox_network", Network).contains_any(&["NS_ERROR_UNKNOWN_HOST", "NS_ERROR_CONNECTION_REFUSED", "NS_ERROR_NET_", "NS_ERROR_PROXY_", "NS_ERROR_OFFLINE", "goto: SEC_ERROR_", "goto: SSL_ERROR_", "MOZILLA_PKIX_ERROR"]).sample("Error: NS_ERROR_UNKNOWN_HOST at https://nope.invalid", PLAYWRIGHT),
    row("webkit_network", Network).contains_any(&["goto: Could not connect to", "goto: Could not resolve host"]).sample("page.goto: Could not connect to server", PLAYWRIGHT),
    row("no_script_tag", Network).message_is_any(&["Could not load script", "Could not load style"]).sample("Error: Could not load script", PUPPETEER),
    row("whatsapp_socket", Network).contains("couldn't dial whatsapp web websocket").sample("Failed to connect to WhatsApp: couldn't dial whatsapp web websocket: x509: certificate signed by unknown authority", "whatsmeow"),

    // A missing element, an invalid selector, a value that cannot be returned.
    row("strict_mode", PageScript).contains("strict mode violation").sample("Error: locator.click: Error: strict mode violation: locator('p') resolved to 2 elements:", PLAYWRIGHT),
    row("element_not_located", PageScript).message_starts("Unable to locate element: ").sample("Unable to locate element: #pane-side", GECKODRIVER),
    row("no_element_for_selector", PageScript).contains_any(&["No element found for selector", "No node found for selector", "failed to find element matching selector", "failed to find elements matching selector"]).sample("Error: No element found for selector: #nope", PUPPETEER),
    row("bad_selector", PageScript).contains_any(&["invalid or illegal selector", "Unable to locate an element with the xpath expression"]).sample("invalid selector: An invalid or illegal selector was specified", CHROMEDRIVER),
    row("bad_selector_text", PageScript).contains_any(&["is not a valid selector", "is not a valid XPath expression"]).sample("SyntaxError: '##' is not a valid selector.", "Chromium"),
    row("bad_selector_engine", PageScript).contains_any(&["while parsing selector", "while parsing css selector"]).sample("Unexpected token \"#\" while parsing selector \"##\"", PLAYWRIGHT),
    row("not_serialisable", PageScript).contains_any(&["bject couldn't be returned by value", "Object reference chain is too long", "Could not compute box model", "does not have a layout object", "Promise was collected"]).sample("Protocol error (Runtime.callFunctionOn): Object couldn't be returned by value", PUPPETEER),
    row("cdp_internal", PageScript).contains("): Internal error").contains("Protocol error (").sample("ProtocolError: Protocol error (Page.captureScreenshot): Internal error", PUPPETEER),
    row("binding_exists", PageScript).contains("Failed to add page binding with name").sample("Error: Failed to add page binding with name onX: window['onX'] already exists!", PUPPETEER),
    row("binding_registered", PageScript).contains("has been already registered").at(CDP).sample("page.exposeFunction: Function \"onX\" has been already registered", PLAYWRIGHT),
    row("not_an_element", PageScript).message_starts("Node is not an ").sample("Error: Node is not an HTMLElement", PUPPETEER),
    row("not_an_input", PageScript).message_starts("Element is not an <").sample("locator.fill: Error: Element is not an <input>, <textarea> or [contenteditable] element", PLAYWRIGHT),
    row("unknown_key", PageScript).contains("eyboard.press: Unknown key: ").sample("Keyboard.press: Unknown key: \"none\"", PLAYWRIGHT),
    row("wdio_no_element", PageScript).contains("because element wasn't found").contains("on element with selector \"").sample("Can't call click on element with selector \"#side\" because element wasn't found", "WebdriverIO"),
    row("passed_function", PageScript).contains_any(&["Passed function is not well-serializable", "Passed function cannot be serialized"]).sample("Error: Passed function is not well-serializable!", PUPPETEER),

    // Scripts that WhatsApp's clients put into the page.
    row("lid_missing", PageScript).contains("Lid is missing in chat table").sample("Lid is missing in chat table [Caught in: storage-error]", WWEBJS),
    row("no_lid", PageScript).message_starts("No LID for user").sample("Error: No LID for user", WWEBJS),
    row("media_fault", PageScript).message_starts("media-fault: ").sample("media-fault: sendToChat filehash undefined", "WhatsApp Web"),
    row("business_rule", PageScript).contains("Whatsapp business can't send this yet").sample("[LT01] Whatsapp business can't send this yet", WWEBJS),
    row("wid_error", PageScript).contains("wid error: ").sample("Error: wid error: invalid wid", "WhatsApp Web"),
    row("wap_children", PageScript).contains(" children, but found ").contains("expected at least ").sample("Error: expected at least 1 children, but found zero elements in <iq>", "WhatsApp Web"),
    row("injected_library", PageScript).contains_any(&["window.Store", "window.WPP", "window.WWebJS", "WAPI is not defined"]).sample("TypeError: can't access property \"Chat\", window.Store is undefined", WWEBJS),
    row("injected_library_missing", PageScript).message_is_any(&["Store is not defined", "WPP is not defined"]).sample("ReferenceError: Store is not defined", WWEBJS),
];
