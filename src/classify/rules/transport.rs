//! Failures of transport. Their words are those of any program, so they count only with a sign of the
//! driver in them, or where the call site is known.

use super::{HTTP, KEEP, PUPPETEER, Row, SELENIUM, Sites, text};
use crate::classify::ErrorClass::{
    self, BrowserGone, Network, PageClosed, PageScript, Setup, Timeout,
};

// Only loopback hosts: any service may have sessions, and paths that name them.
const REQUEST: &str = "error sending request for url (http://127.0.0.1:";
const REQUEST_NAMED: &str = "error sending request for url (http://localhost:";
const BODY: &str = "error decoding response body for url (http://127.0.0.1:";
const BODY_NAMED: &str = "error decoding response body for url (http://localhost:";
const OF_URL: &str = " for url (http://127.0.0.1:";
const OF_URL_NAMED: &str = " for url (http://localhost:";
const POOL: &str = "HTTPConnectionPool(host='127.0.0.1'";
const POOL_NAMED: &str = "HTTPConnectionPool(host='localhost'";

/// What is said of whoever listens at the other end of this call site.
const fn other_end(
    name: &'static str,
    class: ErrorClass,
    sites: Sites,
    phrases: &'static [&'static str],
    sample: &'static str,
) -> Row {
    text(name, class, KEEP, phrases, sample, HTTP).at(sites)
}

