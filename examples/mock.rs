//! Extractions without a browser, over scripted sources: a number that comes late, a LID alone, two
//! sources that disagree. Numbers are printed masked.
//!
//! Exit code: 0 done, 1 the number did not come in time, 2 wrong use.

mod support;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use whatsapp_phone::source::mock::MockSource;
use whatsapp_phone::{Assurance, ExtractError, Extraction, Extractor, Jid, RetryPolicy};

const NUMBER: &str = "628110000041:12@c.us";
const OTHER: &str = "628990000099@c.us";
const LID: &str = "123456789012345@lid";

/// How long the two that never get a number are given, from their first look.
const GRACE: Duration = Duration::from_secs(1);

/// Extractions over scripted sources, in real time
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// When the number becomes readable, counted from the start
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = up_to_a_day)]
    after: Duration,
    /// How to look: like the reference system, or as early as can be
    #[arg(long, value_enum, default_value = "eager")]
    policy: Policy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Classic,
    Eager,
}

fn up_to_a_day(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time > Duration::from_secs(24 * 60 * 60) => Err("at most 24h".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Args = support::args();
    let policy = match args.policy {
        Policy::Classic => RetryPolicy::classic(),
        Policy::Eager => RetryPolicy::eager(),
    };
    let short = policy
        .to_builder()
        .deadline(policy.backoff().initial_delay() + GRACE)
        .build()?;

    let page = || MockSource::new("page");
    let late = Extractor::builder()
        .source(page().number_at(args.after, NUMBER))
        .policy(policy);
    let lid: Jid = LID.parse()?;
    let lid_only = page().look(lid, Assurance::Confirmed);
    let hidden = Extractor::builder()
        .source(page().at(Duration::ZERO, lid_only))
        .policy(short.clone());
    let torn = Extractor::builder()
        .source(page().number_at(Duration::ZERO, NUMBER))
        .source(MockSource::new("cache").number_at(Duration::ZERO, OTHER))
        .policy(
            short
                .to_builder()
                .fallback_after_exhaustion(false)
                .build()?,
        );

    let (late, hidden, torn) = (late.build()?, hidden.build()?, torn.build()?);
    let (late, hidden, torn) = tokio::join!(late.extract(), hidden.extract(), torn.extract());
    let after = humantime::format_duration(args.after);
    println!("number after {after}: {}", outcome(&late));
    println!("LID alone: {}", outcome(&hidden));
    println!("two sources disagree: {}", outcome(&torn));
    Ok(ExitCode::from(u8::from(late.is_err())))
}

fn outcome(result: &Result<Extraction, ExtractError>) -> String {
    match result {
        Ok(found) => format!(
            "{}, {}, in look {} after {} ms",
            found.phone,
            found.assurance,
            found.attempt,
            found.elapsed.as_millis()
        ),
        Err(error) => format!("{}: {error}", error.code()),
    }
}
