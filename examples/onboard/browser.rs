//! The page in a browser, and the monitor that watches it.

use std::path::Path;
use std::time::Duration;

use whatsapp_phone::event::EventSink;
use whatsapp_phone::onboard::PageMonitor;
use whatsapp_phone::source::webdriver::{
    DriverProcess, OpenOptions, Page, Target, WebDriverSource,
};
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{SessionStore, Status, StatusWatcher};
use whatsapp_phone::testkit::standin::{Generation, LID, PHONE, Scenario, StandIn, Step};

use crate::Outcome;
use crate::config::Config;
use crate::steps::Steps;
use crate::storage::{session, sweep};

/// Whether the session got as far as its number. `sink` writes into `store`.
pub(crate) async fn onboard(
    config: &Config,
    store: &SqliteStore,
    sink: impl EventSink + 'static,
    steps: &Steps,
) -> Outcome<bool> {
    let session = session()?;
    let row = store.session(&session.session_id).await?;
    let row = row.ok_or("the session is not registered")?;
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
        has_number = follow(steps, watcher, store) => has_number?,
        () = sweep(store) => false,
    };
    page.close().await;
    if let Some(driver) = driver {
        driver.stop().await?;
    }
    Ok(has_number)
}

/// Prints every status until the session is unlinked after it was connected, or has failed.
async fn follow(steps: &Steps, mut watcher: StatusWatcher, store: &SqliteStore) -> Outcome<bool> {
    let mut was_connected = false;
    while let Some(change) = watcher.changed().await {
        steps.print_status(&change);
        match change.status {
            Status::Connected => {
                was_connected = true;
                if let Some(row) = store.session(&change.session.session_id).await? {
                    let phone = row.phone.map(|it| it.to_string());
                    let phone = phone.unwrap_or("no number".to_owned());
                    let text = format!("{}, {phone}, seq {:?}", row.status, row.last_seq);
                    steps.print("row", text);
                }
            }
            // The page may show its next QR code before the watcher is read.
            Status::Disconnected | Status::QrScanning if was_connected => return Ok(true),
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
