//! Measures readiness times on the stand-in page: eight sessions start at once, each in a browser of its
//! own, as after a restart of a service.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use tokio::time::timeout;
use whatsapp_phone::source::webdriver::{DriverProcess, OpenOptions, Page, Target};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SESSIONS: usize = 8;
/// A session that is not ready by then ends the measurement.
const LIMIT: Duration = Duration::from_secs(120);

/// Prints the file `standin.csv`.
#[tokio::main]
pub(crate) async fn run(rounds: u32) -> Outcome<()> {
    println!(
        "# Readiness of a linked session on the stand-in page (`Scenario::ready`, newest generation), in\n\
         # milliseconds from the navigation to the number. {SESSIONS} sessions start at once, {rounds} rounds.\n\
         # cargo run --example policy_lab --features testkit -- --measure {rounds}\n\
         ready_ms"
    );
    let driver = DriverProcess::start().await?;
    for _ in 0..rounds {
        let opened = try_join_all((0..SESSIONS).map(|_| open(&driver))).await?;
        let ready = try_join_all(opened.iter().map(|(stand_in, page)| ready(stand_in, page)));
        for millis in ready.await? {
            println!("{millis:.0}");
        }
        for (_, page) in opened {
            page.close().await;
        }
    }
    driver.stop().await?;
    Ok(())
}

async fn open(driver: &DriverProcess) -> Outcome<(StandIn, Page)> {
    let stand_in = StandIn::start(Scenario::never()).await?;
    let url = stand_in.url();
    let options = OpenOptions::default()
        .target(Target::at(&url)?)
        .url(&url)
        .headless(true);
    let options = match rustix::process::geteuid().is_root() {
        true => options.browser_arg("--no-sandbox"),
        false => options,
    };
    let page = Page::open(driver, options).await?;
    stand_in.set_scenario(Scenario::ready(Generation::Current));
    Ok((stand_in, page))
}

async fn ready(stand_in: &StandIn, page: &Page) -> Outcome<f64> {
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?;
    page.client().goto(&stand_in.url()).await?;
    let ready = timeout(LIMIT, stand_in.wait_readable()).await?;
    Ok(ready - start.as_secs_f64() * 1e3)
}
