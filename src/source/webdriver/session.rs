//! A WebDriver session of ours, and the connections to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connection::{Connection, connector};
use super::driver::Recording;
use super::error::command;
use super::server::new_session;
use crate::failure::{ProtocolFailure, Site};

/// The script timeout of a session of ours: a slice of a wait ends by then, even if the page's own timers do
/// not run.
pub(super) const SCRIPT_TIMEOUT: Duration = Duration::from_millis(500);

/// A session of ours on a WebDriver server. The URL may hold a key, so there is no `Debug`.
#[derive(Clone)]
pub(super) struct Session {
    webdriver: Zeroizing<String>,
    id: String,
}

impl Session {
    /// Creates a session with these `goog:chromeOptions`. The recording is that of a driver of ours.
    pub(super) async fn create(
        webdriver: Zeroizing<String>,
        chrome_options: Value,
        recording: Option<Arc<Recording>>,
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
            Err(error) => return Err(new_session(&error, &webdriver, recording.as_deref()).await),
        };
        // The browser has started.
        if let Some(recording) = recording {
            recording.end();
        }
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

/// Longest time that work continues after its deadline: ChromeDriver has been seen to take 93 seconds over a
/// crashed tab.
const MAX_OVERRUN: Duration = Duration::from_secs(120);

/// Runs this in a task of its own. If its deadline is over, or its caller is dropped, the task still runs to
/// its end and drops its result there; a command that hangs delays no other.
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

fn failure(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, text)
}
