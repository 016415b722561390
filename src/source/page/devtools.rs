//! [`DebuggerAddress`]: where a running Chrome listens for debuggers, and its tabs.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::connector::Connector;
use crate::failure::{MISCONFIGURED, ProtocolFailure, Site};

/// Longest time for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Longest time for an answer. It needs no page, but a busy machine may have many tabs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest list of tabs that is read, in bytes.
const MAX_LIST_LEN: usize = 4 << 20;

/// The debugging address of a running Chrome: `HOST:PORT`.
///
/// Chrome has one if it was started with `--remote-debugging-port`, as Puppeteer does: there it is the
/// host and port of `browser.wsEndpoint()`, or it is read from the profile
/// ([`from_user_data_dir`](Self::from_user_data_dir)).
///
/// ```
/// use whatsapp_phone::source::webdriver::DebuggerAddress;
///
/// let address: DebuggerAddress = "127.0.0.1:9222".parse()?;
/// assert_eq!(address.to_string(), "127.0.0.1:9222");
/// assert!("9222".parse::<DebuggerAddress>().is_err());
/// # Ok::<(), whatsapp_phone::failure::ProtocolFailure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebuggerAddress {
    address: String,
    /// The path of the browser's own DevTools socket, which names this one run of that Chrome.
    browser: Option<String>,
}

impl DebuggerAddress {
    /// Reads the address of the Chrome that uses this profile directory, from the file
    /// `DevToolsActivePort` that it writes there.
    ///
    /// The file stays behind when Chrome ends, and another Chrome may get the same port later. So the
    /// file also names the browser, and attaching fails with code `misconfigured` if another one
    /// listens there.
    ///
    /// # Errors
    ///
    /// Code `misconfigured` if there is no such file, or it does not name a port and a browser.
    pub fn from_user_data_dir(directory: impl AsRef<Path>) -> Result<Self, ProtocolFailure> {
        let file = directory.as_ref().join("DevToolsActivePort");
        let refused = |what: &str| {
            let text = format!(
                "`{}` {what}; is a Chrome with remote debugging using this profile?",
                file.display()
            );
            misconfigured(text)
        };
        let mut text = String::new();
        std::fs::File::open(&file)
            .and_then(|file| file.take(256).read_to_string(&mut text))
            .map_err(|error| {
                refused("cannot be read")
                    .caused_by(ProtocolFailure::from_error(Site::Unknown, &error))
            })?;
        let mut lines = text.lines().map(str::trim);
        let port = lines.next().and_then(|line| line.parse::<u16>().ok());
        let browser = lines.next().filter(|path| path.starts_with('/'));
        match (port, browser) {
            (Some(port), Some(path)) if port > 0 => Ok(Self {
                address: format!("127.0.0.1:{port}"),
                browser: Some(path.to_owned()),
            }),
            (Some(port), None) if port > 0 => Err(refused("does not name its browser")),
            _ => Err(refused("does not name a port")),
        }
    }

    /// Whether it names one run of a Chrome, which only this machine can check.
    pub(crate) const fn names_browser(&self) -> bool {
        self.browser.is_some()
    }

