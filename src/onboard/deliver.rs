//! Sends an event until the sink accepts it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::event::{EventSink, SessionEvent, SinkError};
use crate::retry::RetryPolicy;

/// The default policy.
pub(super) fn policy() -> RetryPolicy {
    let policy = RetryPolicy::builder()
        .unlimited_attempts()
        .interval(Duration::from_millis(100))
        .growth(2.0)
        .max_interval(Duration::from_secs(5))
        .look_timeout(Duration::from_secs(10))
        .deadline(Duration::from_secs(60));
    // A unit test checks that it is valid.
    policy.build().unwrap_or_default()
}

/// Sends the event by this policy. A sink that does not answer in time may have accepted it: it gets
/// the event again under the same id, which every sink must recognise.
pub(super) async fn deliver(
    sink: &dyn EventSink,
    event: &SessionEvent,
    policy: &RetryPolicy,
) -> Result<(), SinkError> {
    let mut last = late(sink);
    let attempts = async {
        for delay in policy.delays() {
            sleep(delay).await;
            match timeout(policy.look_timeout(), sink.send(event)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if !error.is_transient() => return Err(error),
                Ok(Err(error)) => last = error,
                Err(_) => last = late(sink),
            }
            tracing::warn!(
                sink = sink.name(),
                event = ?event.kind(),
                code = last.code(),
                "event not accepted yet"
            );
        }
        Err(last.clone())
    };
    let end = Instant::now() + policy.deadline();
    match timeout_at(end, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last),
    }
}

fn late(sink: &dyn EventSink) -> SinkError {
    let text = format!(
        "the sink `{}` did not accept the event in time; send it again",
        sink.name()
    );
    SinkError::transient("timeout", text)
}
