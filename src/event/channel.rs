//! Events to a task of the same process: [`channel`].

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{EventSink, SessionEvent, SinkError};

/// How long a sender waits for room unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// A sink, and the receiver of what is sent there. At most `capacity` events wait, at least one; a
/// sender waits for room, for up to five seconds.
///
/// Events are held in memory: they end with the process.
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
        patience: PATIENCE,
    };
    (sink, EventReceiver(receiver))
}

/// The sending end of a [`channel`]. Clones send into the same one.
#[derive(Clone, Debug)]
pub struct ChannelSink {
    sender: mpsc::Sender<SessionEvent>,
    patience: Duration,
}

impl ChannelSink {
    /// Sets how long a sender waits for room. Zero: not at all.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

#[async_trait]
impl EventSink for ChannelSink {
    fn name(&self) -> &str {
        "channel"
    }

    /// `sink_full` (transient) when there was no room in time, `sink_closed` when the receiver is
    /// gone.
    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        match timeout(self.patience, self.sender.reserve()).await {
            Ok(Ok(room)) => {
                room.send(event.clone());
                Ok(())
            }
            Ok(Err(_)) => Err(SinkError::permanent(
                "sink_closed",
                "the channel's receiver is gone; keep it, or take the sink out",
            )),
            Err(_) => Err(SinkError::transient(
                "sink_full",
                format!(
                    "the channel is full and nobody made room in {:?}; receive faster, or give it more capacity",
                    self.patience
                ),
            )),
        }
    }
}

/// The receiving end of a [`channel`].
#[derive(Debug)]
pub struct EventReceiver(mpsc::Receiver<SessionEvent>);

impl EventReceiver {
    /// The next event; `None` when every sender is gone and nothing waits. Cancel-safe.
    pub async fn recv(&mut self) -> Option<SessionEvent> {
        self.0.recv().await
    }
}
