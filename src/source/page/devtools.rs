//! [`DebuggerAddress`]: where a running Chrome listens for debuggers, and its tabs.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::address_error::AddressError;
use super::http::Response;
use super::plain_http;
#[cfg(feature = "cdp")]
use super::version::MAX_VERSION;
use crate::codes::MISCONFIGURED;
use crate::failure::{MAX_TEXT, ProtocolFailure, Site};
use crate::text::clean;

/// Longest time for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// Longest time for resolving a host name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Most addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

pub(super) const ADVICE: &str = "start Chrome with --remote-debugging-port and --user-data-dir (since version 136 it ignores the port on its default profile)";

/// The debugging address of a running Chrome: `HOST:PORT`.
///
/// Chrome has one if it was started with `--remote-debugging-port` and `--user-data-dir`, as Puppeteer does:
/// there it is the host and port of `browser.wsEndpoint()`, or it is read from the profile
/// ([`from_user_data_dir`](Self::from_user_data_dir)).
///
/// The host may be a name. Chrome refuses requests that name it, so the name is resolved, and Chrome is asked by
/// its IP address; if there are several, the first one that answers as Chrome is used.
///
/// ```
/// use whatsapp_phone::source::webdriver::DebuggerAddress;
///
/// let address: DebuggerAddress = "127.0.0.1:9222".parse()?;
/// assert_eq!(address.to_string(), "127.0.0.1:9222");
/// assert!("9222".parse::<DebuggerAddress>().is_err());
/// # Ok::<(), whatsapp_phone::source::webdriver::AddressError>(())
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
    /// If there is no such file, or it does not name a port and a browser.
    pub fn from_user_data_dir(directory: impl AsRef<Path>) -> Result<Self, AddressError> {
        let file = directory.as_ref().join("DevToolsActivePort");
        let named = || clean(&file.display().to_string(), MAX_TEXT / 2);
        let mut text = String::new();
        std::fs::File::open(&file)
            .and_then(|file| file.take(256).read_to_string(&mut text))
            .map_err(|error| AddressError::Unreadable {
                file: named(),
                source: ProtocolFailure::from_error(Site::Unknown, &error),
            })?;
        let mut lines = text.lines().map(str::trim);
        let port = lines.next().and_then(|line| line.parse::<u16>().ok());
        let browser = lines.next().filter(|path| path.starts_with('/'));
        match (port, browser) {
            (Some(port), Some(path)) if port > 0 => Ok(Self {
                address: format!("127.0.0.1:{port}"),
                browser: Some(path.to_owned()),
            }),
            (Some(port), None) if port > 0 => Err(AddressError::NoBrowser { file: named() }),
            _ => Err(AddressError::NoPort { file: named() }),
        }
    }

    /// Reads the address from the URL of the browser's own DevTools socket, as Chrome prints it.
    #[cfg(all(unix, feature = "cdp"))]
    pub(crate) fn from_socket(url: &str) -> Result<Self, AddressError> {
        let rest = url.strip_prefix("ws://").unwrap_or_default();
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address: Self = address.parse()?;
        Ok(Self {
            browser: Some(path.to_owned()),
            ..address
        })
    }

    /// Returns the path of the browser's own DevTools socket, if it is known.
    #[cfg(all(unix, feature = "cdp"))]
    pub(crate) fn browser_path(&self) -> Option<&str> {
        self.browser.as_deref()
    }

    /// Returns whether it names one run of a Chrome, which only this machine can check.
    #[cfg(feature = "webdriver")]
    pub(crate) const fn names_browser(&self) -> bool {
        self.browser.is_some()
    }

    /// Finds the Chrome: returns its address with an IP address as host, which Chrome and ChromeDriver take.
    /// Fails early if nothing listens, or something that is not Chrome (ChromeDriver itself would try for a
    /// minute), or not the Chrome that the address names.
    pub(crate) async fn resolve(&self) -> Result<Self, ProtocolFailure> {
        let mut first: Option<GetError> = None;
        for socket in self.lookup().await? {
            let resolved = Self {
                address: socket.to_string(),
                browser: self.browser.clone(),
            };
            match resolved.check().await {
                Ok((browser, _)) => {
                    return Ok(Self {
                        browser,
                        ..resolved
                    });
                }
                Err(error) => match &first {
                    Some(first) if first.is_answered || !error.is_answered => {}
                    _ => first = Some(error),
                },
            }
        }
        let failure = first.map(|error| error.failure);
        let failure = failure.unwrap_or_else(|| misconfigured(format!("{self} has no address")));
        if self.address.parse::<SocketAddr>().is_ok() {
            return Err(failure);
        }
        let text = format!("{self} was resolved, but {}", failure.message());
        Err(misconfigured(text).caused_by(failure))
    }

    async fn lookup(&self) -> Result<Vec<SocketAddr>, ProtocolFailure> {
        if let Ok(address) = self.address.parse() {
            return Ok(vec![address]);
        }
        let found = timeout(RESOLVE_TIMEOUT, lookup_host(&self.address)).await;
        let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let found = found.map_err(|error| {
            let text = format!("the host name in {self} cannot be resolved; give an IP address");
            misconfigured(text).caused_by(ProtocolFailure::from_error(Site::Cdp, &error))
        })?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found.take(MAX_ADDRESSES) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// Asks which run of Chrome listens there. Returns the path of its own DevTools socket, and its product, for
    /// instance `Chrome/156.0.7204.49`.
    async fn check(&self) -> Result<(Option<String>, String), GetError> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "Browser")]
            product: String,
            #[serde(rename = "webSocketDebuggerUrl")]
            socket: Option<String>,
        }
        let version = self.get::<Version>("json/version").await?;
        let socket = version.socket.and_then(|url| {
            let (_, rest) = url.split_once("://")?;
            Some(rest[rest.find('/')?..].to_owned())
        });
        match &self.browser {
            Some(named) if socket.as_ref() != Some(named) => {
                let text = format!(
                    "the file DevToolsActivePort is stale: another Chrome listens at {self} now; start \
                     the Chrome of this profile again, or name the address of the right one"
                );
                let mut error = GetError::answered(text);
                error.is_gone = socket.is_some();
                Err(error)
            }
            _ => Ok((socket, version.product)),
        }
    }

    /// Returns whether the Chrome of this [resolved](Self::resolve) address still runs. Fails if that is unknown: a Chrome
    /// that does not answer may be stopped, and a tunnel to it, or this process, may have a failure of its own.
    #[cfg(feature = "cdp")]
    pub(crate) async fn is_running(&self) -> Result<bool, ProtocolFailure> {
        match self.check().await {
            Ok(_) => Ok(true),
            Err(error) if error.is_gone => Ok(false),
            Err(error) => Err(error.failure),
        }
    }

    /// Returns the version of the Chrome of this [resolved](Self::resolve) address; `None` if it cannot be asked.
    #[cfg(feature = "cdp")]
    pub(crate) async fn version(&self) -> Option<String> {
        let (_, product) = self.check().await.ok()?;
        let (_, version) = product.split_once('/')?;
        Some(clean(version, MAX_VERSION))
    }

    /// Lists the tabs without touching any of them. The address must be [resolved](Self::resolve).
    pub(crate) async fn tabs(&self) -> Result<Vec<Tab>, ProtocolFailure> {
        let tabs = self.get("json/list").await;
        let mut tabs: Vec<Tab> = tabs.map_err(|error| error.failure)?;
        tabs.retain(|tab| tab.kind == "page");
        Ok(tabs)
    }

    async fn get<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, GetError> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(|error| {
            let text = format!(
                "nothing answers at {self}; {ADVICE}, or take the port from the file DevToolsActivePort \
                 in its profile"
            );
            let cause = ProtocolFailure::from_error(Site::Cdp, &error);
            GetError {
                is_answered: false,
                is_gone: error.kind() == io::ErrorKind::ConnectionRefused,
                failure: misconfigured(text).caused_by(cause),
            }
        })?;
        let answer = plain_http::get(stream, &self.address, path).await;
        let answer = answer.map_err(|(what, cause)| {
            let mut error = self.not_chrome(what);
            if let Some(cause) = cause {
                error.failure = error.failure.caused_by(cause);
            }
            error
        })?;
        answer.json().ok_or_else(|| self.unexpected(&answer))
    }

    /// Returns the failure for an answer that Chrome would not give to a debugger.
    fn unexpected(&self, answer: &Response) -> GetError {
        let quoted = answer.quote();
        match answer.status.as_u16() {
            404 if answer.contains("unknown command") => GetError::answered(format!(
                "{self} is a WebDriver server, not a Chrome: it answers {quoted}; give it as the WebDriver \
                 URL, and the debugging address of the Chrome here"
            )),
            404 => GetError::answered(format!(
                "{self} answers {quoted}; since version 144 a Chrome does so if its remote debugging was \
                 allowed at chrome://inspect, where its user consents to each connection; {ADVICE}"
            )),
            _ => self.not_chrome(&format!("answers {quoted}")),
        }
    }

    fn not_chrome(&self, what: &str) -> GetError {
        GetError::answered(format!(
            "{self} {what}; it must be the debugging port of a Chrome: {ADVICE}"
        ))
    }
}

