//! Prints the phone number that a WhatsApp Web page belongs to, and how it was found.
//!
//! Without arguments it starts the stand-in page of `testkit`, ChromeDriver and Chromium, and reads
//! that. Exit code: 0 done, 1 no answer with the reason, 2 wrong use.

mod support;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use serde_json::json;
use whatsapp_phone::extract::{ExtractError, Extraction, Extractor, PhoneExtractor};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, DriverProcess, OpenOptions, Page, Target, WebDriverSource,
};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};

/// Which phone number does this WhatsApp Web session belong to?
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Join the running Chrome with this debugging address, and read its tab at the origin
    #[arg(long, value_name = "HOST:PORT", value_parser = debugger_address)]
    attach: Option<DebuggerAddress>,
    /// Use this WebDriver server instead of a ChromeDriver of our own
    #[arg(long, value_name = "URL", value_parser = webdriver_url)]
    webdriver: Option<String>,
    /// Open this page instead of the stand-in, and believe only its origin. With --attach the
    /// default is https://web.whatsapp.com
    #[arg(long, value_name = "URL", value_parser = web_origin)]
    origin: Option<String>,
    /// Of the tabs at the origin, take the one with this text in its URL
    #[arg(long, value_name = "TEXT")]
    url_contains: Option<String>,
    /// How to look: like the reference system, or as early as can be
    #[arg(long, value_enum, default_value = "eager")]
    policy: Policy,
    /// The least that counts as found
    #[arg(long, value_enum, default_value = "unverified")]
    accept: Accept,
    /// When to give up, counted from the open page, for instance 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Classic,
    Eager,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Accept {
    Provisional,
    Unverified,
    Confirmed,
}

fn debugger_address(text: &str) -> Result<DebuggerAddress, String> {
    text.parse()
        .map_err(|error: ProtocolFailure| error.to_string())
}

fn webdriver_url(url: &str) -> Result<String, &'static str> {
    match Target::at(url) {
        Ok(_) => Ok(url.to_owned()),
        Err(_) => Err("not an http or https URL; write for instance http://127.0.0.1:9515"),
    }
}

fn web_origin(url: &str) -> Result<String, String> {
    Target::at(url)
        .map(|_| url.to_owned())
        .map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    let policy = match policy(&args) {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            return ExitCode::from(2);
        }
    };
    match run(&args, policy).await {
        Ok((found, returned_at)) => print_found(&found, returned_at, args.json),
        Err(error) => {
            print_error(&error, args.json);
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

fn policy(args: &Args) -> Result<RetryPolicy, impl Error> {
    let policy = match args.policy {
        Policy::Classic => RetryPolicy::classic(),
        Policy::Eager => RetryPolicy::eager(),
    };
    match args.deadline {
        Some(deadline) => policy.to_builder().deadline(deadline).build(),
        None => policy.to_builder().build(),
    }
}

/// Extracts the number. Returns it with the moment at which `extract` returned, in milliseconds since 1970.
async fn run(args: &Args, policy: RetryPolicy) -> Result<(Extraction, f64), ExtractError> {
    // The stand-in and the driver live as long as this function.
    let stand_in = match (&args.origin, &args.attach) {
        (None, None) => Some(
            StandIn::start(scenario())
                .await
                .map_err(|error| failure(&error))?,
        ),
        _ => None,
    };
    let driver = match &args.webdriver {
        Some(_) => None,
        None => Some(DriverProcess::start().await?),
    };
    let url = args
        .origin
        .clone()
        .or_else(|| stand_in.as_ref().map(StandIn::url));
    let mut target = match &url {
        Some(url) => Target::at(url)?,
        None => Target::default(),
    };
    if let Some(text) = &args.url_contains {
        target = target.url_contains(text);
    }
    let page = open(args, driver.as_ref(), target, url).await?;
    let accept = match args.accept {
        Accept::Provisional => Assurance::Provisional,
        Accept::Unverified => Assurance::Unverified,
        Accept::Confirmed => Assurance::Confirmed,
    };
    let source = WebDriverSource::all(&page);
    let extractor = Extractor::builder()
        .source(source)
        .policy(policy)
        .accept(accept)
        .build()?;
    let outcome = extractor.extract().await;
    let returned_at = epoch_ms();
    page.close().await;
    if let Some(driver) = driver {
        driver.stop().await?;
    }
    Ok((outcome?, returned_at))
}

async fn open(
    args: &Args,
    driver: Option<&DriverProcess>,
    target: Target,
    url: Option<String>,
) -> Result<Page, ProtocolFailure> {
    if let Some(address) = args.attach.clone() {
        let options = AttachOptions::default().target(target);
        return match (driver, &args.webdriver) {
            (Some(driver), _) => Page::attach(driver, address, options).await,
            (None, webdriver) => {
                Page::attach_at(webdriver.as_deref().unwrap_or_default(), address, options).await
            }
        };
    }
    let mut options = OpenOptions::default().target(target).headless(true);
    if let Some(url) = url {
        options = options.url(url);
    }
    if rustix::process::geteuid().is_root() {
        // Chromium refuses its sandbox to root. A service should run as a user of its own instead.
        options = options.browser_arg("--no-sandbox");
    }
    match (driver, &args.webdriver) {
        (Some(driver), _) => Page::open(driver, options).await,
        (None, webdriver) => Page::open_at(webdriver.as_deref().unwrap_or_default(), options).await,
    }
}

/// A user scans a QR code: the number comes after a second, the confirmed connection after two.
fn scenario() -> Scenario {
    Scenario::provisional_then_confirmed(Duration::from_secs(1), Duration::from_secs(2))
}

fn print_found(found: &Extraction, returned_at: f64, as_json: bool) {
    let Extraction {
        phone,
        jid,
        lid,
        assurance,
        source,
        reader,
        attempt,
        elapsed,
        ..
    } = found;
    if as_json {
        let line = json!({
            "phone": phone, "jid": jid, "lid": lid, "assurance": assurance, "source": source, "reader": reader,
            "attempt": attempt, "elapsed_ms": elapsed.as_millis(), "returned_at_epoch_ms": returned_at,
        });
        println!("{line}");
    } else {
        println!("{}", phone.reveal());
        println!(
            "{assurance}, read by {reader} of {source} in look {attempt} after {} ms",
            elapsed.as_millis()
        );
    }
}

fn print_error(error: &ExtractError, as_json: bool) {
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    if as_json {
        let line = json!({
            "error": "phone_extraction_failed", "code": error.code(), "message": format!("{error}{cause}"),
            "page_state": error.page_state(), "attempts": error.attempts(),
            "elapsed_ms": error.elapsed().as_millis(),
        });
        println!("{line}");
    } else {
        eprintln!("no phone number ({}): {error}{cause}", error.code());
    }
}

/// Returns milliseconds since 1970, with fractions, comparable with the page's own clock.
fn epoch_ms() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn failure(error: &std::io::Error) -> ExtractError {
    ProtocolFailure::from_error(Site::Unknown, error)
        .with_code("misconfigured")
        .into()
}
