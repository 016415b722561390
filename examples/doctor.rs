//! Shows which readers and guards work on a WhatsApp Web page, and why the others do not.
//!
//! Without arguments it starts the stand-in page of `testkit`, ChromeDriver and Chromium, and diagnoses
//! that. Exit code: 0 healthy, 1 not, 2 wrong use. A browser that does not close is reported on standard error.

#[path = "support/page.rs"]
mod page;
mod support;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use page::PageArgs;
use serde_json::json;
use whatsapp_phone::extract::ExtractError;
use whatsapp_phone::source::webdriver::Overrides;
use whatsapp_phone::testkit::standin::{Generation, Scenario};

/// Which readers work on this WhatsApp Web page, and why not?
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    page: PageArgs,
    /// How long to wait for the page to settle
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "45s")]
    deadline: Duration,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    let overrides = match args.page.overrides() {
        Ok(overrides) => overrides,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            return ExitCode::from(2);
        }
    };
    let is_healthy = match diagnose(&args, &overrides).await {
        Ok(is_healthy) => is_healthy,
        Err(error) => {
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            if args.json {
                let verdict = format!("the page cannot be read: {error}{cause}");
                let line = json!({"is_healthy": false, "code": error.code(), "page_state": error.page_state(), "verdict": verdict});
                println!("{line}");
            } else {
                eprintln!("the page cannot be read ({}): {error}{cause}", error.code());
            }
            false
        }
    };
    ExitCode::from(u8::from(!is_healthy))
}

/// Prints the diagnosis, and returns whether the page is healthy.
async fn diagnose(args: &Args, overrides: &Overrides) -> Result<bool, ExtractError> {
    let scenario = Scenario::ready(Generation::Current);
    let opened = args.page.open(scenario, overrides).await?;
    let diagnosis = opened.page.diagnose(args.deadline).await;
    if let Ok(diagnosis) = &diagnosis {
        let text = if args.json {
            json!(diagnosis).to_string()
        } else {
            diagnosis.to_string()
        };
        println!("{text}");
    }
    if let Err(error) = opened.close().await {
        eprintln!("the browser was not closed: {error}");
    }
    Ok(diagnosis?.is_healthy)
}
