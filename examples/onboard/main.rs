//! The life cycle of one session: the page shows a QR code, the phone accepts it, the number is found,
//! its row is written, a watcher sees it, and in the end the phone unlinks.
//!
//! Without arguments it brings all it needs: the stand-in page of `testkit`, ChromeDriver and Chromium,
//! and a SQLite file. Exit code: 0 done, 1 no number with the reason, 2 wrong use.

mod config;
mod metrics;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use config::Config;
use tokio::time::Instant;
use traces::Traces;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::event::{EventKind, EventSink, SessionEvent, SessionKey, SinkError};
use whatsapp_phone::onboard::PageMonitor;
use whatsapp_phone::source::webdriver::{
    DriverProcess, OpenOptions, Page, Target, WebDriverSource,
};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, Status, StatusWatcher, StoreOptions, StoreSink};
use whatsapp_phone::testkit::standin::{Generation, LID, PHONE, Scenario, StandIn, Step};

/// Brings a session from its QR code to its row in a database, and on until it unlinks.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Read settings from this file of NAME=value lines; the environment goes before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve metrics to Prometheus at this address, for instance 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Send the spans to a collector of OpenTelemetry, for instance http://127.0.0.1:4318/v1/traces
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    let config = match Config::read(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            return ExitCode::from(2);
        }
    };
    match run(config, args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text += &format!(": {error}");
                cause = error.source();
            }
            eprintln!("{}", support::masked(&format!("error: {text}")));
            ExitCode::from(1)
        }
    }
}

async fn run(config: Config, args: Args) -> Outcome<bool> {
    let traces = args.traces.as_deref().map(Traces::to).transpose()?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(log.with_filter(LevelFilter::from(config.log)))
        .with(traces.as_ref().map(Traces::layer))
        .init();
    if let Some(address) = args.metrics {
        metrics::serve(address).await?;
    }
    let has_number = onboard(&config).await;
    let sent = match traces {
        Some(traces) => traces.end().await,
        None => Ok(()),
    };
    // The session's own error matters more.
    let has_number = has_number?;
    sent.map(|()| has_number)
}

/// Whether the session got as far as its number.
async fn onboard(config: &Config) -> Outcome<bool> {
    let steps = Steps(Instant::now());
    let scratch = tempfile::tempdir()?;
    let storage = config.storage.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(storage)?;

    let file = storage.join("sessions.db");
    let url = config.database.clone();
    let url = url.unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let store = SqliteStore::connect(&url, StoreOptions::default().create_tables()).await?;
    let session = SessionKey::new(1, "session-1")?;
    let row = store.register(&session).await?;
    steps.print(
        "database",
        format!("row of {session} is there, status {}", row.status),
    );

    let stand_in = StandIn::start(scenario()).await?;
    let driver = match &config.webdriver {
        Some(_) => None,
        None => Some(DriverProcess::start().await?),
    };
    let page = open(config, driver.as_ref(), &stand_in.url()).await?;
    steps.print("browser", "page is open");

    // The store decides; the screen shows what it has accepted.
    let sink = FanOut::after(StoreSink::new(store.clone())).observer(steps);
    let monitor = PageMonitor::new(session.clone(), WebDriverSource::all(&page), sink)
        .extractor(|it| it.policy(config.policy.clone()).accept(config.accept))
        .resume(&row)
        .store(store.clone())
        .every(Duration::from_millis(250));

    let watcher = store.watch(&session.session_id).await?;
    let has_number = tokio::select! {
        ended = monitor.run() => {
            steps.print("monitor", format!("ended: {}", ended.as_str()));
            false
        }
        has_number = follow(&steps, watcher, &store, &session) => has_number?,
        () = sweep(&store) => false,
    };
    page.close().await;
    if let Some(driver) = driver {
        driver.stop().await?;
    }
    Ok(has_number)
}

/// Gives up, every ten minutes, what has been stuck for an hour. A service does so once for all of its
/// sessions, for as long as it runs.
async fn sweep(store: &SqliteStore) {
    loop {
        tokio::time::sleep(Duration::from_secs(10 * 60)).await;
        match store.sweep_stuck(Duration::from_secs(60 * 60)).await {
            Ok(swept) => tracing::info!(sessions = swept.len(), "stuck sessions were given up"),
            Err(error) => tracing::warn!(%error, "stuck sessions were not given up"),
        }
    }
}

/// Prints every status until the session is unlinked after it was connected, or has failed.
async fn follow(
    steps: &Steps,
    mut watcher: StatusWatcher,
    store: &SqliteStore,
    session: &SessionKey,
) -> Outcome<bool> {
    let mut was_connected = false;
    while let Some(change) = watcher.changed().await {
        let phone = change
            .phone
            .as_ref()
            .map_or("no number".to_owned(), ToString::to_string);
        steps.print("status", format!("{}, {phone}", change.status));
        match change.status {
            Status::Connected => {
                was_connected = true;
                if let Some(row) = store.session(&session.session_id).await? {
                    let phone = row
                        .phone
                        .map_or("no number".to_owned(), |it| it.to_string());
                    steps.print(
                        "row",
                        format!("{}, {phone}, seq {:?}", row.status, row.last_seq),
                    );
                }
            }
            Status::Disconnected if was_connected => return Ok(true),
            Status::Error => return Ok(false),
            _ => {}
        }
    }
    Ok(was_connected)
}

async fn open(config: &Config, driver: Option<&DriverProcess>, url: &str) -> Outcome<Page> {
    let mut options = OpenOptions::default()
        .target(Target::at(url)?)
        .url(url)
        .headless(true)
        .deadline(config.opening);
    if let Some(storage) = &config.storage {
        let profile = Path::new(storage).canonicalize()?.join("session-1");
        options = options.browser_arg(format!("--user-data-dir={}", profile.display()));
    }
    if rustix::process::geteuid().is_root() {
        // Chromium refuses its sandbox to root. A service should run as a user of its own instead.
        options = options.browser_arg("--no-sandbox");
    }
    Ok(match (driver, &config.webdriver) {
        (Some(driver), _) => Page::open(driver, options).await?,
        (None, webdriver) => {
            Page::open_at(webdriver.as_deref().unwrap_or_default(), options).await?
        }
    })
}

/// A QR code that is scanned after two seconds, and a phone that unlinks after eight.
fn scenario() -> Scenario {
    let secs = Duration::from_secs;
    Scenario::new(Generation::Current)
        .at(secs(0), Step::socket("UNPAIRED"))
        .at(secs(2), Step::socket("PAIRING"))
        .at(secs(3), Step::me(PHONE))
        .at(secs(3), Step::lid(LID))
        .at(secs(5), Step::connected())
        .at(secs(8), Step::Logout)
}

/// Prints what happens, with the time since the start. Numbers come masked.
#[derive(Clone, Copy, Debug)]
struct Steps(Instant);

impl Steps {
    fn print(&self, what: &str, more: impl AsRef<str>) {
        let at = self.0.elapsed().as_secs_f64();
        println!("{at:7.3} s  {what:<9} {}", more.as_ref());
    }
}

#[async_trait]
impl EventSink for Steps {
    fn name(&self) -> &str {
        "screen"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        let more = match event.kind() {
            EventKind::SessionReady(ready) => format!(" {}", ready.phone()),
            EventKind::SessionError(failed) => format!(
                " {}: {}",
                failed.code().unwrap_or_default(),
                failed.message()
            ),
            EventKind::SessionDisconnected { reason, .. } => format!(" {reason}"),
            _ => String::new(),
        };
        self.print("event", format!("{}{more}", event.name()));
        Ok(())
    }
}
