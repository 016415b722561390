//! The life cycle of one session: the page shows a QR code, the phone accepts it, the number is found,
//! its row is written, a watcher sees it, and in the end the phone unlinks.
//!
//! Without arguments it brings all it needs: the stand-in page of `testkit`, ChromeDriver and Chromium,
//! and a SQLite file. The same as two processes, joined by a signed webhook:
//!
//! ```sh
//! echo "SESSION_STORAGE_PATH=sessions" >> onboard.env
//! echo "WHATSAPP_PHONE_WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)" >> onboard.env
//! echo "WHATSAPP_PHONE_ACCESS_TOKEN=$(openssl rand -hex 32)" >> onboard.env
//! echo "WHATSAPP_PHONE_WEBHOOK_URL=http://127.0.0.1:8080/webhooks/whatsapp" >> onboard.env
//! onboard receive --config onboard.env          # database, status, live stream
//! onboard send --config onboard.env --local     # page, outbox
//! ```
//!
//! Exit code: 0 done, 1 no number or an event that was not delivered, with the reason, 2 wrong use.

mod browser;
mod config;
mod metrics;
mod qr_codes;
mod receiver;
mod sender;
mod steps;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use config::{Config, InvalidConfig};
use steps::Steps;
use storage::Storage;
use traces::Traces;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::server::Api;
use whatsapp_phone::store::{StoreOptions, StoreSink};

/// Brings a session from its QR code to its row in a database, and on until it unlinks.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The part of the way that this process does
    #[arg(value_enum, default_value_t)]
    role: Role,
    /// Read settings from this file of NAME=value lines; the environment goes before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Let the receiver be at an http URL or a private address, for instance on this machine
    #[arg(long)]
    local: bool,
    /// Serve metrics to Prometheus at this address, for instance 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Send the spans to a collector of OpenTelemetry, for instance http://127.0.0.1:4318/v1/traces
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Role {
    /// All of it. Serves the status if WHATSAPP_PHONE_LISTEN is set
    #[default]
    Run,
    /// Watches the page, and sends every event to the receiver, by an outbox
    Send,
    /// Receives the events, keeps the database and serves the status, until SIGTERM or Ctrl-C
    Receive,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    // The databases hold phone numbers, so new files are accessible to this user alone.
    rustix::process::umask(0o077.into());
    match run(support::args()).await {
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
            ExitCode::from(if error.is::<InvalidConfig>() { 2 } else { 1 })
        }
    }
}

async fn run(args: Args) -> Outcome<bool> {
    let config = Config::read(args.config.as_deref())?;
    let traces = args.traces.as_deref().map(Traces::to).transpose()?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(log.with_filter(LevelFilter::from(config.log)))
        .with(traces.as_ref().map(Traces::layer))
        .init();
    if let Some(address) = args.metrics {
        metrics::serve(address).await?;
    }
    let is_done = match args.role {
        Role::Run => run_alone(&config).await,
        Role::Send => sender::run(&config, args.local).await,
        Role::Receive => receiver::run(&config).await.map(|()| true),
    };
    let sent = match traces {
        Some(traces) => traces.end().await,
        None => Ok(()),
    };
    // The session's own error matters more.
    let is_done = is_done?;
    sent.map(|()| is_done)
}

/// Page, database and routes in one process, without a webhook between them.
async fn run_alone(config: &Config) -> Outcome<bool> {
    let routes = config
        .listen
        .map(|at| Ok::<_, InvalidConfig>((at, config.tokens()?)));
    let routes = routes.transpose()?;
    let steps = Steps::start();
    let storage = Storage::open(config)?;
    let store = storage
        .store("sessions.db", StoreOptions::default())
        .await?;
    // The store decides; the screen shows what it has accepted.
    let sink = FanOut::after(StoreSink::new(store.clone())).observer(steps.clone());
    let onboarding = browser::onboard(config, &store, sink, &steps);
    match routes {
        None => onboarding.await,
        Some((at, tokens)) => tokio::select! {
            has_number = onboarding => has_number,
            served = receiver::serve(at, Api::new(store.clone(), tokens)) => served.map(|()| false),
        },
    }
}
