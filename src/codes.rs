//! The stable codes of errors, as `code()` returns them and events carry them.
//!
//! They change only with a new major version. Sinks and senders of your own may use further codes.

// Of extractions: `ErrorKind`.

/// No number became readable in time.
pub const NOT_READY: &str = "not_ready";
/// The account's LID is known, its number is not.
pub const LID_ONLY: &str = "lid_only";
/// The page was closed.
pub const PAGE_CLOSED: &str = "page_closed";
/// The browser or its driver is gone.
pub const BROWSER_GONE: &str = "browser_gone";
/// The browser blocks the page, or opening it timed out.
pub const BLOCKED: &str = "blocked";
/// Two sources, or two readers of one page, name different accounts.
pub const SOURCES_DISAGREE: &str = "sources_disagree";
/// A source panicked.
pub const SOURCE_PANICKED: &str = "source_panicked";
/// Several tabs match. Also the code of a failure.
pub const AMBIGUOUS_TAB: &str = "ambiguous_tab";
/// The configuration cannot work. Also the code of a failure, and of a store.
pub const MISCONFIGURED: &str = "misconfigured";

// Of stores: `StoreErrorKind`.

/// No such session in that workspace, or it was given up.
pub const UNKNOWN_SESSION: &str = "unknown_session";
/// The session's id belongs to another workspace.
pub const SESSION_TAKEN: &str = "session_taken";
/// The event, or an id in it, cannot be read or stored.
pub const INVALID_EVENT: &str = "invalid_event";
/// Another session of the workspace holds the number.
pub const NUMBER_ALREADY_CONNECTED: &str = "number_already_connected";
/// The session is bound to another number.
pub const REBIND_REFUSED: &str = "rebind_refused";
/// The cursor is not one that this store returned.
pub const INVALID_CURSOR: &str = "invalid_cursor";
/// The operation failed in the storage.
pub const STORAGE: &str = "storage";

// Of sinks: `SinkError`, beside those of a store.

/// The channel had no room in time.
pub const SINK_FULL: &str = "sink_full";
/// The channel's receiver was dropped.
pub const SINK_CLOSED: &str = "sink_closed";
/// A sink gave no answer in time.
pub const SINK_TIMEOUT: &str = "sink_timeout";
/// A sink panicked.
pub const SINK_PANICKED: &str = "sink_panicked";
/// Too many events of a session wait for delivery.
pub const QUEUE_FULL: &str = "queue_full";

// Of webhooks.

/// The receiver answered that it may accept the event later.
pub const WEBHOOK_FAILED: &str = "webhook_failed";
/// The receiver refused the event.
pub const WEBHOOK_REFUSED: &str = "webhook_refused";
/// The receiver answered with a redirect, which is not followed.
pub const WEBHOOK_REDIRECTED: &str = "webhook_redirected";
/// The receiver wants no further events.
pub const WEBHOOK_GONE: &str = "webhook_gone";
/// The receiver could not be reached.
pub const WEBHOOK_UNREACHABLE: &str = "webhook_unreachable";
/// The receiver gave no answer in time.
pub const WEBHOOK_TIMEOUT: &str = "webhook_timeout";
/// The receiver asked to wait beyond the deadline of the delivery.
pub const WEBHOOK_PAUSED: &str = "webhook_paused";
/// The receiver has a private address, which is not allowed.
pub const WEBHOOK_PRIVATE_ADDRESS: &str = "webhook_private_address";

// Of the answers of `server`, beside those of a store and of sinks.

/// The request did not arrive whole.
pub const INVALID_REQUEST: &str = "invalid_request";
/// The body is not JSON.
pub const INVALID_JSON: &str = "invalid_json";
/// The signature of a webhook is missing, stale or wrong.
pub const INVALID_SIGNATURE: &str = "invalid_signature";
/// The bearer token is missing or wrong.
pub const INVALID_TOKEN: &str = "invalid_token";
/// There is no such path.
pub const NOT_FOUND: &str = "not_found";
/// The path has another method.
pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
/// The body did not arrive in time.
pub const SLOW_REQUEST: &str = "slow_request";
/// The body is too large.
pub const TOO_LARGE: &str = "too_large";
/// The body has another content type than JSON.
pub const NOT_JSON: &str = "not_json";
/// There were more requests in this second than the limit.
pub const TOO_MANY_REQUESTS: &str = "too_many_requests";
/// There are more live streams than the limit.
pub const TOO_MANY_STREAMS: &str = "too_many_streams";
/// There are more requests at the same time than the limit.
pub const OVERLOADED: &str = "overloaded";
/// The handler of a request panicked.
pub const INTERNAL: &str = "internal";
