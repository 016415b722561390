//! [`Socket`]: the DevTools socket of a tab, or of the browser.
//!
//! One task owns the socket. Commands have ids and wait for their answers side by side.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::error;
use crate::source::page::error::LookError;
use crate::source::page::lock::lock;

/// Longest message, in bytes. The answer of a look is a hundredth of it.
const MAX_MESSAGE_LEN: usize = 1 << 20;

/// Longest time for opening a socket for a look, and for sending a command.
const SOCKET_TIMEOUT: Duration = Duration::from_millis(1500);

/// Longest time for the answer of a page that is asked whether it is still there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time for cleaning up a page, which may be stuck, and for closing its socket.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest time for closing a tab, and the time between two commands to do so.
const CLOSE_TAB_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);

type Stream = WebSocketStream<TcpStream>;
type Answer = Result<Value, LookError>;

/// The socket of a tab, or of the browser. Cheap to clone; it closes when the last clone is dropped.
#[derive(Clone, Debug)]
pub(in crate::source) struct Socket {
    requests: mpsc::UnboundedSender<Request>,
    /// The reason for which the socket has ended.
    end: Arc<Mutex<Option<LookError>>>,
}

#[derive(Debug)]
enum Request {
    Command {
        method: &'static str,
        params: Value,
        answer: oneshot::Sender<Answer>,
    },
    /// Fail all commands, do this, and close the socket.
    Close(Last),
}

/// The last act on a tab.
#[derive(Clone, Debug)]
pub(in crate::source) enum Last {
    /// Run the body of this script.
    Run(String),
    /// Close the tab, whatever its page does at its end.
    CloseTab { id: String },
}

impl Socket {
    /// Opens the socket of a tab for a look. `address` is an IP address with a port.
    pub(in crate::source) async fn open(address: &str, tab: &str) -> Result<Self, LookError> {
        let opened = timeout(SOCKET_TIMEOUT, Self::open_tab(address, tab)).await;
        opened.unwrap_or_else(|_| Err(error::timeout()))
    }

    /// Opens the socket of a tab. The caller limits the time.
    pub(super) async fn open_tab(address: &str, tab: &str) -> Result<Self, LookError> {
        Self::open_path(address, &format!("/devtools/page/{tab}")).await
    }

    /// Opens the socket at this path. The caller limits the time.
    pub(super) async fn open_path(address: &str, path: &str) -> Result<Self, LookError> {
        let stream = connect(address, path).await.map_err(|error| match &error {
            // Chrome's answer for a tab that does not exist; a tunnel has other ones.
            tungstenite::Error::Http(response) if response.status() == 500 => error::closed(),
            _ => error::socket(&error),
        })?;
        let (requests, inbox) = mpsc::unbounded_channel();
        let end = Arc::new(Mutex::new(None));
        let task = Task {
            stream,
            pending: HashMap::new(),
            next_id: 0,
            is_crashed: false,
            end: Arc::clone(&end),
        };
        // At `TRACE`, tungstenite logs each message, and messages have numbers in them.
        tokio::spawn(task.run(inbox).with_subscriber(Dispatch::none()));
        Ok(Self { requests, end })
    }

    /// Returns the reason for which the socket has ended, if it has.
    pub(in crate::source) fn end(&self) -> Option<LookError> {
        let end = lock(&self.end).clone();
        // Without a reason its task ended with the runtime that it was opened in.
        end.or_else(|| {
            self.requests
                .is_closed()
                .then(|| error::lost("its runtime has ended"))
        })
    }

    /// Runs the body of a script without arguments in the page.
    pub(in crate::source) fn run(
        &self,
        script: &str,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.evaluate(&function(script))
    }

    /// Returns whether the page still answers. Much cheaper than a look.
    pub(in crate::source) async fn answers(&self) -> bool {
        let answer = timeout(ANSWER_TIMEOUT, self.run("return true;")).await;
        matches!(answer, Ok(Ok(_)))
    }

