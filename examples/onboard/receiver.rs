//! The process with the database of the service: it receives the sender's events, and serves the status.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use whatsapp_phone::event::EventSink;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::server::{self, Api, WebhookReceiver};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions, StoreSink};

use crate::Outcome;
use crate::config::Config;
use crate::steps::Steps;
use crate::storage::{Storage, WORKSPACE, sweep};

/// The queue of the events that are not processed inline.
const QUEUE: &str = "inbox";

/// The most connections at the same time; further clients wait. The usual limit of open files is 1,024; raise it (systemd:
/// `LimitNOFILE`) to allow more.
const MAX_CONNECTIONS: usize = 900;
/// One workspace may have a quarter of this many streams: 600 here, which leaves 300 connections for requests.
const MAX_STREAMS: usize = 2_400;

/// How long requests may take to end after the signal to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);

/// Receives and serves until SIGTERM or Ctrl-C.
pub(crate) async fn run(config: &Config) -> Outcome<()> {
    let (keys, tokens) = (config.keys()?, config.tokens()?);
    let at = config.listen;
    let at = at.unwrap_or((Ipv4Addr::LOCALHOST, 8080).into());
    let storage = Storage::durable(config)?;
    let store = storage
        .store("receiver.db", StoreOptions::default())
        .await?;
    let inbox = store.outbox(QUEUE).await?;

    let steps = Steps::start();
    let sink: Arc<dyn EventSink> = Arc::new(StoreSink::new(store.clone()));
    let receiver = WebhookReceiver::new(keys, Arc::clone(&sink)).queue(inbox.clone());
    let screen = steps.clone().with_qr_codes(receiver.qr_codes());
    let worker = inbox
        .deliver_to(FanOut::after(sink).observer(screen))
        .start();
    let api = Api::new(store.clone(), tokens).receiver(receiver);
    let ended = tokio::select! {
        served = serve(at, api) => served,
        followed = follow(&store, &steps) => followed,
        () = sweep(&store) => Ok(()),
    };
    worker.stop().await;
    ended
}

/// Serves these routes until SIGTERM or Ctrl-C.
pub(crate) async fn serve(at: SocketAddr, api: Api) -> Outcome<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = ctrl_c() => {}
        }
    };
    let stop = stop.shared();
    let listener = TcpListener::bind(at).await?;
    println!("listening at http://{}", listener.local_addr()?);
    let router = api
        .max_streams(MAX_STREAMS)
        .stop_when(stop.clone())
        .into_router();
    let served = server::serve(listener, router, MAX_CONNECTIONS, stop.clone());
    // A client that stops reading, or sends half a request, would hold the process.
    let late = async {
        stop.await;
        sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! {
        () = served => {}
        () = late => tracing::warn!("connections were cut that did not end in {SHUTDOWN_TIMEOUT:?}"),
    }
    Ok(())
}

/// Prints every status in the workspace.
async fn follow(store: &SqliteStore, steps: &Steps) -> Outcome<()> {
    let mut watcher = store.watch_workspace(&WORKSPACE.into()).await?;
    while let Some(change) = watcher.changed().await {
        steps.print_status(&change);
    }
    Ok(())
}
