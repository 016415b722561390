//! The database of a process, and the directory that it is in.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use whatsapp_phone::event::SessionKey;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, StoreOptions};

use crate::Outcome;
use crate::config::{Config, InvalidConfig};

/// The session's workspace, to which the tokens give access.
pub(crate) const WORKSPACE: u64 = 1;

pub(crate) fn session() -> Outcome<SessionKey> {
    Ok(SessionKey::new(WORKSPACE, "session-1")?)
}

pub(crate) struct Storage {
    directory: PathBuf,
    database: Option<String>,
    _scratch: Option<TempDir>,
}

impl Storage {
    /// As `open`, but refuses a directory that goes with the program: events that were accepted would go with it.
    pub(crate) fn durable(config: &Config) -> Outcome<Self> {
        if config.storage.is_none() && config.database.is_none() {
            let text = "SESSION_STORAGE_PATH is not set; name a directory for the database, for instance sessions";
            return Err(InvalidConfig(text.to_owned()).into());
        }
        Self::open(config)
    }

    /// Takes the directory of the configuration, or one that goes with the program.
    pub(crate) fn open(config: &Config) -> Outcome<Self> {
        let scratch = match &config.storage {
            Some(_) => None,
            None => Some(tempfile::tempdir()?),
        };
        let temporary = scratch.as_ref().map(|it| it.path().to_owned());
        let directory = config.storage.clone().or(temporary).unwrap_or_default();
        std::fs::create_dir_all(&directory)?;
        Ok(Self {
            directory,
            database: config.database.clone(),
            _scratch: scratch,
        })
    }

    /// Opens the database, which is this file if the configuration names none, and registers the session.
    pub(crate) async fn store(&self, file: &str, options: StoreOptions) -> Outcome<SqliteStore> {
        let file = self.directory.join(file);
        let url = self.database.clone();
        let url = url.unwrap_or_else(|| format!("sqlite:{}", file.display()));
        let store = SqliteStore::connect(&url, options.create_tables()).await?;
        store.register(&session()?).await?;
        Ok(store)
    }
}

/// Gives up, every ten minutes, what has been stuck for an hour. A service does so once for all of its
/// sessions, for as long as it runs.
pub(crate) async fn sweep(store: &SqliteStore) {
    loop {
        tokio::time::sleep(Duration::from_secs(10 * 60)).await;
        match store.sweep_stuck(Duration::from_secs(60 * 60)).await {
            Ok(swept) => tracing::info!(sessions = swept.len(), "stuck sessions were given up"),
            Err(error) => tracing::warn!(%error, "stuck sessions were not given up"),
        }
    }
}
