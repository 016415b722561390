//! The program's configuration from a file and from the environment, which takes precedence.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use whatsapp_phone::RetryPolicy;
use whatsapp_phone::source::Assurance;

/// Each variable that is read. The last three have the names of the Node service.
#[derive(Debug)]
pub(crate) struct Config {
    /// `WHATSAPP_PHONE_INITIAL_DELAY` and so on: see `RetryPolicy::from_env`.
    pub(crate) policy: RetryPolicy,
    /// `WHATSAPP_PHONE_ACCEPT`: `provisional`, `unverified` or `confirmed`.
    pub(crate) accept: Assurance,
    /// `WHATSAPP_PHONE_WEBDRIVER_URL`: a WebDriver server, in place of a ChromeDriver that the example starts.
    pub(crate) webdriver: Option<String>,
    /// `WHATSAPP_PHONE_DATABASE_URL`: a `sqlite:` URL, in place of a file in the storage directory.
    pub(crate) database: Option<String>,
    /// `SESSION_STORAGE_PATH`: a directory for database and browser profile, in place of one that
    /// goes with the program.
    pub(crate) storage: Option<PathBuf>,
    /// `PUPPETEER_TIMEOUT`, in milliseconds: how long the browser may take to open the page.
    pub(crate) opening: Duration,
    /// `LOG_LEVEL`: `error`, `warn`, `info`, `debug` or `trace`.
    pub(crate) log: tracing::Level,
}

impl Config {
    /// Reads the environment, and below it this file of `NAME=value` lines.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, String> {
        let mut values = HashMap::new();
        if let Some(path) = file {
            let unreadable = |error| format!("{} cannot be read: {error}", path.display());
            let lines = dotenvy::from_path_iter(path).map_err(unreadable)?;
            for line in lines {
                // The line may hold a secret.
                let (name, value) = line
                    .map_err(|_| format!("{} has a line that is not NAME=value", path.display()))?;
                values.insert(name, value);
            }
        }
        let get = |name: &str| {
            let value = env::var(name).ok().or_else(|| values.get(name).cloned());
            value.filter(|value| !value.is_empty())
        };
        let bad = |name: &str, wants: &str| format!("{name} wants {wants}");
        let millis = |text: String| text.parse().map(Duration::from_millis);
        Ok(Self {
            policy: RetryPolicy::from_vars(get).map_err(|error| error.to_string())?,
            accept: match get("WHATSAPP_PHONE_ACCEPT") {
                Some(text) => text.parse().map_err(|_| {
                    bad(
                        "WHATSAPP_PHONE_ACCEPT",
                        "provisional, unverified or confirmed",
                    )
                })?,
                None => Assurance::Unverified,
            },
            webdriver: get("WHATSAPP_PHONE_WEBDRIVER_URL"),
            database: get("WHATSAPP_PHONE_DATABASE_URL"),
            storage: get("SESSION_STORAGE_PATH").map(PathBuf::from),
            opening: get("PUPPETEER_TIMEOUT")
                .map(millis)
                .transpose()
                .map_err(|_| bad("PUPPETEER_TIMEOUT", "milliseconds, for instance 60000"))?
                .unwrap_or(Duration::from_secs(60)),
            log: get("LOG_LEVEL")
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| bad("LOG_LEVEL", "error, warn, info, debug or trace"))?
                .unwrap_or(tracing::Level::WARN),
        })
    }
}
