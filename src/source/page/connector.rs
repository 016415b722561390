//! HTTP connections that can be closed at any time, and that bound the size of an answer.
//!
//! A fantoccini client has one task that runs one command after the other, and nothing stops a command:
//! one that is never answered, or whose answer never ends, would block that task and keep its memory. So
//! each client that this crate makes has a [`ConnectionGuard`]; its connections close when the guard is dropped.

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

use super::lock::lock;

/// Most bytes read between two writes, which is one answer. A screenshot fits; the answer of a look is a
/// thousandth of it.
const MAX_ANSWER_LEN: usize = 16 << 20;

/// Longest time for opening a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Closed = Shared<oneshot::Receiver<()>>;

/// Keeps a client's connections open; they end when it is closed or dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard(Mutex<Option<oneshot::Sender<()>>>);

impl ConnectionGuard {
    pub(crate) fn close(&self) {
        drop(lock(&self.0).take());
    }
}

/// Opens connections that end with their [`ConnectionGuard`].
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    http: HttpConnector,
    closed: Closed,
}

impl Connector {
    pub(crate) fn new() -> (Self, ConnectionGuard) {
        let (held, closed) = oneshot::channel();
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        // With rustls around it, https goes through here too.
        http.enforce_http(false);
        (
            Self {
                http,
                closed: closed.shared(),
            },
            ConnectionGuard(Mutex::new(Some(held))),
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
        let (connecting, closed) = (self.http.call(uri), self.closed.clone());
        Box::pin(async move {
            let stream = connecting.await.map_err(io::Error::other)?.into_inner();
            Ok(TokioIo::new(Bounded {
                stream,
                closed,
                read_len: 0,
            }))
        })
    }
}

/// A connection that its guard can close, with a bound on what is read.
#[derive(Debug)]
pub(crate) struct Bounded {
    stream: TcpStream,
    closed: Closed,
    /// Bytes read since the last write.
    read_len: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closed.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.read_len += buf.filled().len() - before;
        if self.read_len > MAX_ANSWER_LEN {
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
        self.read_len = 0;
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
        self.read_len = 0;
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
