//! Connections to a WebDriver server that can be cut, and that read no more than is sane.
//!
//! A fantoccini client has one task that carries out one command after the other, and nothing stops
//! a command: one that is never answered, or whose answer never ends, would hold that task and its
//! memory for good. So each client of ours has a lifeline; when it is dropped, its connections end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Shared;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower_service::Service;

use super::link::lock;

/// Most bytes taken in between two writes: an answer. A screenshot fits, what a page of ours
/// answers is a thousandth of it.
const MAX_ANSWER: usize = 16 << 20;

/// Longest time for a TCP connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Cut = Shared<oneshot::Receiver<()>>;

/// Holds a client's connections; cutting or dropping it ends them at once.
#[derive(Debug)]
pub(super) struct Lifeline(Mutex<Option<oneshot::Sender<()>>>);

impl Lifeline {
    pub(super) fn cut(&self) {
        drop(lock(&self.0).take());
    }
}

/// Makes connections that end with their [`Lifeline`].
#[derive(Clone, Debug)]
pub(super) struct Connector {
    http: HttpConnector,
    cut: Cut,
}

impl Connector {
    pub(super) fn new() -> (Self, Lifeline) {
        let (held, cut) = oneshot::channel();
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        // With rustls around it, https goes through here too.
        http.enforce_http(false);
        (
            Self {
                http,
                cut: cut.shared(),
            },
            Lifeline(Mutex::new(Some(held))),
        )
    }
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<Bounded>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Bounded>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.http.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let (connecting, cut) = (self.http.call(uri), self.cut.clone());
        Box::pin(async move {
            let stream = connecting.await.map_err(io::Error::other)?.into_inner();
            Ok(TokioIo::new(Bounded {
                stream,
                cut,
                taken: 0,
            }))
        })
    }
}

/// A connection under a lifeline, with a bound on what is read.
#[derive(Debug)]
pub(super) struct Bounded {
    stream: TcpStream,
    cut: Cut,
    /// Bytes read since the last write.
    taken: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.taken += buf.filled().len() - before;
        if self.taken > MAX_ANSWER {
            let text = "the WebDriver server's answer is longer than 16 MiB";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.taken = 0;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.taken = 0;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connection for Bounded {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}