    /// Runs the body of a script with these arguments, and last a callback for its result. V8 itself makes the
    /// callback, so a page that has replaced `Promise` does not matter. The future does not keep the script's text.
    pub(in crate::source) fn run_async(
        &self,
        script: &str,
        arguments: &[Value],
    ) -> impl Future<Output = Answer> + Send + use<> {
        let arguments: String = arguments.iter().map(|value| format!("{value}, ")).collect();
        self.evaluate(&format!(
            "(async () => await {{ __proto__: null, then(done) {{ (function () {{\n{script}\n}})({arguments}done); }} }})()"
        ))
    }

    fn evaluate(&self, expression: &str) -> impl Future<Output = Answer> + Send + use<> {
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "silent": true,
        });
        let answer = self.command("Runtime.evaluate", params);
        async move {
            let mut answer = answer.await?;
            if let Some(thrown) = answer.get("exceptionDetails") {
                let text = thrown.pointer("/exception/description");
                let text = text.or_else(|| thrown.get("text"));
                return Err(error::threw(
                    text.and_then(Value::as_str).unwrap_or_default(),
                ));
            }
            let value = answer.pointer_mut("/result/value").map(Value::take);
            Ok(value.unwrap_or_default())
        }
    }

    /// Sends a command at once. Dropping the future gives up its answer.
    pub(in crate::source) fn command(
        &self,
        method: &'static str,
        params: Value,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (answer, result) = oneshot::channel();
        // If the socket has ended, this drops `answer`.
        let _ = self.requests.send(Request::Command {
            method,
            params,
            answer,
        });
        let end = Arc::clone(&self.end);
        async move {
            let result = result.await;
            result.unwrap_or_else(|_| {
                let end = lock(&end).clone();
                Err(end.unwrap_or_else(|| error::lost("it was closed")))
            })
        }
    }

    /// Fails all commands, does this last act, and closes the socket: at once, in the background.
    pub(in crate::source) fn close(&self, last: Last) {
        // Fails if the socket has ended already.
        let _ = self.requests.send(Request::Close(last));
    }

    /// Waits until the socket is closed.
    pub(in crate::source) async fn closed(&self) {
        self.requests.closed().await;
    }
}

/// Returns a call of the function with this body.
fn function(script: &str) -> String {
    format!("(() => {{\n{script}\n}})()")
}

async fn connect(address: &str, path: &str) -> Result<Stream, tungstenite::Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_LEN))
        .max_frame_size(Some(MAX_MESSAGE_LEN))
        .read_buffer_size(16 << 10)
        .write_buffer_size(0);
    let url = format!("ws://{address}{path}");
    let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await;
    opened.map(|(stream, _)| stream)
}

/// A message of Chrome's: an answer, or an event.
#[derive(Deserialize)]
struct Incoming {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
    method: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

/// The task of a socket.
struct Task {
    stream: Stream,
    /// The commands without an answer, by id.
    pending: HashMap<u64, (&'static str, oneshot::Sender<Answer>)>,
    next_id: u64,
    /// A crashed tab answers no command.
    is_crashed: bool,
    end: Arc<Mutex<Option<LookError>>>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        let reason = loop {
            let next = {
                let received = pin!(inbox.recv());
                match select(received, self.stream.next()).await {
                    Either::Left((request, _)) => Either::Left(request),
                    Either::Right((message, _)) => Either::Right(message),
                }
            };
            let outcome = match next {
                Either::Left(Some(Request::Command {
                    method,
                    params,
                    answer,
                })) => self.send(method, &params, answer).await,
                Either::Left(Some(Request::Close(last))) => {
                    self.fail_pending(&error::closed());
                    self.run_last(last).await;
                    Err(error::closed())
                }
                Either::Left(None) => Err(error::closed()),
                Either::Right(message) => self.receive(message),
            };
            if let Err(reason) = outcome {
                break reason;
            }
        };
        *lock(&self.end) = Some(reason.clone());
        self.fail_pending(&reason);
        let _ = timeout(CLOSE_TIMEOUT, self.stream.close(None)).await;
        drop(inbox);
    }