/// The reason for which a request to a Chrome failed.
struct GetError {
    /// Something listens there.
    is_answered: bool,
    /// Nothing listens there any more, or another Chrome.
    is_gone: bool,
    failure: ProtocolFailure,
}

impl GetError {
    fn answered(text: impl AsRef<str>) -> Self {
        Self {
            is_answered: true,
            is_gone: false,
            failure: misconfigured(text),
        }
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
    type Err = AddressError;

    /// Reads `HOST:PORT`; an IPv6 host is written in brackets.
    fn from_str(text: &str) -> Result<Self, AddressError> {
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
            return Err(AddressError::NotAnAddress);
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
            assert_eq!(error, AddressError::NotAnAddress, "{bad}");
            let failure = ProtocolFailure::from(error);
            assert_eq!(failure.code(), Some(MISCONFIGURED));
        }
    }

    #[test]
    fn a_profile_names_its_port_or_says_why_not() {
        let profile = tempfile::tempdir().unwrap();
        let read = || DebuggerAddress::from_user_data_dir(profile.path());
        let unreadable = read().unwrap_err();
        assert!(unreadable.to_string().contains("cannot be read"));
        let failure = ProtocolFailure::from_error(Site::Unknown, &unreadable);
        assert_eq!(failure.code(), Some(MISCONFIGURED));
        assert_eq!(ProtocolFailure::from(unreadable), failure);
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