const BROWSER: Sites = Sites::BROWSER;
const SIDECAR: Sites = Sites::SIDECAR;

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // A WebDriver server shows by its paths and its usual ports.
    text("driver_timed_out", Timeout, KEEP, &["operation timed out", REQUEST, "/session)"], "error sending request for url (http://127.0.0.1:42035/session): operation timed out", HTTP),
    text("driver_command_timed_out", Timeout, KEEP, &["operation timed out", REQUEST, "/session/"], "error sending request for url (http://127.0.0.1:42035/session/1b2c/url): operation timed out", HTTP),
    text("driver_request", BrowserGone, KEEP, &[REQUEST, "/session)"], "error sending request for url (http://127.0.0.1:42035/session): connection refused", HTTP),
    text("driver_command", BrowserGone, KEEP, &[REQUEST, "/session/"], "error sending request for url (http://127.0.0.1:32789/session/d96a/title): client error (Connect)", HTTP),
    text("driver_named_timed_out", Timeout, KEEP, &["operation timed out", REQUEST_NAMED, "/session)"], "error sending request for url (http://localhost:42035/session): operation timed out", HTTP),
    text("driver_named_command_timed_out", Timeout, KEEP, &["operation timed out", REQUEST_NAMED, "/session/"], "error sending request for url (http://localhost:42035/session/1b2c/url): operation timed out", HTTP),
    text("driver_named_request", BrowserGone, KEEP, &[REQUEST_NAMED, "/session)"], "error sending request for url (http://localhost:42035/session): connection refused", HTTP),
    text("driver_named_command", BrowserGone, KEEP, &[REQUEST_NAMED, "/session/"], "error sending request for url (http://localhost:32789/session/d96a/title): client error (Connect)", HTTP),
    text("driver_body", BrowserGone, KEEP, &["/session)", BODY], "error decoding response body for url (http://127.0.0.1:40463/session): error reading a body from connection", HTTP),
    text("driver_command_body", BrowserGone, KEEP, &["/session/", BODY], "error decoding response body for url (http://127.0.0.1:40463/session/1b2c/url): error reading a body from connection", HTTP),
    text("driver_named_body", BrowserGone, KEEP, &["/session)", BODY_NAMED], "error decoding response body for url (http://localhost:40463/session): error reading a body from connection", HTTP),
    text("driver_named_command_body", BrowserGone, KEEP, &["/session/", BODY_NAMED], "error decoding response body for url (http://localhost:40463/session/1b2c/url): error reading a body from connection", HTTP),
    text("driver_status", BrowserGone, KEEP, &["HTTP status server error (50", OF_URL, "/session)"], "HTTP status server error (502 Bad Gateway) for url (http://127.0.0.1:40283/session)", HTTP),
    text("driver_command_status", BrowserGone, KEEP, &["HTTP status server error (50", OF_URL, "/session/"], "HTTP status server error (502 Bad Gateway) for url (http://127.0.0.1:40283/session/1b2c/url)", HTTP),
    text("driver_named_status", BrowserGone, KEEP, &["HTTP status server error (50", OF_URL_NAMED, "/session)"], "HTTP status server error (502 Bad Gateway) for url (http://localhost:40283/session)", HTTP),
    text("driver_named_command_status", BrowserGone, KEEP, &["HTTP status server error (50", OF_URL_NAMED, "/session/"], "HTTP status server error (502 Bad Gateway) for url (http://localhost:40283/session/1b2c/url)", HTTP),
    text("driver_retries", BrowserGone, KEEP, &["exceeded with url: /session/", POOL], "urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='127.0.0.1', port=45301): Max retries exceeded with url: /session/58d5/window", "urllib3"),
    text("driver_session_retries", BrowserGone, KEEP, &["exceeded with url: /session (", POOL], "urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='127.0.0.1', port=45301): Max retries exceeded with url: /session (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f9f48681fa0>: Failed to establish a new connection: [Errno 111] Connection refused'))", "urllib3"),
    text("driver_named_retries", BrowserGone, KEEP, &["exceeded with url: /session/", POOL_NAMED], "urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='localhost', port=45301): Max retries exceeded with url: /session/58d5/window", "urllib3"),
    text("driver_named_session_retries", BrowserGone, KEEP, &["exceeded with url: /session (", POOL_NAMED], "urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='localhost', port=4444): Max retries exceeded with url: /session (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f9f48681fa0>: Failed to establish a new connection: [Errno 111] Connection refused'))", "urllib3"),
    // Selenium's time-out of 120 s tells its client from others of urllib3.
    text("driver_read_timeout", Timeout, KEEP, &["Read timed out. (read timeout=120)", "urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='localhost'"], "urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='localhost', port=41553): Read timed out. (read timeout=120)", "urllib3"),
    text("chromedriver_refused", BrowserGone, KEEP, &[":9515$", "ECONNREFUSED"], "Error: connect ECONNREFUSED 127.0.0.1:9515", "Node"),
    text("grid_refused", BrowserGone, KEEP, &[":4444$", "ECONNREFUSED"], "Error: connect ECONNREFUSED 127.0.0.1:4444", "Node"),
    text("devtools_refused", BrowserGone, KEEP, &[":9222$", "ECONNREFUSED"], "Error: connect ECONNREFUSED 127.0.0.1:9222", "Node"),
    text("chromedriver_refused_ruby", BrowserGone, KEEP, &["Failed to open TCP connection to 127.0.0.1:9515 ("], "Failed to open TCP connection to 127.0.0.1:9515 (Connection refused - connect(2) for \"127.0.0.1\" port 9515)", "Ruby"),
    text("driver_dial", BrowserGone, KEEP, &["/session\": dial tcp 127.0.0.1:"], "Post \"http://127.0.0.1:9515/session\": dial tcp 127.0.0.1:9515: connect: connection refused", "Go"),
    text("driver_command_dial", BrowserGone, KEEP, &["/session/", "\": dial tcp 127.0.0.1:"], "Get \"http://localhost:9515/session/1b2c/url\": dial tcp 127.0.0.1:9515: connect: connection refused", "Go"),
    text("chromedriver_refused_java", BrowserGone, KEEP, &[":9515$", "onnection refused"], "java.net.ConnectException: Connection refused: localhost/127.0.0.1:9515", "Java"),
    text("grid_refused_java", BrowserGone, KEEP, &[":4444$", "onnection refused"], "java.net.ConnectException: Connection refused: localhost/127.0.0.1:4444", "Java"),
    text("driver_connect_java", BrowserGone, KEEP, &["org.openqa.selenium", "java.net.ConnectException: Failed to connect to"], "org.openqa.selenium.WebDriverException: java.net.ConnectException: Failed to connect to localhost/127.0.0.1:41233", SELENIUM),
    text("devtools_refused_go", BrowserGone, KEEP, &["onnection refused", ":9222: "], "dial tcp 127.0.0.1:9222: connect: connection refused", "Go"),
    text("driver_not_found_session", PageClosed, KEEP, &["HTTP status client error (404", OF_URL, "/session/"], "HTTP status client error (404 Not Found) for url (http://127.0.0.1:9515/session/1b2c/url)", HTTP),
    text("driver_named_not_found_session", PageClosed, KEEP, &["HTTP status client error (404", OF_URL_NAMED, "/session/"], "HTTP status client error (404 Not Found) for url (http://localhost:9515/session/1b2c/url)", HTTP),
    text("devtools_socket", BrowserGone, KEEP, &["/devtools/browser/"], "could not dial \"ws://127.0.0.1:9222/devtools/browser/1b2c\": EOF", "Chrome DevTools protocol"),

    // Known call sites.
    other_end("other_end_unknown", Setup, BROWSER, &["dns error"], "client error (Connect): dns error"),
    other_end("other_end_not_found", Setup, BROWSER, &["ENOTFOUND"], "getaddrinfo ENOTFOUND grid.internal"),
    other_end("other_end_timed_out", Timeout, BROWSER, &["timed out"], "operation timed out"),
    other_end("other_end_etimedout", Timeout, BROWSER, &["ETIMEDOUT"], "connect ETIMEDOUT 10.0.0.7:9515"),
    other_end("other_end_request", BrowserGone, BROWSER, &["error sending request for url (http"], "error sending request for url (http://grid.internal:4444/session/1b2c/url)"),
    other_end("other_end_retries", BrowserGone, BROWSER, &["exceeded with url: /session"], "HTTPConnectionPool(host='grid.internal', port=4444): Max retries exceeded with url: /session/58d5/window"),
    other_end("other_end_dial", BrowserGone, BROWSER, &["/session", "\": dial tcp "], "Post \"http://grid.internal:4444/session\": dial tcp 10.0.0.7:4444: connect: no route to host"),
    other_end("other_end_status", BrowserGone, BROWSER, &["HTTP status server error (50"], "HTTP status server error (503 Service Unavailable) for url (http://grid.internal:4444/session)"),
    other_end("other_end_no_session", PageClosed, BROWSER, &["HTTP status client error (404", "/session/"], "HTTP status client error (404 Not Found) for url (http://grid.internal:4444/session/1b2c/url)"),
    other_end("other_end_econnrefused", BrowserGone, BROWSER, &["ECONNREFUSED"], "connect ECONNREFUSED 10.0.0.7:4321"),
    other_end("other_end_refused", BrowserGone, BROWSER, &["onnection refused"], "tcp connect error: Connection refused (os error 111)"),
    other_end("other_end_econnreset", BrowserGone, BROWSER, &["ECONNRESET"], "read ECONNRESET"),
    other_end("other_end_reset", BrowserGone, BROWSER, &["onnection reset by peer"], "Connection reset by peer (os error 104)"),
    other_end("other_end_epipe", BrowserGone, BROWSER, &["EPIPE"], "write EPIPE"),
    other_end("other_end_pipe", BrowserGone, BROWSER, &["roken pipe"], "Broken pipe (os error 32)"),
    other_end("other_end_hung_up", BrowserGone, BROWSER, &["socket hang up"], "socket hang up"),
    other_end("other_end_closed", BrowserGone, BROWSER, &["onnection closed before message"], "connection closed before message completed"),
    other_end("other_end_body", BrowserGone, BROWSER, &["error reading a body from connection"], "error reading a body from connection"),
    other_end("other_end_send", BrowserGone, BROWSER, &["client error (SendRequest)"], "client error (SendRequest)"),
    other_end("other_end_connect", BrowserGone, BROWSER, &["client error (Connect)"], "client error (Connect)"),
    other_end("other_end_incomplete", BrowserGone, BROWSER, &["IncompleteMessage"], "hyper::Error(IncompleteMessage)"),
    other_end("other_end_empty", BrowserGone, BROWSER, &["Empty reply from server"], "curl: (52) Empty reply from server"),
    other_end("other_end_curl", BrowserGone, BROWSER, &["Couldn't connect to server"], "curl: (7) Couldn't connect to server"),
    other_end("other_end_ended", BrowserGone, BROWSER, &["Remote end closed connection"], "Remote end closed connection without response", ),
    other_end("other_end_gateway", BrowserGone, BROWSER, &["502 Bad Gateway"], "<html>\r\n<head><title>502 Bad Gateway</title></head>"),
    other_end("other_end_websocket", BrowserGone, BROWSER, &["WebSocket is not open"], "WebSocket is not open: readyState 3 (CLOSED)"),
    other_end("other_end_server_response", BrowserGone, BROWSER, &["^Unexpected server response: "], "Unexpected server response: 404"),
    other_end("other_end_fetch", BrowserGone, BROWSER, &["TypeError: fetch failed"], "TypeError: fetch failed"),
    other_end("sidecar_timed_out", Timeout, SIDECAR, &["timed out"], "operation timed out"),
    other_end("sidecar_etimedout", Timeout, SIDECAR, &["ETIMEDOUT"], "connect ETIMEDOUT 10.0.0.7:3000"),
    other_end("sidecar_request", Network, SIDECAR, &["error sending request"], "error sending request for url (http://127.0.0.1:3000/info)"),
    other_end("sidecar_refused", Network, SIDECAR, &["onnection refused"], "tcp connect error: Connection refused (os error 111)"),
    other_end("sidecar_econnrefused", Network, SIDECAR, &["ECONNREFUSED"], "connect ECONNREFUSED 127.0.0.1:3000"),
    other_end("sidecar_econnreset", Network, SIDECAR, &["ECONNRESET"], "read ECONNRESET"),
    other_end("sidecar_reset", Network, SIDECAR, &["onnection reset by peer"], "Connection reset by peer (os error 104)"),
    other_end("sidecar_hung_up", Network, SIDECAR, &["socket hang up"], "socket hang up"),
    other_end("sidecar_closed", Network, SIDECAR, &["onnection closed before message"], "connection closed before message completed"),
    other_end("sidecar_status", Network, SIDECAR, &["HTTP status server error"], "HTTP status server error (503 Service Unavailable)"),

    // Puppeteer from 20 on rethrows what the page threw as it is.
    text("rethrown_type_error", PageScript, KEEP, &["TypeError: "], "TypeError: Cannot read properties of undefined (reading 'Chat')", PUPPETEER).at(Sites::CDP),
    text("rethrown_reference_error", PageScript, KEEP, &["ReferenceError: "], "ReferenceError: require is not defined", PUPPETEER).at(Sites::CDP),
    text("rethrown_syntax_error", PageScript, KEEP, &["SyntaxError: "], "SyntaxError: Unexpected end of input", PUPPETEER).at(Sites::CDP),
    text("rethrown_range_error", PageScript, KEEP, &["RangeError: "], "RangeError: Maximum call stack size exceeded", PUPPETEER).at(Sites::CDP),
];
