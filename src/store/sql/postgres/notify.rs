//! `NOTIFY` and `LISTEN`: other processes learn of changes at once. A lost notification is no harm, since
//! watched sessions are also polled.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::event::SessionId;
use crate::store::sql::failure::cause;
use crate::store::sql::lease::Lease;
use crate::store::sql::schema::Layout;
use crate::store::status::StatusChange;

/// How long a change waits for others that are sent along with it.
const COLLECT_TIME: Duration = Duration::from_millis(5);
/// How long a failed listener waits before it connects again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
const MAX_QUEUED: usize = 10_000;

#[derive(Clone, Debug)]
pub(super) struct Notify {
    /// One per schema and table, so that no process receives notifications of other tables.
    channel: String,
    listening: PgPool,
    /// The changed sessions to send.
    queue: mpsc::Sender<String>,
}

/// The task that listens, and the sessions that it was notified of; `None` if it may have missed some. The task
/// ends with this.
#[derive(Default)]
pub(super) struct Listener(Option<(JoinSet<()>, mpsc::Receiver<Option<SessionId>>)>);

impl Notify {
    /// `pool` sends, and `listening` receives.
    pub(super) fn new(
        layout: &Layout,
        pool: PgPool,
        listening: PgPool,
        deadline: Duration,
    ) -> Self {
        let name = format!("{} {}", layout.schema, layout.tables.accounts);
        let channel = format!("whatsapp_phone_status_{:016x}", hash(&name));
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(send(pool, channel.clone(), queued, deadline));
        Self {
            channel,
            listening,
            queue,
        }
    }

    /// Sends changed sessions apart from the transaction: a `NOTIFY` within it would make all commits of the
    /// database wait for each other.
    pub(super) fn send(&self, changes: Vec<StatusChange>) {
        for change in changes {
            let session = change.session.session_id.as_str().to_owned();
            let _ = self.queue.try_send(session);
        }
    }

    pub(super) async fn listen(&self, listener: &mut Listener) -> Option<Vec<SessionId>> {
        let (_, received) = listener.0.get_or_insert_with(|| {
            let (sender, received) = mpsc::channel(1024);
            let (pool, channel) = (self.listening.clone(), self.channel.clone());
            let mut task = JoinSet::new();
            task.spawn(async move {
                loop {
                    let Err(error) = receive(&pool, &channel, &sender).await else { return };
                    tracing::warn!(error = %cause(&error), "listening to other processes failed; watched sessions are polled");
                    sleep(RECONNECT_DELAY).await;
                }
            });
            (task, received)
        });
        let mut sessions = Vec::new();
        received.recv_many(&mut sessions, 1024).await;
        sessions.into_iter().collect()
    }
}

/// Sends the queued sessions, until the store is dropped.
async fn send(
    pool: PgPool,
    channel: String,
    mut queued: mpsc::Receiver<String>,
    deadline: Duration,
) {
    let mut sessions = Vec::new();
    while let Some(session) = queued.recv().await {
        sessions.push(session);
        sleep(COLLECT_TIME).await;
        while let Ok(session) = queued.try_recv() {
            sessions.push(session);
        }
        let sent = timeout(deadline, notify(&pool, &channel, &sessions)).await;
        if let Err(error) = sent.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            tracing::warn!(error = %cause(&error), "other processes were not notified of changed sessions; they poll");
        }
        sessions.clear();
    }
}

async fn notify(pool: &PgPool, channel: &str, sessions: &[String]) -> Result<(), sqlx::Error> {
    // A notification need not wait for the disk, unlike the change itself.
    let notify = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, session)
        FROM unnest($2::text[]) AS session";
    let mut lease = Lease::of(pool, &tokio::sync::Mutex::default()).await?;
    let query = sqlx::query(notify).bind(channel).bind(sessions);
    query.execute(&mut *lease.connection).await?;
    lease.give_back();
    Ok(())
}

/// Listens until the connection fails, or the receiver is dropped.
async fn receive(
    pool: &PgPool,
    channel: &str,
    sender: &mpsc::Sender<Option<SessionId>>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    let mut session = None;
    loop {
        // A receiver that lags behind polls.
        if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(session) {
            return Ok(());
        }
        // `None`: the connection was lost, and is made again.
        let notification = listener.try_recv().await?;
        session = notification.and_then(|received| SessionId::new(received.payload()).ok());
    }
}

/// Hashes by FNV-1a: the same in every process and version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
