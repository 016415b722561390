//! The page crashed; or its context was replaced and the session continues.

use super::{BIDI, CHROMEDRIVER, CHROMIUMOXIDE, GECKODRIVER, PLAYWRIGHT, PUPPETEER, Row, row};
use crate::classify::ErrorClass::{Navigation, PageClosed};

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // Ending a session crashes no page, so a crash is never an orphan.
    row("tab_crashed", PageClosed).contains_any(&["session deleted because of page crash", "from tab crashed", "String(\"tab crashed\")", " at chrome://crash"]).sample("unknown error: cannot determine loading status\nfrom tab crashed", "SeleniumHQ/selenium#13551"),
    row("page_crashed", PageClosed).message_is_any(&["Page crashed", "Target crashed"]).sample("Error: Page crashed!", PUPPETEER),
    row("target_crashed", PageClosed).contains_any(&["): Target crashed", "Inspector.targetCrashed", "EventTargetCrashed", "Target.targetCrashed"]).sample("ProtocolError: Protocol error (Runtime.evaluate): Target crashed", PUPPETEER),

    // The context.
    row("context_destroyed_navigation", Navigation).message_ends("most likely because of a navigation").orphan().sample("Error: Execution context was destroyed, most likely because of a navigation.", "puppeteer-core 1-24, playwright-core 1.65"),
    row("context_destroyed_by_it", Navigation).contains("most likely because of a navigation").contains("context was destroyed").orphan().sample("Execution context was destroyed, most likely because of a navigation while \"load\" was awaited", PLAYWRIGHT),
    row("no_context", Navigation).contains_any(&["Cannot find context with specified id", "Cannot find default execution context", "Cannot find execution context", "uniqueContextId not found", "): Execution context was destroyed"]).orphan().sample("ProtocolError: Protocol error (Runtime.callFunctionOn): Cannot find context with specified id", PUPPETEER),
    row("page_navigating", Navigation).contains("the page is navigating and changing the content").orphan().sample("page.content: Unable to retrieve content because the page is navigating and changing the content.", PLAYWRIGHT),
    row("target_navigated", Navigation).contains("Inspected target navigated or closed").orphan().sample("ProtocolError: Protocol error (Runtime.evaluate): Inspected target navigated or closed", PUPPETEER),
    row("aborted_by_navigation", Navigation).contains("aborted by navigation").orphan().sample("org.openqa.selenium.WebDriverException: aborted by navigation: execution context changed", "spring-projects/spring-security#16463"),
    row("loader_changed", Navigation).contains("loader has changed while resolving nodes").orphan().sample("unknown error: loader has changed while resolving nodes", "moksha-z/automate-boss#1"),
    row("no_execution_context", Navigation).contains("no such execution context").orphan().sample("timeout\nfrom no such execution context\n  (Session info: chrome=156.0.8078.79)", CHROMEDRIVER),
    row("frame_detached_code", Navigation).contains("target frame detached").orphan().sample("target frame detached\n  (failed to check if window was closed)", CHROMEDRIVER),
    row("realm_destroyed", Navigation).contains("Realm already destroyed").orphan().sample("Error: Realm already destroyed.", BIDI),
    row("bidi_realm", Navigation).contains("WebDriver Bidi command \"script.").contains("no such frame - Context ").orphan().sample("WebDriver Bidi command \"script.callFunction\" failed with error: no such frame - Context 5D50 not found", "webdriverio/webdriverio#15570"),
    row("document_unloaded", Navigation).message_starts("Document was unloaded").orphan().sample("webdriver returned error: Document was unloaded", GECKODRIVER),
    row("actor_destroyed", Navigation).contains("Actor 'Marionette").contains("destroyed before query").orphan().sample("AbortError: Actor 'MarionetteCommands' destroyed before query 'MarionetteCommandsParent:findElement' was resolved", GECKODRIVER),
    row("main_frame_too_early", Navigation).contains("Requesting main frame too early").orphan().sample("Error: Requesting main frame too early!", PUPPETEER),
    row("old_frame", Navigation).contains("We either navigate top level or have old version").orphan().sample("Error: We either navigate top level or have old version of the navigated frame", PUPPETEER),
    row("frame_id_gone", Navigation).message_ends(" not found.").message_starts("FrameId ").orphan().sample("FrameId FrameId(\"4D1A\") not found.", CHROMIUMOXIDE),

    // A node or handle of the page before.
    row("stale_element", Navigation).contains_any(&["stale element reference", "stale element not found", "StaleElementReference", " is stale; either "]).orphan().sample("The element with the reference 4d1ae883 is stale; either its node document is not the active document, or it is no longer connected to the DOM", GECKODRIVER),
    row("node_of_old_page", Navigation).contains_any(&["detached shadow root", "is not attached to the page document", "lement is not attached to the DOM", "Unable to adopt element handle from a different document", "is not known in the current browsing context", "lement reference not seen before"]).orphan().sample("element is not attached to the page document", CHROMEDRIVER),
    row("dead_object", Navigation).contains("can't access dead object").orphan().sample("TypeError: can't access dead object", GECKODRIVER),
    row("node_detached", Navigation).contains("Node is detached from document").orphan().sample("Error: Node is detached from document", PUPPETEER),
    row("no_node", Navigation).contains_any(&["o node with given id", "ould not find node with given id"]).contains_any(&["Protocol error (", "-32000"]).orphan().sample("ProtocolError: Protocol error (DOM.resolveNode): No node with given id found", PUPPETEER),
    row("node_of_other_document", Navigation).contains("ode with given id does not belong to the document").orphan().sample("Protocol error (DOM.setFileInputFiles): Node with given id does not belong to the document", PUPPETEER),
    row("disposed_handle", Navigation).message_starts("Attempted to use disposed ").message_ends("Handle.").orphan().sample("Error: Attempted to use disposed CdpElementHandle.", PUPPETEER),
    row("no_remote_object", Navigation).contains_any(&["Invalid remote object id", "Could not find object with given id"]).contains("Protocol error (").orphan().sample("ProtocolError: Protocol error (Runtime.callFunctionOn): Invalid remote object id", PUPPETEER),
    row("handle_of_old_page", Navigation).contains_any(&["should belong to the same JavaScript world", "JSHandles can be evaluated only in the context they were created", "JSHandle is disposed", "ElementHandle is disposed"]).orphan().sample("ProtocolError: Protocol error (Runtime.callFunctionOn): Argument should belong to the same JavaScript world as target object", PUPPETEER),
    row("left_by_navigation", Navigation).message_is("NAVIGATION").orphan().sample("NAVIGATION", "whatsapp-web.js"),
    row("bidi_no_node", Navigation).contains("Protocol error (script.").contains_any(&["no such node", "no such handle", "no such frame"]).orphan().sample("ProtocolError: Protocol error (script.callFunction): no such node Unknown error", BIDI),

    // A frame, a resource, a request of the page before.
    row("no_frame", Navigation).contains("No frame with given id").contains("Protocol error (").orphan().sample("ProtocolError: Protocol error (Page.navigate): No frame with given id found", PUPPETEER),
    row("no_frame_for_id", Navigation).contains("No frame for given id found").orphan().sample("Protocol error (Page.createIsolatedWorld): No frame for given id found", PUPPETEER),
    row("no_frame_located", Navigation).message_starts("Unable to locate frame").orphan().sample("Unable to locate frame with index: 7", GECKODRIVER),
    row("no_resource", Navigation).contains_any(&["No resource with given identifier", "No data found for resource with given identifier", "Invalid InterceptionId"]).orphan().sample("ProtocolError: Protocol error (Network.getResponseBody): No resource with given identifier found", PUPPETEER),

    // A navigation that another one replaced.
    row("navigation_replaced", Navigation).contains_any(&["navigation canceled, as new", "NS_BINDING_ABORTED", "avigation interrupted by another one"]).orphan().sample("ProtocolError: Protocol error (browsingContext.navigate): unknown error navigation canceled, as new navigation is requested by scriptInitiated", "GoogleChromeLabs/chromium-bidi#2709"),
    row("interrupted", Navigation).contains("is interrupted by another navigation").contains("Navigation to ").orphan().sample("page.goto: Navigation to \"https://web.whatsapp.com/\" is interrupted by another navigation to \"https://web.whatsapp.com/?x=1\"", PLAYWRIGHT),
    row("download", Navigation).message_starts("Download is starting").sample("Error: page.goto: Download is starting", PLAYWRIGHT),
    row("aborted_request", Navigation).contains("net::ERR_ABORTED").orphan().sample("Error: net::ERR_ABORTED at http://127.0.0.1:42717/dl", PUPPETEER),
];
