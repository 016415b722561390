//! The program's configuration from a file and from the environment, which takes precedence.

use std::collections::HashMap;
use std::env;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use whatsapp_phone::RetryPolicy;
use whatsapp_phone::event::signature::SigningKeys;
use whatsapp_phone::event::webhook::{WebhookConfigError, WebhookSink};
use whatsapp_phone::server::AccessTokens;
use whatsapp_phone::source::Assurance;

use crate::storage::WORKSPACE;

const SECRET: &str = "WHATSAPP_PHONE_WEBHOOK_SECRET";
const TOKEN: &str = "WHATSAPP_PHONE_ACCESS_TOKEN";

/// A setting that is missing or invalid. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidConfig(pub(crate) String);

type Read<T> = Result<T, InvalidConfig>;

/// Each variable that is read. `SESSION_STORAGE_PATH`, `PUPPETEER_TIMEOUT` and `LOG_LEVEL` have the names of
/// the Node service.
pub(crate) struct Config {
    /// `WHATSAPP_PHONE_INITIAL_DELAY` and so on: see `RetryPolicy::from_env`.
    pub(crate) policy: RetryPolicy,
    /// `WHATSAPP_PHONE_ACCEPT`: `provisional`, `unverified` or `confirmed`.
    pub(crate) accept: Assurance,
    /// `WHATSAPP_PHONE_WEBDRIVER_URL`: a WebDriver server, in place of a ChromeDriver that the example starts.
    pub(crate) webdriver: Option<String>,
    /// `WHATSAPP_PHONE_DATABASE_URL`: a `sqlite:` URL, in place of a file in the storage directory.
    pub(crate) database: Option<String>,
    /// `WHATSAPP_PHONE_LISTEN`: the address of the routes, for instance `127.0.0.1:8080`.
    pub(crate) listen: Option<SocketAddr>,
    /// `SESSION_STORAGE_PATH`: a directory for database and browser profile, in place of one that
    /// goes with the program.
    pub(crate) storage: Option<PathBuf>,
    /// `PUPPETEER_TIMEOUT`, in milliseconds: how long the browser may take to open the page.
    pub(crate) opening: Duration,
    /// `LOG_LEVEL`: `error`, `warn`, `info`, `debug` or `trace`.
    pub(crate) log: tracing::Level,
    variables: Variables,
}

impl Config {
    /// Reads the environment, and below it this file of `NAME=value` lines.
    pub(crate) fn read(file: Option<&Path>) -> Read<Self> {
        let variables = Variables::read(file)?;
        let policy = RetryPolicy::from_vars(|name| variables.get(name));
        let opening = variables.parse("PUPPETEER_TIMEOUT", "milliseconds, for instance 60000")?;
        let accept = "provisional, unverified or confirmed";
        let listen = "IP:PORT, for instance 127.0.0.1:8080";
        let log = variables.parse("LOG_LEVEL", "error, warn, info, debug or trace")?;
        Ok(Self {
            policy: policy.map_err(invalid)?,
            accept: variables
                .parse("WHATSAPP_PHONE_ACCEPT", accept)?
                .unwrap_or(Assurance::Unverified),
            webdriver: variables.get("WHATSAPP_PHONE_WEBDRIVER_URL"),
            database: variables.get("WHATSAPP_PHONE_DATABASE_URL"),
            listen: variables.parse("WHATSAPP_PHONE_LISTEN", listen)?,
            storage: variables.get("SESSION_STORAGE_PATH").map(PathBuf::from),
            opening: Duration::from_millis(opening.unwrap_or(60_000)),
            log: log.unwrap_or(tracing::Level::WARN),
            variables,
        })
    }

    /// Makes the sink from `WHATSAPP_PHONE_WEBHOOK_URL` and `WHATSAPP_PHONE_WEBHOOK_SECRET`.
    pub(crate) fn webhook(&self, is_local: bool) -> Read<WebhookSink> {
        let builder = WebhookSink::from_vars(|name| self.variables.get(name)).map_err(invalid)?;
        let builder = match is_local {
            true => builder.allow_http().allow_private_addresses(),
            false => builder,
        };
        builder.build().map_err(|error| match error {
            WebhookConfigError::Http(_) | WebhookConfigError::PrivateAddress(_) => {
                InvalidConfig(format!("{error}; this program does with --local"))
            }
            _ => invalid(error),
        })
    }

    /// Reads `WHATSAPP_PHONE_WEBHOOK_SECRET`: one or several, separated by spaces.
    pub(crate) fn keys(&self) -> Read<SigningKeys> {
        let text = self
            .variables
            .required(SECRET, "echo \"whsec_$(openssl rand -base64 32)\"")?;
        text.parse().map_err(invalid)
    }

    /// Reads `WHATSAPP_PHONE_ACCESS_TOKEN`: one or several, separated by spaces.
    pub(crate) fn tokens(&self) -> Read<AccessTokens> {
        let text = self.variables.required(TOKEN, "openssl rand -hex 32")?;
        let mut tokens = text.split_whitespace();
        let all = AccessTokens::default();
        let all = tokens.try_fold(all, |all, token| all.allow(WORKSPACE, token));
        all.map_err(|error| InvalidConfig(format!("{TOKEN}: {error}")))
    }
}

fn invalid(error: impl Display) -> InvalidConfig {
    InvalidConfig(error.to_string())
}

/// The environment, and the lines of the file. No `Debug`: they hold secrets.
struct Variables(HashMap<String, String>);

impl Variables {
    fn read(file: Option<&Path>) -> Read<Self> {
        let mut values = HashMap::new();
        let Some(path) = file else {
            return Ok(Self(values));
        };
        let at = path.display();
        let lines = dotenvy::from_path_iter(path)
            .map_err(|error| InvalidConfig(format!("{at} cannot be read: {error}")))?;
        for line in lines {
            // The line may hold a secret.
            let wrong = |_| InvalidConfig(format!("{at} has a line that is not NAME=value"));
            let (name, value) = line.map_err(wrong)?;
            values.insert(name, value);
        }
        Ok(Self(values))
    }

    fn get(&self, name: &str) -> Option<String> {
        let value = env::var(name).ok().or_else(|| self.0.get(name).cloned());
        value.filter(|value| !value.is_empty())
    }

    fn parse<T: FromStr>(&self, name: &str, wants: &str) -> Read<Option<T>> {
        let value = self.get(name).map(|text| text.parse());
        let value = value.transpose();
        value.map_err(|_| InvalidConfig(format!("{name} wants {wants}")))
    }

    fn required(&self, name: &str, command: &str) -> Read<String> {
        let value = self.get(name);
        value.ok_or_else(|| InvalidConfig(format!("{name} is not set; make one with: {command}")))
    }
}
