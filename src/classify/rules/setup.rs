//! The session could not be created, or was requested wrongly. These rules stand above those on losses:
//! the text of a failed start often quotes one.

use super::{
    CHROMEDP, CHROMEDRIVER, CHROMIUMOXIDE, FANTOCCINI, GECKODRIVER, HEADLESS_CHROME, HTTP,
    PLAYWRIGHT, PUPPETEER, PYPPETEER, Row, SELENIUM, WWEBJS, row,
};
use crate::classify::ErrorClass::Setup;

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // WebDriver.
    row("not_created", Setup).contains_any(&["ession not created", "SessionNotCreated"]).sample("selenium.common.exceptions.SessionNotCreatedException: Message: session not created: no browser", CHROMEDRIVER),
    row("not_created_client", Setup).contains("webdriver did not create session").sample("webdriver did not create session: out of memory", FANTOCCINI),
    row("not_started_client", Setup).contains_any(&["Could not start a new session", "Unable to create new remote session", "Unable to create new service: "]).sample("Could not start a new session. Possible causes are invalid address of the remote server or browser start-up failure.", SELENIUM),
    row("failed_to_create_session", Setup).message_starts("Failed to create session").sample("Error: Failed to create session.", "WebdriverIO"),
    row("driver_address", Setup).contains("make sure browser driver is running on that address").sample("Unable to connect to \"http://localhost:4444/\", make sure browser driver is running on that address.", "WebdriverIO"),
    row("chrome_failed_to_start", Setup).contains_any(&["DevToolsActivePort", "hrome failed to start", "instance exited. Examine ", "ailed to create Chrome process"]).sample("unknown error: DevToolsActivePort file doesn't exist", CHROMEDRIVER),
    row("chrome_version", Setup).contains_any(&["only supports Chrome version", "This version of ChromeDriver", "Chrome version must be "]).sample("This version only supports Chrome version 114", CHROMEDRIVER),
    row("edge_not_started", Setup).contains_any(&["only supports Microsoft Edge version", "cannot connect to microsoft edge", "cannot find msedge binary", "Edge failed to start"]).sample("This version of Microsoft Edge WebDriver only supports Microsoft Edge version 114", SELENIUM),
    row("cannot_connect", Setup).contains_any(&["cannot connect to chrome", "unable to discover open ", "cannot get automation extension", "failed to wait for extension background page"]).sample("unknown error: cannot connect to chrome at ******************\nfrom chrome not reachable", "charlesbel/Microsoft-Rewards-Farmer#363"),
    row("no_chrome_binary", Setup).contains_any(&["no chrome binary", "cannot find Chrome binary"]).sample("unknown error: no chrome binary at /nope/chrome", CHROMEDRIVER),
    row("profile_in_use", Setup).contains_any(&["cannot create temp dir for", "user data directory is already in use", "cannot create default profile directory", "version info not in JSON", "failed to write prefs file", "cannot process extension #"]).sample("invalid argument: user data directory is already in use, please specify a unique value for --user-data-dir argument", CHROMEDRIVER),
    row("capabilities", Setup).contains_any(&["No matching capabilities found", "cannot parse capability", "'capabilities' must be ", "unrecognized chrome option"]).sample("No matching capabilities found", CHROMEDRIVER),
    row("capabilities_firefox", Setup).contains_any(&["nable to find a matching set of capabilities", "is not the name of a known capability", "moz:firefoxOptions", "unable to find binary in default location", "binary is not a Firefox executable"]).sample("nope is not the name of a known capability or extension capability", GECKODRIVER),
    row("firefox_failed_to_start", Setup).contains_any(&["Failed to read marionette port", "rocess unexpectedly closed with status", "Failed to start browser", "Your Firefox profile cannot be loaded"]).sample("Failed to read marionette port", GECKODRIVER),
    row("process_pid_closed", Setup).contains("unexpectedly closed with s").contains("Process (pid=").sample("Process (pid=29057) unexpectedly closed with status 1", GECKODRIVER),
    row("firefox_preferences", Setup).message_starts("Failed to set preferences").sample("Failed to set preferences: unknown error", GECKODRIVER),
    row("firefox_profile_old", Setup).contains("Can't load the profile").sample("Message: Can't load the profile. Profile Dir: /tmp/tmpx", SELENIUM),
    row("malformed_url", Setup).message_starts("Malformed URL: ").sample("Malformed URL: URL constructor: nope is not a valid URL.", GECKODRIVER),
    row("session_started", Setup).message_starts("Session is already started").sample("Session is already started", GECKODRIVER),
    row("too_many_sessions", Setup).contains("Maximum number of active sessions").sample("Maximum number of active sessions", GECKODRIVER),
    row("chromedriver_log", Setup).contains_any(&["Starting ChromeDriver ", "port not available. Exiting"]).sample("Starting ChromeDriver 156.0.8078.79 on port 52597", CHROMEDRIVER),
    row("geckodriver_log", Setup).contains_any(&["WebDriver implementation for Firefox", "geckodriver: error: "]).sample("WebDriver implementation for Firefox\n\nUsage: ", GECKODRIVER),
    row("service_exited", Setup).contains(" unexpectedly exited").contains("Service ").sample("Message: Service /usr/bin/geckodriver unexpectedly exited. Status code was: 64", SELENIUM),
    row("service", Setup).contains_any(&["executable needs to be in PATH", "executable may have wrong permissions", "an not connect to the Service ", "Cannot start the driver service", "DriverServiceNotFoundException"]).sample("Message: 'chromedriver' executable needs to be in PATH.", SELENIUM),
    row("no_driver", Setup).contains_any(&["path to the driver executable must be set", "nable to obtain driver for ", "nable to locate or obtain driver", "NoSuchDriver", "could not be found on the current PATH"]).sample("Message: Unable to obtain driver for chrome using Selenium Manager.", SELENIUM),
    row("driver_manager", Setup).contains("WebDriverManagerException").sample("WebDriverManagerException: There was an error managing chromedriver 131.0.6778.85", "WebDriverManager"),
    row("driver_spawn", Setup).contains("chrom").contains("spawn ").contains("EACCES").sample("Error: spawn /usr/bin/chromium EACCES", "Node"),
    row("driver_start", Setup).contains_any(&["erver terminated early with status", "Timed out waiting for driver server to "]).sample("Error: The server terminated early with status 1", SELENIUM),
    row("driver_download", Setup).contains_any(&["chromedriver.storage.googleapis.com", "known-good-versions"]).sample("ConnectionError: HTTPConnectionPool(host='chromedriver.storage.googleapis.com', port=80): Max retries exceeded with url: /LATEST_RELEASE", "SergeyPirogov/webdriver_manager"),
    row("driver_download_new", Setup).contains("chrome-for-testing").sample("Failed to download https://storage.googleapis.com/chrome-for-testing-public/131.0.6778.85/linux64/chrome-linux64.zip", PUPPETEER),
    row("driver_gone_early", Setup).contains("webdriver server disconnected: ").sample("webdriver server disconnected: broken pipe", FANTOCCINI),
    row("driver_not_conformant", Setup).contains("webdriver server gave non-conformant response").sample("webdriver server gave non-conformant response: Object {}", FANTOCCINI),
    row("ruby_connect", Setup).contains("unable to connect to ").contains("Selenium::WebDriver::Error").sample("unable to connect to chromedriver 127.0.0.1:9515 (Selenium::WebDriver::Error::WebDriverError)", SELENIUM),
    row("url_checker", Setup).contains("UrlChecker$TimeoutException").sample("org.openqa.selenium.net.UrlChecker$TimeoutException: Timed out waiting for [http://localhost:4455/status] to be available after 20009 ms", SELENIUM),
    row("new_session", Setup).contains("The newSession command returned an unexpected error").sample("OpenQA.Selenium.WebDriverException : The newSession command returned an unexpected error. 401", SELENIUM),
    row("driver_url", Setup).contains_any(&["webdriver url is invalid", "BadWebdriverUrl("]).sample("webdriver url is invalid: relative URL without a base", FANTOCCINI),

    // Puppeteer.
    row("launch_failed", Setup).contains_any(&["Failed to launch the browser process", "nable to launch browser"]).sample("Error: Failed to launch the browser process!", PUPPETEER),
    row("launch_failed_chrome", Setup).message_starts("Failed to launch chrome").sample("Error: Failed to launch chrome! spawn /usr/bin/google-chrome ENOENT", PUPPETEER),
    row("launch_failed_chromium", Setup).contains("Failed to launch chromium").sample("Failed to launch chromium because executable doesn't exist at /nope/chrome", PLAYWRIGHT),
    row("executable_path", Setup).contains_any(&["Browser was not found at the configured executablePath", "Tried to find the browser at the configured path", "must be specified for `puppeteer-core`"]).sample("Error: Browser was not found at the configured executablePath (/nope/chrome)", PUPPETEER),
    row("no_browser", Setup).contains_any(&["Could not find Chrome ", "Could not find Chromium ", "Could not find Firefox ", "Could not find Google Chrome executable for channel", "Could not find expected browser", "Could not find browser revision", "revision is not downloaded", "PUPPETEER_SKIP_DOWNLOAD"]).sample("Error: Could not find Chrome (ver. 131.0.6778.85). This can occur if either", PUPPETEER),
    row("browsers_install", Setup).contains("browsers install ").contains("puppeteer").sample("Run `npx puppeteer browsers install chrome`", PUPPETEER),
    row("endpoint", Setup).contains_any(&["while trying to connect to the browser", "waiting for the WS endpoint", "Failed to fetch browser webSocket URL", "Exactly one of browserWSEndpoint", "The browser is already running for "]).sample("TimeoutError: Timed out after 30000 ms while waiting for the WS endpoint URL to appear in stdout!", PUPPETEER),
    row("singleton", Setup).contains_any(&["ProcessSingleton", "profile appears to be in use by another", "SingletonLock"]).sample("Failed to create a ProcessSingleton for your profile directory.", "Chromium"),
    row("no_sandbox", Setup).contains_any(&["Running as root without --no-sandbox", "No usable sandbox!", "Failed to move to new namespace"]).sample("Running as root without --no-sandbox is not supported.", "Chromium"),
    row("chrome_refuses", Setup).contains_any(&["Missing X server or $DISPLAY", "chrome_crashpad_handler: ", "Old Headless mode has been removed"]).sample("Missing X server or $DISPLAY", "Chromium"),
    row("chrome_library", Setup).contains("error while loading shared libraries").contains("chrome").sample("/opt/chrome/chrome: error while loading shared libraries: libnss3.so", "Chromium"),
    row("chrome_spawn", Setup).contains("chrom").contains("ENOENT").contains("spawn ").sample("Error: spawn /usr/bin/chromium-browser ENOENT", PUPPETEER),
    row("closed_unexpectedly", Setup).contains("Browser closed unexpectedly").sample("pyppeteer.errors.BrowserError: Browser closed unexpectedly:", PYPPETEER),
    row("invalid_url", Setup).contains("Cannot navigate to invalid URL").sample("Error: Protocol error (Page.navigate): Cannot navigate to invalid URL", PUPPETEER),

    // Playwright.
    row("playwright_launch", Setup).contains_any(&["rowserType.launch", "rowserType.connect"]).sample("Error: browserType.launch: Target page, context or browser has been closed", PLAYWRIGHT),
    row("playwright_executable", Setup).contains_any(&["xecutable doesn't exist at ", "playwright install", "Host system is missing dependencies"]).sample("Executable doesn't exist at /root/.cache/ms-playwright/chromium-1084/chrome-linux/chrome", PLAYWRIGHT),
    row("playwright_channel", Setup).contains("' is not found at ").contains("distribution '").sample("Chromium distribution 'chrome' is not found at /opt/google/chrome/chrome", PLAYWRIGHT),
    row("playwright_setup", Setup).contains_any(&["headed browser without having a XServer", "Playwright Sync API inside the asyncio loop", "Browser is already in use for "]).sample("Looks like you launched a headed browser without having a XServer running.", PLAYWRIGHT),

    // Other launchers.
    row("launcher_stopped", Setup).contains("before startup completed").contains_any(&["hrom", "rowser"]).sample("Chrome process stopped before startup completed. Additional info: WARNING: cannot create user data directory: permission denied", "chrome-php/chrome#237"),
    row("launcher_port", Setup).contains_any(&["onnect to browser on port", "onnect to Chrome on port", "onnect to Chromium on port"]).sample("Error: Cannot connect to browser on port 9222", "a launcher in Node"),
    row("debugging_port", Setup).contains_any(&["debug port", "debugging port", "DevTools port"]).contains_any(&["not available", "not open", "not ready", "not reachable", "not respond", "not listening", "refused"]).contains_any(&["hrom", "rowser"]).sample("Chrome debug port 9222 not available after 60000ms", "a launcher in Node"),
    row("launcher_no_sandbox", Setup).contains("Failed to connect to browser").contains("no_sandbox").sample("Exception: \n---------------------\nFailed to connect to browser\n---------------------\nOne of the causes could be when you are running as root.\nIn that case you need to pass no_sandbox=True", "nodriver"),
    row("launcher_websocket", Setup).contains("did not produce websocket url within").sample("Browser did not produce websocket url within 10 seconds, try to increase `:process_timeout`.", "Ferrum"),
    row("default_data_directory", Setup).contains("requires a non-default data directory").sample("DevTools remote debugging requires a non-default data directory. Specify this using --user-data-dir.", "Chromium"),
    row("host_header", Setup).contains("Host header is specified and is not an IP address or localhost").sample("Host header is specified and is not an IP address or localhost.", "Chromium"),

    // Clients in Rust and Go.
    row("launch_exit", Setup).contains_any(&["before websocket URL could be resolved", "resolving websocket URL from browser process", "Could not auto detect a chrome executable"]).sample("Browser process exited with status ExitStatus(unix_wait_status(256)) before websocket URL could be resolved, stderr: BrowserStderr(\"\")", CHROMIUMOXIDE),
    row("no_debug_ports", Setup).contains("for debugging").contains("available ports between").sample("There are no available ports between 8000 and 9000 for debugging", HEADLESS_CHROME),
    row("no_websocket_url", Setup).contains("didn't give us a WebSocket URL").sample("Chrome launched, but didn't give us a WebSocket URL before we timed out", HEADLESS_CHROME),
    row("exec_not_found", Setup).contains("executable file not found in").contains("chrom").contains("exec: \"").sample("exec: \"google-chrome\": executable file not found in $PATH", CHROMEDP),
    row("websocket_url_timeout", Setup).contains_any(&["websocket url timeout reached", "ailed to get the debug url"]).sample("websocket url timeout reached", CHROMEDP),
    row("driver_host", Setup).contains("dns error").contains(":9515/session)").contains("error sending request for url (http").sample("error sending request for url (http://chromedriver.invalid:9515/session): client error (Connect): dns error: failed to lookup address information", HTTP),

    // WhatsApp's clients.
    row("wwebjs_options", Setup).contains_any(&["LocalAuth is not compatible", "Invalid clientId. Only alphanumeric", "Remote database store is required", "Invalid backup sync interval"]).sample("LocalAuth is not compatible with a user-supplied userDataDir.", WWEBJS),
    row("optional_dependencies", Setup).contains("to use RemoteAuth").contains("Optional Dependencies [").sample("Optional Dependencies [fs-extra, unzipper, archiver] are required to use RemoteAuth.", WWEBJS),
];
