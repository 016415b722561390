//! From an extraction to its event: [`Onboarding`], [`PageMonitor`] and `SessionService`.
//!
//! ```text
//! QR code shown -> phone accepts it -> number found
//!  qr_code()        authenticated()     run(): session_ready, or session_error
//!                                       later: disconnected()
//! ```
//!
//! A program that gets the WhatsApp client's own events calls the methods of an [`Onboarding`]. A program
//! that has only the page uses a [`PageMonitor`], which calls them itself. Both remember the session's last
//! event, so they do not send the same number twice; after a restart of the process they resume from
//! the session's row.
//!
//! `SessionService` (features `supervisor` and `webdriver`) does all of it for many sessions: opens their
//! pages, watches and restarts them, and resumes them after a restart of the process.
//!
//! # Delivery
//!
//! Events are queued at the call and delivered in order by a task of the onboarding. At most
//! 64 events of a session wait. If another one comes, an older `qr_code_generated` is dropped for it, or else
//! an older `session_authenticated`, since a later event has replaced both. If 64 other events wait, only a
//! `session_disconnected` is queued, beside them, and replaces another one that waits there; any other event
//! is logged and fails as `queue_full`. [`DeliveryState`] says what waits, and why. When the last clone of an
//! onboarding, or the monitor, is dropped, each event that waits is sent once more and then given up. If a store
//! applies such an event when the session was resumed already, it withholds the events of the new onboarding, whose
//! `seq` is lower. The `seq` then goes on 64 higher, and a monitor sends the state of its page again.
//!
//! A sink **refuses** an event with one of these codes; any other error is a failure of the sink:
//!
//! | code | a `session_ready` that is refused | any other event |
//! |---|---|---|
//! | `number_already_connected`, `rebind_refused`, `invalid_event`, `unknown_session` | is replaced by a `session_error` with the code, unless that was the last event already, of the same number | is dropped and logged |

mod current_page;
mod delivery;
mod error;
mod last_event;
mod lost_page;
mod monitor;
mod onboarding;
mod pending;
#[cfg(all(unix, feature = "supervisor", feature = "webdriver"))]
mod service;
mod state;
#[cfg(test)]
mod tests;

use tracing::field::Empty;

pub use self::current_page::CurrentPage;
pub use self::delivery::DeliveryState;
pub use self::error::OnboardError;
pub use self::monitor::{Ended, PageMonitor};
pub use self::onboarding::{Onboarded, Onboarding};
#[cfg(all(unix, feature = "supervisor", feature = "webdriver"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "supervisor", feature = "webdriver"))))]
pub use self::service::{
    Resumed, ServiceError, SessionHandle, SessionService, SessionServiceBuilder, SkipReason,
    Skipped, lock_profile, profile_path,
};
use crate::event::SessionKey;

/// Makes the span of an onboarding.
fn span(session: &SessionKey) -> tracing::Span {
    tracing::info_span!(
        "onboarding",
        otel.status_code = Empty,
        "error.type" = Empty,
        session.id = session.session_id.as_str(),
        whatsapp_phone.workspace.id = session.workspace_id.as_str(),
    )
}
