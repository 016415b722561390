//! Events from other processes: [`WebhookReceiver`], a router of axum that takes signed webhooks.
//!
//! It takes what [`SigningKeys`](crate::event::signature::SigningKeys) signs: the requests of `WebhookSink`
//! (feature `webhook`), and of any other sender that follows [Standard Webhooks](https://www.standardwebhooks.com).
//! The body is an event as [JSON](crate::event), of this crate or of the reference.
//!
//! | answer | when | `code` |
//! |---|---|---|
//! | 200 `{"status":"processed_inline"}` | the sink has accepted the event | |
//! | 400 | the body is not JSON, or the request was cut | `invalid_json`, `invalid_request` |
//! | 401 | a header is missing or given twice, the timestamp is stale, or no signature matches | `invalid_signature` |
//! | 404 | the session is not registered; any other path | `unknown_session`, `not_found` |
//! | 405 | a method other than POST | `method_not_allowed` |
//! | 408 | the body did not arrive within 10 s | `slow_request` |
//! | 409 | the store has refused the number | `number_already_connected`, `rebind_refused` |
//! | 413 | the body has more than 64 KiB | `too_large` |
//! | 415 | the body is not `application/json` | `not_json` |
//! | 422 | the JSON is not an event, or the store cannot hold it | `invalid_event` |
//! | 500 | the sink has failed permanently | its code |
//! | 503 | the sink has failed, and may accept the event later; with `Retry-After` | its code |
//!
//! Errors have a body of type `application/problem+json` with `title`, `status`, `detail` and `code`. No answer
//! contains anything of the request. `WebhookSink` gives the codes of a store's refusals to its caller, so an
//! `Onboarding` or a `PageMonitor` in another process treats them as those of a store of its own.
//!
//! A repeated request is harmless if the sink recognises the event's id, as every store does. An event without
//! an id gets the `webhook-id`.

mod problem;
mod receiver;

pub use self::receiver::WebhookReceiver;
