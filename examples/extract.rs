//! Prints the phone number that a WhatsApp Web page belongs to, and how it was found.
//!
//! Without arguments it starts the stand-in page of `testkit`, ChromeDriver and Chromium, and reads
//! that. Exit code: 0 done, 1 no answer with the reason, 2 wrong use.

#[path = "support/page.rs"]
mod page;
#[path = "support/qr.rs"]
mod qr;
mod support;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use serde_json::json;
use whatsapp_phone::extract::{ExtractError, Extraction, Extractor};
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance;
use whatsapp_phone::source::webdriver::Overrides;
use whatsapp_phone::testkit::standin::Scenario;

use page::PageArgs;

/// Which phone number does this WhatsApp Web session belong to?
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    page: PageArgs,
    /// When to look: on the schedule of the Node recipe (classic), or as soon as possible (eager)
    #[arg(long, value_enum, default_value = "eager")]
    policy: Policy,
    /// The least that counts as found
    #[arg(long, value_enum, default_value = "unverified")]
    accept: Accept,
    /// When to give up, counted from the open page, for instance 10s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    deadline: Option<Duration>,
    /// Until the number is found, show the page's QR code on standard error
    #[arg(long)]
    qr: bool,
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

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    let wrong_use = |error: &dyn Error| {
        eprintln!("{}", support::masked(&format!("error: {error}")));
        ExitCode::from(2)
    };
    let policy = match policy(&args) {
        Ok(policy) => policy,
        Err(error) => return wrong_use(&error),
    };
    let overrides = match args.page.overrides() {
        Ok(overrides) => overrides,
        Err(error) => return wrong_use(&error),
    };
    match run(&args, policy, &overrides).await {
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
async fn run(
    args: &Args,
    policy: RetryPolicy,
    overrides: &Overrides,
) -> Result<(Extraction, f64), ExtractError> {
    let opened = args.page.open(scenario(), overrides).await?;
    let accept = match args.accept {
        Accept::Provisional => Assurance::Provisional,
        Accept::Unverified => Assurance::Unverified,
        Accept::Confirmed => Assurance::Confirmed,
    };
    let source = opened.page.source();
    let extractor = Extractor::builder()
        .source(source)
        .policy(policy)
        .accept(accept)
        .build()?;
    let show = async {
        match args.qr {
            true => qr::show(&opened.page).await,
            false => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = extractor.extract() => outcome,
        never = show => match never {},
    };
    let returned_at = epoch_ms();
    opened.close().await?;
    Ok((outcome?, returned_at))
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
