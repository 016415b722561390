//! Failures of transport. Any program reports them in the same words, so they count only beside the
//! address of a driver, or if the call site is known.

use super::{BROWSER, CDP, HTTP, PUPPETEER, Row, SELENIUM, SIDECAR, TUNGSTENITE, row};
use crate::classify::ErrorClass::{BrowserGone, Network, PageClosed, PageScript, Setup, Timeout};

// Only loopback addresses: any service may have sessions, and paths that name them.
const REQUEST: &[&str] = &[
    "error sending request for url (http://127.0.0.1:",
    "error sending request for url (http://localhost:",
];
const BODY: &[&str] = &[
    "error decoding response body for url (http://127.0.0.1:",
    "error decoding response body for url (http://localhost:",
];
const URL: &[&str] = &[" for url (http://127.0.0.1:", " for url (http://localhost:"];
const POOL: &[&str] = &[
    "HTTPConnectionPool(host='127.0.0.1'",
    "HTTPConnectionPool(host='localhost'",
];
const SESSION: &[&str] = &["/session)", "/session/"];

#[rustfmt::skip] // A table is read by its columns.
pub(super) const ROWS: &[Row] = &[
    // The paths and the usual ports of a WebDriver server.
    row("driver_timed_out", Timeout).contains_any(REQUEST).contains_any(SESSION).contains("operation timed out").sample("error sending request for url (http://127.0.0.1:42035/session): operation timed out", HTTP),
    row("driver_request", BrowserGone).contains_any(REQUEST).contains_any(SESSION).sample("error sending request for url (http://127.0.0.1:32789/session/d96a/title): client error (Connect)", HTTP),
    row("driver_body", BrowserGone).contains_any(BODY).contains_any(SESSION).sample("error decoding response body for url (http://127.0.0.1:40463/session): error reading a body from connection", HTTP),
    row("driver_status", BrowserGone).contains("HTTP status server error (50").contains_any(URL).contains_any(SESSION).sample("HTTP status server error (502 Bad Gateway) for url (http://127.0.0.1:40283/session)", HTTP),
    row("driver_retries", BrowserGone).contains_any(&["exceeded with url: /session/", "exceeded with url: /session ("]).contains_any(POOL).sample("urllib3.exceptions.MaxRetryError: HTTPConnectionPool(host='127.0.0.1', port=45301): Max retries exceeded with url: /session/58d5/window", "urllib3"),
    // Selenium's timeout of 120 s distinguishes its client from other users of urllib3.
    row("driver_read_timeout", Timeout).contains("urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='localhost'").contains("Read timed out. (read timeout=120)").sample("urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='localhost', port=41553): Read timed out. (read timeout=120)", "urllib3"),
    row("driver_refused_ruby", BrowserGone).contains("Failed to open TCP connection to 127.0.0.1:9515 (").sample("Failed to open TCP connection to 127.0.0.1:9515 (Connection refused - connect(2) for \"127.0.0.1\" port 9515)", "Ruby"),
    row("driver_refused", BrowserGone).contains_any(&["ECONNREFUSED", "onnection refused"]).message_ends_any(&[":9515", ":4444", ":9222"]).sample("Error: connect ECONNREFUSED 127.0.0.1:9515", "Node"),
    row("driver_dial", BrowserGone).contains("\": dial tcp 127.0.0.1:").contains_any(&["/session\"", "/session/"]).sample("Get \"http://localhost:9515/session/1b2c/url\": dial tcp 127.0.0.1:9515: connect: connection refused", "Go"),
    row("driver_connect_java", BrowserGone).contains("java.net.ConnectException: Failed to connect to").contains("org.openqa.selenium").sample("org.openqa.selenium.WebDriverException: java.net.ConnectException: Failed to connect to localhost/127.0.0.1:41233", SELENIUM),
    row("devtools_refused_go", BrowserGone).contains(":9222: ").contains("onnection refused").sample("dial tcp 127.0.0.1:9222: connect: connection refused", "Go"),
    row("driver_no_session", PageClosed).contains("HTTP status client error (404").contains_any(URL).contains("/session/").sample("HTTP status client error (404 Not Found) for url (http://127.0.0.1:9515/session/1b2c/url)", HTTP),
    row("devtools_socket", BrowserGone).contains("/devtools/browser/").sample("could not dial \"ws://127.0.0.1:9222/devtools/browser/1b2c\": EOF", "Chrome DevTools protocol"),

    // The peer of a known call site.
    row("peer_no_session", PageClosed).contains("HTTP status client error (404").contains("/session/").at(BROWSER).sample("HTTP status client error (404 Not Found) for url (http://grid.internal:4444/session/1b2c/url)", HTTP),
    row("peer_unknown", Setup).contains_any(&["dns error", "ENOTFOUND"]).at(BROWSER).sample("getaddrinfo ENOTFOUND grid.internal", HTTP),
    row("peer_timed_out", Timeout).contains_any(&["timed out", "ETIMEDOUT"]).at(BROWSER).sample("connect ETIMEDOUT 10.0.0.7:9515", HTTP),
    row("peer_request", BrowserGone).contains_any(&["error sending request for url (http", "exceeded with url: /session", "HTTP status server error (50", "client error (SendRequest)", "client error (Connect)", "TypeError: fetch failed"]).at(BROWSER).sample("error sending request for url (http://grid.internal:4444/session/1b2c/url)", HTTP),
    row("peer_dial", BrowserGone).contains("\": dial tcp ").contains("/session").at(BROWSER).sample("Post \"http://grid.internal:4444/session\": dial tcp 10.0.0.7:4444: connect: no route to host", HTTP),
    row("peer_refused", BrowserGone).contains_any(&["ECONNREFUSED", "onnection refused", "Couldn't connect to server"]).at(BROWSER).sample("tcp connect error: Connection refused (os error 111)", HTTP),
    row("peer_reset", BrowserGone).contains_any(&["ECONNRESET", "onnection reset by peer", "EPIPE", "roken pipe", "socket hang up"]).at(BROWSER).sample("Connection reset by peer (os error 104)", HTTP),
    row("peer_closed", BrowserGone).contains_any(&["onnection closed before message", "error reading a body from connection", "IncompleteMessage", "Empty reply from server", "Remote end closed connection"]).at(BROWSER).sample("connection closed before message completed", HTTP),
    row("peer_gateway", BrowserGone).contains("502 Bad Gateway").at(BROWSER).sample("<html>\r\n<head><title>502 Bad Gateway</title></head>", HTTP),
    row("peer_websocket", BrowserGone).contains("WebSocket is not open").at(BROWSER).sample("WebSocket is not open: readyState 3 (CLOSED)", HTTP),
    row("tungstenite_closed", BrowserGone).contains_any(&["Connection reset without closing handshake", "Trying to work with closed connection", "Connection closed normally"]).orphan().at(BROWSER).sample("WebSocket protocol error: Connection reset without closing handshake", TUNGSTENITE),
    row("tungstenite_too_long", Timeout).contains("Space limit exceeded: Message too long: ").at(BROWSER).sample("Space limit exceeded: Message too long: 52428800 > 1048576", TUNGSTENITE),
    row("tungstenite_no_tab", PageClosed).message_is("HTTP error: 500 Internal Server Error").at(CDP).sample("HTTP error: 500 Internal Server Error", TUNGSTENITE),
    row("peer_response", BrowserGone).message_starts("Unexpected server response: ").at(BROWSER).sample("Unexpected server response: 404", HTTP),
    row("sidecar_timed_out", Timeout).contains_any(&["timed out", "ETIMEDOUT"]).at(SIDECAR).sample("connect ETIMEDOUT 10.0.0.7:3000", HTTP),
    row("sidecar_unreachable", Network).contains_any(&["error sending request", "onnection refused", "ECONNREFUSED", "ECONNRESET", "onnection reset by peer", "socket hang up", "onnection closed before message", "HTTP status server error"]).at(SIDECAR).sample("tcp connect error: Connection refused (os error 111)", HTTP),

    // Puppeteer from 20 on rethrows the errors of a page unchanged.
    row("rethrown_error", PageScript).contains_any(&["TypeError: ", "ReferenceError: ", "SyntaxError: ", "RangeError: "]).at(CDP).sample("TypeError: Cannot read properties of undefined (reading 'Chat')", PUPPETEER),
];