    /// Fails early if nothing listens, or something that is not Chrome (ChromeDriver itself would try for a
    /// minute), or not the Chrome that the address names.
    pub(crate) async fn check(&self) -> Result<(), ProtocolFailure> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "Browser")]
            _browser: String,
            #[serde(rename = "webSocketDebuggerUrl")]
            socket: Option<String>,
        }
        let version = self.get::<Version>("json/version").await?;
        let socket = version.socket.and_then(|url| Url::parse(&url).ok());
        match &self.browser {
            Some(named) if socket.is_none_or(|socket| socket.path() != named) => {
                let text = format!(
                    "the file DevToolsActivePort is stale: another Chrome listens at {self} now; start \
                     the Chrome of this profile again, or name the address of the right one"
                );
                Err(misconfigured(text))
            }
            _ => Ok(()),
        }
    }

    /// Lists the tabs without touching any of them.
    pub(crate) async fn tabs(&self) -> Result<Vec<Tab>, ProtocolFailure> {
        let mut tabs: Vec<Tab> = self.get("json/list").await?;
        tabs.retain(|tab| tab.kind == "page");
        Ok(tabs)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, ProtocolFailure> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            let text = format!(
                "nothing answers at {self}; start Chrome with --remote-debugging-port, or take the \
                 port from the file DevToolsActivePort in its profile"
            );
            misconfigured(text).caused_by(ProtocolFailure::from_error(Site::Cdp, &error))
        })?;
        let answer = timeout(ANSWER_TIMEOUT, self.ask(path)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.not_chrome("did not answer in time")))?;
        serde_json::from_slice(&answer)
            .map_err(|_| self.not_chrome("answers, but not as Chrome does"))
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, ProtocolFailure> {
        let (connector, _guard) = Connector::new();
        let client: Client<_, Empty<&[u8]>> =
            Client::builder(TokioExecutor::new()).build(connector);
        let url = format!("http://{self}/{path}").parse();
        let url = url.map_err(|_| self.not_chrome("is not an address"))?;
        let answer = client.get(url).await.map_err(|error| {
            let failure = self.not_chrome("closed the connection");
            failure.caused_by(ProtocolFailure::from_error(Site::Cdp, &error))
        })?;
        let body = Limited::new(answer.into_body(), MAX_LIST_LEN)
            .collect()
            .await;
        Ok(body
            .map_err(|_| self.not_chrome("broke off, or its answer is too long"))?
            .to_bytes()
            .into())
    }

    fn not_chrome(&self, what: &str) -> ProtocolFailure {
        misconfigured(format!(
            "{self} {what}; it must be a Chrome with remote debugging"
        ))
    }
}

/// A tab, as Chrome lists it. Its id is also its WebDriver window handle.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tab {
    pub(crate) id: String,
    pub(crate) url: String,
    #[serde(rename = "type")]
    kind: String,
}

impl FromStr for DebuggerAddress {
    type Err = ProtocolFailure;

    /// Reads `HOST:PORT`; an IPv6 host stands in brackets.
    fn from_str(text: &str) -> Result<Self, ProtocolFailure> {
        let is_address = text.rsplit_once(':').is_some_and(|(host, port)| {
            let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            let is_host = match bare {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
                None => !host.is_empty() && host.chars().all(is_host),
            };
            is_host
                && port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_address {
            return Err(misconfigured(
                "a debugging address is HOST:PORT, for instance 127.0.0.1:9222",
            ));
        }
        Ok(Self {
            address: text.to_owned(),
            browser: None,
        })
    }
}

impl fmt::Display for DebuggerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

fn misconfigured(text: impl AsRef<str>) -> ProtocolFailure {
    ProtocolFailure::new(Site::Cdp, text).with_code(MISCONFIGURED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for good in [
            "127.0.0.1:9222",
            "localhost:1",
            "chrome-7.local:65535",
            "[::1]:9222",
        ] {
            assert_eq!(good.parse::<DebuggerAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ":9222",
            "9222",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "::1:9222",
            "http://h:1",
            "h:1/x",
            "[x]:1",
        ] {
            let error = bad.parse::<DebuggerAddress>().unwrap_err();
            assert_eq!(error.code(), Some(MISCONFIGURED), "{bad}");
        }
    }

    #[test]
    fn a_profile_names_its_port_or_says_why_not() {
        let profile = tempfile::tempdir().unwrap();
        let read = || DebuggerAddress::from_user_data_dir(profile.path());
        assert!(read().unwrap_err().message().contains("cannot be read"));
        for (text, address) in [
            ("38123\n/devtools/browser/0c1d\n", Some("127.0.0.1:38123")),
            ("38123\n/devtools/browser/0c1d", Some("127.0.0.1:38123")),
            ("38123", None),
            ("38123\nx", None),
            ("0\n", None),
            ("", None),
            ("port", None),
        ] {
            std::fs::write(profile.path().join("DevToolsActivePort"), text).unwrap();
            assert_eq!(
                read().ok().map(|address| address.to_string()).as_deref(),
                address,
                "{text}"
            );
        }
    }
}
