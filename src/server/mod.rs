//! Between processes: [`WebhookReceiver`] takes the events of other processes, [`Api`] shows the status of
//! sessions. Both are routers of axum.
//!
//! | route | | needs |
//! |---|---|---|
//! | `POST /webhooks/whatsapp` | takes an event | a signature |
//! | `GET /api/v1/whatsapp/accounts/{session_id}/status` | `{"status": ..., "phone_number": ...}`, with the full number | a token |
//! | `GET /api/v1/whatsapp/accounts/events` | Server-Sent Events of a workspace, with masked numbers | a token |
//! | `GET /healthz` | 200 as long as the process is alive | |
//! | `GET /readyz` | 200 as long as the store answers within 2 s | |
//! | `GET /openapi.json` | the description of these routes by OpenAPI | |
//!
//! # Webhooks
//!
//! The receiver takes what [`SigningKeys`](crate::event::signature::SigningKeys) signs: the requests of
//! `WebhookSink` (feature `webhook`), and of any other sender that follows
//! [Standard Webhooks](https://www.standardwebhooks.com). The body is an event as [JSON](crate::event), as this
//! crate or the Node service writes it.
//!
//! | answer | when | `code` |
//! |---|---|---|
//! | 200 `{"status":"processed_inline"}` | the sink has accepted the event: without a queue every one, with a queue a `session_ready` or `session_error` that has a `seq`, or whose session has no waiting events | |
//! | 200 `{"status":"queued"}` | the [queue](WebhookReceiver::queue) has accepted the event | |
//! | 400 | the body is not JSON, or the request was cut | `invalid_json`, `invalid_request` |
//! | 401 | a header is missing or given twice, the timestamp is stale, or no signature matches | `invalid_signature` |
//! | 404 | the session is not registered; any other path | `unknown_session`, `not_found` |
//! | 405 | a method other than POST | `method_not_allowed` |
//! | 408 | the body did not arrive within 10 s | `slow_request` |
//! | 409 | the store has refused the number | `number_already_connected`, `rebind_refused` |
//! | 413 | the body, or the event with its `webhook-id` as id, has more than 64 KiB | `too_large` |
//! | 415 | the body is not `application/json` | `not_json` |
//! | 422 | the JSON is not an event, or the store cannot hold it | `invalid_event` |
//! | 429 | more requests in a second than the [limit](Limits::per_second) | `too_many_requests`, with `Retry-After` |
//! | 500 | the sink has failed permanently | its code |
//! | 503 | the sink has failed, and may accept the event later | its code; `queue_full` with `Retry-After` |
//! | 503 | more requests at the same time than the [limit](Limits::at_once) | `overloaded`, with `Retry-After` |
//!
//! `Retry-After` stops all deliveries of a `WebhookSink`, so it is sent only with errors that are not about one event or session.
//! `storage` has none: it may concern a single row that another program has locked.
//!
//! Errors have a body of type `application/problem+json` with `title`, `status`, `detail` and `code`. No answer
//! contains anything of the request. `WebhookSink` gives the codes of a store's refusals to its caller, so an
//! `Onboarding` or a `PageMonitor` in another process treats them as those of a store of its own.
//!
//! A request is refused if its timestamp is more than 5 minutes away from this clock. A repetition within that
//! time is accepted, since a sender repeats what was not answered. It is harmless if the sink recognises the
//! event's id, as every store does: for 30 days. An event without an id gets the `webhook-id`.
//!
//! # Reading
//!
//! A request needs the header `authorization: Bearer TOKEN` with one of the [`AccessTokens`]. It sees the
//! sessions of the token's workspace alone: any other session is `unknown_session`, as if it did not exist. No
//! answer is to be stored (`cache-control: no-store`). Beside the problems above there are `invalid_token` (401),
//! `too_many_streams` (429), `storage` (503) and `internal` (500: a handler panicked).
//!
//! The stream begins with an event `reset`, followed by the present state of each session, in any order. Then
//! it sends every change, as an event `status`:
//!
//! ```text
//! event: status
//! id: 8f1c2b7a90d3e4f5-42
//! data: {"session_id":"session-1","status":"connected","phone_number":"62********41","code":null}
//! ```
//!
//! After a lost connection a client sends the last id as `Last-Event-ID`, as every browser does. It then gets the
//! last state of each session that has changed since. If this is not known, because the process has started again,
//! another one has answered, or the workspace had no reader for a minute, it gets `reset` and all states.
//! States that a later one has replaced are not sent, so a slow reader costs no memory and sees the final states. If more
//! than 1,000 sessions were given up since its last state, it may have missed one: it then gets `reset` and all states.
//! A silent stream sends a comment every 15 s.
//!
//! The `EventSource` of browsers sends no token. Let your own back end read the stream, or use `fetch`.
//!
//! # Running
//!
//! | limit | of | above it |
//! |---|---|---|
//! | [`Limits::at_once`], 256 | the requests that are handled, of the receiver and of the routes with a token separately | 503 `overloaded` |
//! | [`Limits::per_second`], 5,000 | their rate | 429 `too_many_requests` |
//! | [`Api::max_streams`], 4,096 | open streams | 429 `too_many_streams` |
//! | 64 KiB, 10 s | a body | 413 `too_large`, 408 `slow_request` |
//! | [`serve`], its argument | connections, idle ones and those of streams included | the client waits |
//! | 30 s | the wait for a complete head of a request, also on an idle connection | the connection is closed |
//!
//! A router sees requests, not connections: [`serve`] limits those, `axum::serve` does not. Put a proxy in front of a
//! public address: it does TLS, and limits each client by its address. A request that is not HTTP gets an empty answer of hyper's, or none.
//!
//! A graceful shutdown waits for all requests: end the streams by [`Api::stop_when`]. Bound the wait, since a
//! client that stops reading holds it for ever.

mod api;
mod feed;
mod health;
mod limits;
mod log;
mod openapi;
mod problem;
mod qr;
mod receiver;
mod serve;
mod tokens;

use std::time::Duration;

pub use self::api::Api;
pub use self::limits::Limits;
pub use self::qr::QrCodes;
pub use self::receiver::WebhookReceiver;
pub use self::serve::serve;
pub use self::tokens::{AccessTokens, TokenError};

/// The paths of the routes.
const STATUS: &str = "/api/v1/whatsapp/accounts/{session_id}/status";
const EVENTS: &str = "/api/v1/whatsapp/accounts/events";
const WEBHOOK: &str = "/webhooks/whatsapp";
const HEALTH: &str = "/healthz";
const READY: &str = "/readyz";
const OPENAPI: &str = "/openapi.json";

/// How long the store may take for a request.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);
