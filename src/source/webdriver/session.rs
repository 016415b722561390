//! A WebDriver session of ours, and the wire to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::connector::{Connector, Lifeline};
use super::error::{command, new_session};
use crate::failure::{ProtocolFailure, Site};

/// The script timeout of a session of ours: a slice of a wait ends by then, also where the page's
/// own timers do not run.
pub(super) const SCRIPT_TIMEOUT: Duration = Duration::from_millis(500);

/// A client, and what holds its connections; dropping the last clone of a wire of ours ends whatever
/// is under way on it, without ending the session.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client,
    /// `None` for a caller's client.
    lifeline: Option<Arc<Lifeline>>,
}

impl Wire {
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends whatever is under way on a wire of ours, for all its clones.
    pub(super) fn cut(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.cut();
        }
    }
}

impl From<Client> for Wire {
    /// A caller's client.
    fn from(client: Client) -> Self {
        Self {
            client,
            lifeline: None,
        }
    }
}

/// A session of ours on a WebDriver server. Its URL may carry a key, so it is not printed.
#[derive(Clone)]
pub(super) struct Session {
    webdriver: String,
    id: String,
}

impl Session {
    /// Makes a session with these `goog:chromeOptions`.
    pub(super) async fn create(
        webdriver: String,
        chrome_options: Value,
    ) -> Result<(Self, Wire), ProtocolFailure> {
        // Dialogs are the page's and its user's business. An eager load does not wait for images.
        let asked = Capabilities::from_iter([
            ("goog:chromeOptions".to_owned(), chrome_options),
            ("unhandledPromptBehavior".to_owned(), json!("ignore")),
            ("pageLoadStrategy".to_owned(), json!("eager")),
            (
                "timeouts".to_owned(),
                json!({ "script": SCRIPT_TIMEOUT.as_millis() }),
            ),
        ]);
        let (connector, lifeline) = connector(&webdriver)?;
        let client = ClientBuilder::new(connector)
            .capabilities(asked)
            .connect(&webdriver)
            .await;
        let client = client.map_err(|error| new_session(&error, &webdriver))?;
        let wire = Wire {
            client,
            lifeline: Some(Arc::new(lifeline)),
        };

        let id = wire
            .client
            .session_id()
            .await
            .map_err(|error| command(&error))?;
        let id = id.ok_or_else(|| failure("the WebDriver server gave no session id"))?;
        // Ending the session is the page's work: a client that is replaced must not do it.
        wire.client
            .persist()
            .await
            .map_err(|error| command(&error))?;
        Ok((Self { webdriver, id }, wire))
    }

    /// Another wire to the same session.
    pub(super) async fn reconnect(&self) -> Result<Wire, ProtocolFailure> {
        let (connector, lifeline) = connector(&self.webdriver)?;
        let client = Client::with_existing_session(&self.webdriver, &self.id, connector).await;
        let client = client.map_err(|error| new_session(&error, &self.webdriver))?;
        client.persist().await.map_err(|error| command(&error))?;
        Ok(Wire {
            client,
            lifeline: Some(Arc::new(lifeline)),
        })
    }
}

/// Longest time that work whose deadline is over goes on to come to an end of its own: ChromeDriver
/// has been seen to take 93 seconds over a crashed tab.
const AFTERMATH: Duration = Duration::from_secs(120);

/// Runs this in a task of its own: when its deadline is over, or nobody waits any more, it still
/// comes to its end, and what it made is dropped there. A command that hangs holds nobody.
pub(super) async fn apart<T: Send + 'static>(
    deadline: Duration,
    work: impl Future<Output = Result<T, ProtocolFailure>> + Send + 'static,
) -> Result<T, ProtocolFailure> {
    let work = tokio::spawn(timeout(deadline.saturating_add(AFTERMATH), work));
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
fn connector(webdriver: &str) -> Result<(Connector, Lifeline), ProtocolFailure> {
    if is_https(webdriver) {
        let text = "a WebDriver server at an https URL needs the feature `webdriver-rustls`";
        return Err(failure(text).with_code(super::error::MISCONFIGURED));
    }
    Ok(Connector::new())
}

#[cfg(feature = "webdriver-rustls")]
fn connector(
    webdriver: &str,
) -> Result<(hyper_rustls::HttpsConnector<Connector>, Lifeline), ProtocolFailure> {
    let tls = super::tls::config(is_https(webdriver)).map_err(|error| {
        failure(format!("the system's certificates cannot be used: {error}"))
            .with_code(super::error::MISCONFIGURED)
    })?;
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    let (connector, lifeline) = Connector::new();
    let connector = builder
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok((connector, lifeline))
}

fn is_https(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.scheme() == "https")
}

fn failure(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text)
}
