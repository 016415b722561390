//! A WebDriver session of ours, and the connections to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::driver::Recording;
use super::error::{command, misconfigured};
use super::server::new_session;
use crate::failure::{ProtocolFailure, Site};
use crate::source::page::connector::{ConnectionGuard, Connector};

/// The script timeout of a session of ours: a slice of a wait ends by then, even if the page's own timers do
/// not run.
pub(super) const SCRIPT_TIMEOUT: Duration = Duration::from_millis(500);

/// A client with its connections. Dropping the last clone of one of ours ends its commands, but not the
/// session.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    client: Client,
    /// `None` for a caller's client.
    guard: Option<Arc<ConnectionGuard>>,
}

impl Connection {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends the commands that run on a connection of ours, for all its clones.
    pub(super) fn close(&self) {
        if let Some(guard) = &self.guard {
            guard.close();
        }
    }
}

impl From<Client> for Connection {
    /// A caller's client.
    fn from(client: Client) -> Self {
        Self {
            client,
            guard: None,
        }
    }
}

/// A session of ours on a WebDriver server. The URL may hold a key, so there is no `Debug`.
#[derive(Clone)]
pub(super) struct Session {
    webdriver: String,
    id: String,
}

impl Session {
    /// Creates a session with these `goog:chromeOptions`. The recording is that of a driver of ours.
    pub(super) async fn create(
        webdriver: String,
        chrome_options: Value,
        recording: Option<Recording>,
    ) -> Result<(Self, Connection), ProtocolFailure> {
        // Dialogs are left to the page's user. An eager load does not wait for images.
        let asked = Capabilities::from_iter([
            ("goog:chromeOptions".to_owned(), chrome_options),
            ("unhandledPromptBehavior".to_owned(), json!("ignore")),
            ("pageLoadStrategy".to_owned(), json!("eager")),
            (
                "timeouts".to_owned(),
                json!({ "script": SCRIPT_TIMEOUT.as_millis() }),
            ),
        ]);
        let (connector, guard) = connector(&webdriver)?;
        let client = ClientBuilder::new(connector)
            .capabilities(asked)
            .connect(&webdriver)
            .await;
        let client = match client {
            Ok(client) => client,
            Err(error) => return Err(new_session(&error, &webdriver, recording.as_ref()).await),
        };
        let connection = Connection {
            client,
            guard: Some(Arc::new(guard)),
        };

        let id = connection
            .client
            .session_id()
            .await
            .map_err(|error| command(&error))?;
        let id = id.ok_or_else(|| failure("the WebDriver server gave no session id"))?;
        // `Page` ends the session: a client that is replaced must not.
        connection
            .client
            .persist()
            .await
            .map_err(|error| command(&error))?;
        Ok((Self { webdriver, id }, connection))
    }

    /// Opens another connection to the same session.
    pub(super) async fn reconnect(&self) -> Result<Connection, ProtocolFailure> {
        let (connector, guard) = connector(&self.webdriver)?;
        let client = Client::with_existing_session(&self.webdriver, &self.id, connector).await;
        let client = match client {
            Ok(client) => client,
            Err(error) => return Err(new_session(&error, &self.webdriver, None).await),
        };
        client.persist().await.map_err(|error| command(&error))?;
        Ok(Connection {
            client,
            guard: Some(Arc::new(guard)),
        })
    }
}

/// Longest time that work goes on after its deadline: ChromeDriver has been seen to take 93 seconds over a
/// crashed tab.
const MAX_OVERRUN: Duration = Duration::from_secs(120);

/// Runs this in a task of its own. If its deadline is over, or its caller is dropped, the task still runs to
/// its end and drops its result there; a command that hangs delays nobody.
pub(super) async fn in_background<T: Send + 'static>(
    deadline: Duration,
    work: impl Future<Output = Result<T, ProtocolFailure>> + Send + 'static,
) -> Result<T, ProtocolFailure> {
    let work = tokio::spawn(timeout(deadline.saturating_add(MAX_OVERRUN), work));
    match timeout(deadline, work).await {
        Ok(Ok(Ok(outcome))) => outcome,
        Ok(Err(_)) => Err(failure("opening the page panicked; this is a bug")),
        Ok(Ok(Err(_))) | Err(_) => {
            let deadline = humantime::format_duration(deadline);
            let text = format!("the page was not there after {deadline}; the browser may hang");
            Err(failure(text).with_code("timeout"))
        }
    }
}

#[cfg(not(feature = "webdriver-rustls"))]
pub(super) fn connector(webdriver: &str) -> Result<(Connector, ConnectionGuard), ProtocolFailure> {
    if is_https(webdriver) {
        let text = "a WebDriver server at an https URL needs the feature `webdriver-rustls`";
        return Err(misconfigured(text));
    }
    Ok(Connector::new())
}

#[cfg(feature = "webdriver-rustls")]
pub(super) fn connector(
    webdriver: &str,
) -> Result<(hyper_rustls::HttpsConnector<Connector>, ConnectionGuard), ProtocolFailure> {
    let tls = super::tls::config(is_https(webdriver)).map_err(|error| {
        misconfigured(format!("the system's certificates cannot be used: {error}"))
    })?;
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    let (connector, guard) = Connector::new();
    let connector = builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok((connector, guard))
}

fn is_https(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.scheme() == "https")
}

fn failure(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text)
}
