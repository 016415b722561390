//! [`Connection`]: a client of a WebDriver server, over http or https.

use std::sync::Arc;

use fantoccini::Client;

use super::error::misconfigured;
use crate::failure::ProtocolFailure;
use crate::source::page::connector::{ConnectionGuard, Connector};

/// A client with its connections. Dropping the last clone of one of ours ends its commands, but not the
/// session.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    /// `None` for a caller's client.
    pub(super) guard: Option<Arc<ConnectionGuard>>,
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
    /// Takes a caller's client.
    fn from(client: Client) -> Self {
        Self {
            client,
            guard: None,
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
    let tls = crate::tls::config(is_https(webdriver)).map_err(|error| {
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
