//! Events to a task of the same process: [`channel`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{EventSink, SessionEvent, SinkError};
use crate::codes;

/// The default time that a sender waits for room.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a sink and the receiver of its events. At most `capacity` events wait, at least one; a sender
/// waits for room for up to five seconds.
///
/// The events are in memory: they are lost when the process ends.
///
/// ```
/// use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey, channel::channel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (sink, mut events) = channel(100);
/// let event = SessionEvent::session_authenticated(SessionKey::new(7, "session-1")?);
/// sink.send(&event).await?;
/// assert_eq!(events.recv().await.unwrap().id(), event.id());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn channel(capacity: usize) -> (ChannelSink, EventReceiver) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let sink = ChannelSink {
        sender,
        timeout: SEND_TIMEOUT,
    };
    (sink, EventReceiver(receiver))
}

/// The sending end of a [`channel`]. Clones send into the same one.
#[derive(Clone, Debug)]
pub struct ChannelSink {
    sender: mpsc::Sender<SessionEvent>,
    timeout: Duration,
}

impl ChannelSink {
    /// Sets how long a sender waits for room. Zero: not at all. Default: 5 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

#[async_trait]
impl EventSink for ChannelSink {
    fn name(&self) -> &str {
        "channel"
    }

    /// Fails with `sink_full` (transient) if there was no room in time, and with `sink_closed` if the
    /// receiver was dropped.
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        match timeout(self.timeout, self.sender.reserve()).await {
            Ok(Ok(room)) => {
                room.send(event.clone());
                Ok(())
            }
            Ok(Err(_)) => Err(SinkError::permanent(
                codes::SINK_CLOSED,
                "the channel's receiver was dropped; keep it, or remove the sink",
            )),
            Err(_) => Err(SinkError::transient(
                codes::SINK_FULL,
                format!(
                    "the channel had no room for {:?}; receive faster, or raise its capacity",
                    self.timeout
                ),
            )),
        }
    }
}

/// The receiving end of a [`channel`]. It is also a [`Stream`].
#[derive(Debug)]
pub struct EventReceiver(mpsc::Receiver<SessionEvent>);

impl EventReceiver {
    /// Returns the next event; `None` if every sender was dropped and no event waits. Cancel-safe.
    pub async fn recv(&mut self) -> Option<SessionEvent> {
        self.0.recv().await
    }
}

impl Stream for EventReceiver {
    type Item = SessionEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        self.0.poll_recv(cx)
    }
}
