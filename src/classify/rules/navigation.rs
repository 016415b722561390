//! The page crashed; or its context was replaced and the session lives.

use super::{
    BIDI, CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, FANTOCCINI, GECKODRIVER, KEEP, ORPHAN, PLAYWRIGHT,
    PUPPETEER, Row, SELENIUM, text,
};
use crate::classify::ErrorClass::{Navigation, PageClosed};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // A crash did not come with its session's end, so it is never an orphan.
    text("page_crash", PageClosed, KEEP, &["session deleted because of page crash"], "unknown error: session deleted because of page crash\nfrom unknown error: cannot determine loading status\nfrom tab crashed", "SeleniumHQ/selenium#13551"),
    text("tab_crashed", PageClosed, KEEP, &["from tab crashed"], "unknown error: cannot determine loading status\nfrom tab crashed", "SeleniumHQ/selenium#13551"),
    text("tab_crashed_code", PageClosed, KEEP, &["String(\"tab crashed\")"], "webdriver returned non-conforming response: String(\"tab crashed\")", FANTOCCINI),
    text("at_chrome_crash", PageClosed, KEEP, &[" at chrome://crash"], "Error: net::ERR_ABORTED at chrome://crash", PUPPETEER),
    text("page_crashed", PageClosed, KEEP, &["^Page crashed$"], "Error: Page crashed!", PUPPETEER),
    text("target_crashed", PageClosed, KEEP, &["^Target crashed$"], "Error: page.evaluate: Target crashed ", PLAYWRIGHT),
    text("cdp_target_crashed", PageClosed, KEEP, &["): Target crashed"], "ProtocolError: Protocol error (Runtime.evaluate): Target crashed", PUPPETEER),
    text("inspected_target_crashed", PageClosed, KEEP, &["Inspector.targetCrashed"], "received event Inspector.targetCrashed", "Chrome DevTools protocol"),
    text("event_target_crashed", PageClosed, KEEP, &["EventTargetCrashed"], "received crashed event &target.EventTargetCrashed{TargetID:\"8DAC\"}", "chromedp/chromedp#854"),
    text("target_target_crashed", PageClosed, KEEP, &["Target.targetCrashed"], "{\"method\":\"Target.targetCrashed\",\"params\":{\"status\":\"killed\"}}", "chromedp/chromedp#1368"),

    // The context.
    text("context_destroyed_navigation", Navigation, ORPHAN, &["most likely because of a navigation$"], "Error: Execution context was destroyed, most likely because of a navigation.", "puppeteer-core 1-24, playwright-core 1.65"),
    text("context_destroyed_by_it", Navigation, ORPHAN, &["context was destroyed", "most likely because of a navigation"], "Execution context was destroyed, most likely because of a navigation while \"load\" was awaited", PLAYWRIGHT),
    text("no_context", Navigation, ORPHAN, &["Cannot find context with specified id"], "ProtocolError: Protocol error (Runtime.callFunctionOn): Cannot find context with specified id", PUPPETEER),
    text("no_default_context", Navigation, ORPHAN, &["Cannot find default execution context"], "Protocol error (Runtime.evaluate): Cannot find default execution context", "Chrome DevTools protocol"),
    text("no_execution_context_found", Navigation, ORPHAN, &["Cannot find execution context"], "Protocol error (Runtime.callFunctionOn): Cannot find execution context with given id", "Chrome DevTools protocol"),
    text("page_navigating", Navigation, ORPHAN, &["the page is navigating and changing the content"], "page.content: Unable to retrieve content because the page is navigating and changing the content.", PLAYWRIGHT),
    text("no_unique_context", Navigation, ORPHAN, &["uniqueContextId not found"], "ProtocolError: Protocol error (Runtime.evaluate): uniqueContextId not found", PUPPETEER),
    text("cdp_context_destroyed", Navigation, ORPHAN, &["): Execution context was destroyed"], "ProtocolError: Protocol error (Runtime.callFunctionOn): Execution context was destroyed.", PUPPETEER),
    text("target_navigated", Navigation, ORPHAN, &["Inspected target navigated or closed"], "ProtocolError: Protocol error (Runtime.evaluate): Inspected target navigated or closed", PUPPETEER),
    text("aborted_by_navigation", Navigation, ORPHAN, &["aborted by navigation"], "org.openqa.selenium.WebDriverException: aborted by navigation: execution context changed", "spring-projects/spring-security#16463"),
    text("loader_changed", Navigation, ORPHAN, &["loader has changed while resolving nodes"], "unknown error: loader has changed while resolving nodes", "moksha-z/automate-boss#1"),
    text("no_execution_context", Navigation, ORPHAN, &["no such execution context"], "timeout\nfrom no such execution context\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    text("frame_detached_code", Navigation, ORPHAN, &["target frame detached"], "target frame detached\n  (failed to check if window was closed)", CHROMEDRIVER),
    text("realm_destroyed", Navigation, ORPHAN, &["Realm already destroyed"], "Error: Realm already destroyed.", BIDI),
    text("bidi_realm", Navigation, ORPHAN, &["no such frame - Context ", "WebDriver Bidi command \"script."], "WebDriver Bidi command \"script.callFunction\" failed with error: no such frame - Context 5D50 not found", "webdriverio/webdriverio#15570"),
    text("document_unloaded", Navigation, ORPHAN, &["^Document was unloaded"], "webdriver returned error: Document was unloaded", GECKODRIVER),
    text("actor_destroyed", Navigation, ORPHAN, &["destroyed before query", "Actor 'Marionette"], "AbortError: Actor 'MarionetteCommands' destroyed before query 'MarionetteCommandsParent:findElement' was resolved", GECKODRIVER),
    text("main_frame_too_early", Navigation, ORPHAN, &["Requesting main frame too early"], "Error: Requesting main frame too early!", PUPPETEER),
    text("old_frame", Navigation, ORPHAN, &["We either navigate top level or have old version"], "Error: We either navigate top level or have old version of the navigated frame", PUPPETEER),
    text("frame_id_gone", Navigation, ORPHAN, &["^FrameId ", " not found.$"], "FrameId FrameId(\"4D1A\") not found.", CHROMIUMOXIDE),

    // A node or handle of the page before.
    text("stale_element", Navigation, ORPHAN, &["stale element reference"], "stale element reference: stale element not found", CHROMEDRIVER),
    text("stale_not_found", Navigation, ORPHAN, &["stale element not found"], "Message: stale element not found", CHROMEDRIVER),
    text("stale_name", Navigation, ORPHAN, &["StaleElementReference"], "org.openqa.selenium.StaleElementReferenceException: Element not found in the cache", SELENIUM),
    text("stale_reference", Navigation, ORPHAN, &[" is stale; either "], "The element with the reference 4d1ae883 is stale; either its node document is not the active document, or it is no longer connected to the DOM", GECKODRIVER),
    text("stale_shadow_root", Navigation, ORPHAN, &["detached shadow root"], "detached shadow root: detached shadow root not found", CHROMEDRIVER),
    text("not_in_document", Navigation, ORPHAN, &["is not attached to the page document"], "element is not attached to the page document", CHROMEDRIVER),
    text("not_in_dom", Navigation, ORPHAN, &["lement is not attached to the DOM"], "elementHandle.click: Element is not attached to the DOM", PLAYWRIGHT),
    text("other_document", Navigation, ORPHAN, &["Unable to adopt element handle from a different document"], "elementHandle.evaluate: Unable to adopt element handle from a different document", PLAYWRIGHT),
    text("not_known_here", Navigation, ORPHAN, &["is not known in the current browsing context"], "The element with the reference nope is not known in the current browsing context", GECKODRIVER),
    text("not_seen_before", Navigation, ORPHAN, &["lement reference not seen before"], "Web element reference not seen before: 4d1ae883", GECKODRIVER),
    text("dead_object", Navigation, ORPHAN, &["can't access dead object"], "TypeError: can't access dead object", GECKODRIVER),
    text("node_detached", Navigation, ORPHAN, &["Node is detached from document"], "Error: Node is detached from document", PUPPETEER),
    text("no_node_found", Navigation, ORPHAN, &["Protocol error (", "o node with given id"], "ProtocolError: Protocol error (DOM.resolveNode): No node with given id found", PUPPETEER),
    text("no_node", Navigation, ORPHAN, &["Protocol error (", "Could not find node with given id"], "ProtocolError: Protocol error (DOM.describeNode): Could not find node with given id", PUPPETEER),
    text("no_node_code", Navigation, ORPHAN, &["(-32000)", "o node with given id"], "No node with given id found (-32000)", CHROMEDP),
    text("no_node_code_found", Navigation, ORPHAN, &["(-32000)", "Could not find node with given id"], "Could not find node with given id (-32000)", CHROMEDP),
    text("node_of_other_document", Navigation, ORPHAN, &["ode with given id does not belong to the document"], "Protocol error (DOM.setFileInputFiles): Node with given id does not belong to the document", PUPPETEER),
    text("no_node_json", Navigation, ORPHAN, &["-32000", "ould not find node with given id"], "unhandled inspector error: {\"code\":-32000,\"message\":\"Could not find node with given id\"}", CHROMEDRIVER),
    text("disposed_handle", Navigation, ORPHAN, &["Handle.$", "^Attempted to use disposed "], "Error: Attempted to use disposed CdpElementHandle.", PUPPETEER),
    text("no_remote_object", Navigation, ORPHAN, &["Protocol error (", "Invalid remote object id"], "ProtocolError: Protocol error (Runtime.callFunctionOn): Invalid remote object id", PUPPETEER),
    text("no_object", Navigation, ORPHAN, &["Protocol error (", "Could not find object with given id"], "Protocol error (Runtime.callFunctionOn): Could not find object with given id", PUPPETEER),
    text("other_world", Navigation, ORPHAN, &["should belong to the same JavaScript world"], "ProtocolError: Protocol error (Runtime.callFunctionOn): Argument should belong to the same JavaScript world as target object", PUPPETEER),
    text("other_context", Navigation, ORPHAN, &["JSHandles can be evaluated only in the context they were created"], "Error: JSHandles can be evaluated only in the context they were created!", PUPPETEER),
    text("handle_disposed", Navigation, ORPHAN, &["JSHandle is disposed"], "Error: JSHandle is disposed!", PUPPETEER),
    text("element_handle_disposed", Navigation, ORPHAN, &["ElementHandle is disposed"], "Error: ElementHandle is disposed!", PUPPETEER),
    text("left_by_navigation", Navigation, ORPHAN, &["^NAVIGATION$"], "NAVIGATION", "whatsapp-web.js"),
    text("bidi_no_node", Navigation, ORPHAN, &["Protocol error (script.", "no such node"], "ProtocolError: Protocol error (script.callFunction): no such node Unknown error", BIDI),
    text("bidi_no_handle", Navigation, ORPHAN, &["Protocol error (script.", "no such handle"], "ProtocolError: Protocol error (script.callFunction): no such handle", BIDI),
    text("bidi_no_realm", Navigation, ORPHAN, &["Protocol error (script.", "no such frame"], "ProtocolError: Protocol error (script.evaluate): no such frame Realm 7 not found", BIDI),

    // A frame, a resource, a request of the page before.
    text("no_frame", Navigation, ORPHAN, &["Protocol error (", "No frame with given id"], "ProtocolError: Protocol error (Page.navigate): No frame with given id found", PUPPETEER),
    text("no_frame_for_id", Navigation, ORPHAN, &["No frame for given id found"], "Protocol error (Page.createIsolatedWorld): No frame for given id found", PUPPETEER),
    text("no_frame_located", Navigation, ORPHAN, &["^Unable to locate frame"], "Unable to locate frame with index: 7", GECKODRIVER),
    text("no_resource", Navigation, ORPHAN, &["No resource with given identifier"], "ProtocolError: Protocol error (Network.getResponseBody): No resource with given identifier found", PUPPETEER),
    text("no_data", Navigation, ORPHAN, &["No data found for resource with given identifier"], "Protocol error (Network.getResponseBody): No data found for resource with given identifier", PUPPETEER),
    text("no_interception", Navigation, ORPHAN, &["Invalid InterceptionId"], "ProtocolError: Protocol error (Fetch.continueRequest): Invalid InterceptionId.", PUPPETEER),

    // A navigation that another one replaced.
    text("navigation_canceled", Navigation, ORPHAN, &["navigation canceled, as new"], "ProtocolError: Protocol error (browsingContext.navigate): unknown error navigation canceled, as new navigation is requested by scriptInitiated", "GoogleChromeLabs/chromium-bidi#2709"),
    text("binding_aborted", Navigation, ORPHAN, &["NS_BINDING_ABORTED"], "ProtocolError: Protocol error (browsingContext.navigate): unknown error NS_BINDING_ABORTED", "puppeteer/puppeteer#12929"),
    text("interrupted", Navigation, ORPHAN, &["Navigation to ", "is interrupted by another navigation"], "page.goto: Navigation to \"https://web.whatsapp.com/\" is interrupted by another navigation to \"https://web.whatsapp.com/?x=1\"", PLAYWRIGHT),
    text("interrupted_by_another", Navigation, ORPHAN, &["avigation interrupted by another one"], "page.goto: Navigation interrupted by another one", PLAYWRIGHT),
    text("download", Navigation, KEEP, &["^Download is starting"], "Error: page.goto: Download is starting", PLAYWRIGHT),
    text("aborted_request", Navigation, ORPHAN, &["net::ERR_ABORTED"], "Error: net::ERR_ABORTED at http://127.0.0.1:42717/dl", PUPPETEER),
];
