//! [`serve`]: the connections of a router.

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// How long the head of a request may take to arrive, from the connection or from the answer before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Request heads up to this size, in bytes, are accepted. Heads of twice the size are refused; between the two it depends
/// on how they arrive.
const MAX_HEAD: usize = 32 << 10;
/// The delay after a connection that could not be accepted, for instance because the process has reached its limit of open files.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves a router over HTTP/1.1 until `stop` ends. Then it accepts no more connections, and returns when the open
/// requests have been answered; give [`Api::stop_when`](super::Api::stop_when) the same signal to end the streams.
///
/// At most `connections` are open at the same time, at least 1; a further client waits, without an answer, until one
/// ends. A connection with an open stream counts, and so does one without requests: choose a number
/// above [`Api::max_streams`](super::Api::max_streams), and below the process's limit of open files, which is often
/// 1,024 (systemd: `LimitNOFILE`). A connection whose client sends no whole head of a request within 30 seconds is
/// closed. `axum::serve` has neither limit, and takes more memory for a connection.
///
/// ```no_run
/// # async fn example(router: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// whatsapp_phone::server::serve(listener, router, 900, stop).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    stop: impl Future<Output = ()>,
) {
    let permits = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
    let permits = Arc::new(permits);
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    let mut stop = pin!(stop);
    loop {
        let (stream, permit) = tokio::select! {
            accepted = accept(&listener, &permits) => accepted,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // It fails if the client breaks off, or sends no HTTP.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    open.shutdown().await;
}

/// Accepts the next connection, when one may be open.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It is never closed.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // The client has closed the connection already.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