    async fn send(
        &mut self,
        method: &'static str,
        params: &Value,
        answer: oneshot::Sender<Answer>,
    ) -> Result<(), LookError> {
        if self.is_crashed {
            let _ = answer.send(Err(error::crashed()));
            return Ok(());
        }
        self.pending.retain(|_, (_, answer)| !answer.is_closed());
        self.next_id += 1;
        self.pending.insert(self.next_id, (method, answer));
        let command = json!({ "id": self.next_id, "method": method, "params": params });
        let sent = self.stream.send(Message::text(command.to_string()));
        match timeout(SOCKET_TIMEOUT, sent).await {
            Ok(sent) => sent.map_err(|error| error::socket(&error)),
            Err(_) => Err(error::timeout()),
        }
    }

    /// Handles a message.
    ///
    /// # Errors
    ///
    /// The reason for the end of the socket.
    fn receive(
        &mut self,
        message: Option<Result<Message, tungstenite::Error>>,
    ) -> Result<(), LookError> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err(error::lost("a message is not text")),
            Some(Ok(Message::Close(_))) | None => return Err(error::lost("it was closed")),
            Some(Err(error)) => return Err(error::socket(&error)),
        };
        let incoming: Incoming = serde_json::from_str(&text)
            .map_err(|_| error::lost("a message is not valid DevTools JSON"))?;
        match incoming.method.as_deref() {
            Some("Inspector.targetCrashed") => {
                self.is_crashed = true;
                self.fail_pending(&error::crashed());
            }
            Some("Inspector.targetReloadedAfterCrash") => self.is_crashed = false,
            Some("Inspector.detached") => return Err(error::closed()),
            _ => {}
        }
        if let Some((method, answer)) = incoming.id.and_then(|id| self.pending.remove(&id)) {
            let result = match incoming.error {
                None => Ok(incoming.result),
                Some(refusal) => Err(error::refused(method, &refusal.message)),
            };
            // Its caller may be gone.
            let _ = answer.send(result);
        }
        Ok(())
    }

    fn fail_pending(&mut self, reason: &LookError) {
        for (_, (_, answer)) in self.pending.drain() {
            let _ = answer.send(Err(reason.clone()));
        }
    }

    /// Does the last act, and waits until it is done.
    async fn run_last(&mut self, last: Last) {
        let limit = match last {
            Last::Run(_) => CLOSE_TIMEOUT,
            Last::CloseTab { .. } => CLOSE_TAB_TIMEOUT,
        };
        let run = async {
            let id = match last {
                Last::Run(script) => {
                    let script = json!({ "expression": function(&script), "silent": true });
                    return self.call("Runtime.evaluate", &script).await;
                }
                Last::CloseTab { id } => id,
            };
            let tab = json!({ "targetId": id });
            loop {
                // The browser closes a crashed tab too.
                self.is_crashed = false;
                // `Page.close` would open a dialog if the page listens to `beforeunload`.
                self.call("Target.closeTarget", &tab).await?;
                // Chrome may not do so at the first command if the tab is navigating.
                if timeout(CLOSE_INTERVAL, self.ended()).await.is_ok() {
                    return Ok(());
                }
            }
        };
        // A page that is stuck keeps its hooks until its slice ends.
        let _ = timeout(limit, run).await;
    }

    /// Sends a command and waits for its answer.
    async fn call(&mut self, method: &'static str, params: &Value) -> Result<(), LookError> {
        let (answer, mut result) = oneshot::channel();
        self.send(method, params, answer).await?;
        while result.try_recv().is_err() {
            let message = self.stream.next().await;
            self.receive(message)?;
        }
        Ok(())
    }

    /// Waits until the socket ends.
    async fn ended(&mut self) {
        loop {
            let message = self.stream.next().await;
            if self.receive(message).is_err() {
                return;
            }
        }
    }
}
