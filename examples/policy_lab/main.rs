//! Compares policies: how often they find the number, when, how late, and with how many looks.
//!
//! Every policy runs in the crate's own extractor on paused time, over the same readiness times. The
//! scripted source takes no time to answer; `benches/README.md` has the time that a look takes in a
//! browser. Exit code: 0 done, 1 not done with the reason, 2 wrong use.

mod figures;
#[cfg(all(feature = "testkit", feature = "webdriver"))]
mod measure;
mod plots;
mod policies;
mod published;
mod readiness;
mod report;
mod simulate;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::figures::Summary;
use crate::policies::Entry;
use crate::readiness::Readiness;
use crate::report::{Comparison, Row};

/// Compares policies over readiness times: when the number becomes readable, from the start
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Readiness times: `reference` (fitted to its published figures, an assumption), `standin`
    /// (measured on the stand-in page), or a CSV file with a column `ready_ms`
    #[arg(
        long,
        value_name = "NAME|FILE",
        value_delimiter = ',',
        default_value = "reference,standin"
    )]
    readiness: Vec<String>,
    /// One more policy, in the form of configuration files: slow={"interval":"1s"}
    #[arg(long, value_name = "NAME=JSON", value_parser = policies::parse)]
    policy: Vec<Entry>,
    /// Runs of each policy on `reference`. Measured times run once each
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    samples: u32,
    /// Equal seeds give equal results
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write CSV and plots into this directory
    #[arg(long, value_name = "DIRECTORY", default_value = "target/policy_lab")]
    out: PathBuf,
    /// Measure `standin.csv` anew: print the readiness times of so many rounds of eight sessions
    #[cfg(all(feature = "testkit", feature = "webdriver"))]
    #[arg(long, value_name = "ROUNDS", exclusive = true)]
    measure: Option<u32>,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args: Args = support::args();
    #[cfg(all(feature = "testkit", feature = "webdriver"))]
    if let Some(rounds) = args.measure {
        return ended(measure::run(rounds));
    }
    let samples = usize::try_from(args.samples).unwrap_or(usize::MAX);
    let inputs = policies::all(&args.policy).and_then(|policies| {
        Ok((
            policies,
            readiness::all(&args.readiness, samples, args.seed)?,
        ))
    });
    let (policies, readiness) = match inputs {
        Ok(inputs) => inputs,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            return ExitCode::from(2);
        }
    };
    ended(run(&args, &policies, readiness))
}

fn ended(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            ExitCode::from(1)
        }
    }
}

fn run(args: &Args, policies: &[Entry], readiness: Vec<Readiness>) -> Outcome<()> {
    let runs: usize = readiness.iter().map(|each| each.times.len()).sum();
    let style = "{bar:40} {pos}/{len} extractions, {eta} left";
    let bar = ProgressBar::new((runs * policies.len()) as u64)
        .with_style(ProgressStyle::with_template(style)?);
    let mut comparisons = Vec::new();
    for each in readiness {
        comparisons.push(compare(each, policies, args.seed, &bar)?);
    }
    bar.finish_and_clear();

    fs::create_dir_all(&args.out)
        .map_err(|error| format!("cannot make {}: {error}", args.out.display()))?;
    let write = |name: &str, text: &str| write(&args.out, name, text);
    write("results.csv", &report::csv(&comparisons))?;
    for comparison in &comparisons {
        println!("Readiness `{}`, {}", comparison.name, comparison.origin);
        println!("{}\n", comparison.table());
        write(
            &format!("{}-time.svg", comparison.name),
            &plots::time(comparison)?,
        )?;
        write(
            &format!("{}-lag.svg", comparison.name),
            &plots::lag(comparison)?,
        )?;
        if comparison.name == "reference" {
            println!("The reference's published figures, and this simulation of them:");
            println!("{}\n", report::published(comparison));
            write("published.svg", &plots::published(comparison)?)?;
        }
    }
    println!(
        "In brackets: 95 % confidence intervals (Wilson for shares, order statistics for medians).\n\
         Time: from the start to the number, over all runs; - if the number was not found.\n\
         Lag: from readable to returned, over the runs that found it. A scripted look takes no time.\n\
         CSV and plots: {}",
        args.out.display()
    );
    Ok(())
}

fn compare(
    readiness: Readiness,
    policies: &[Entry],
    seed: u64,
    bar: &ProgressBar,
) -> Outcome<Comparison> {
    let Readiness {
        name,
        origin,
        times,
    } = readiness;
    let mut rows = Vec::new();
    for Entry {
        name,
        policy,
        is_plotted,
    } in policies
    {
        let done = |runs| bar.inc(runs as u64);
        let runs = simulate::simulate(policy, &times, seed, &done)
            .map_err(|error| format!("{name}: {error}"))?;
        rows.push(Row {
            policy: name.clone(),
            is_plotted: *is_plotted,
            summary: Summary::of(&runs),
        });
    }
    let mut ready: Vec<_> = times.iter().flatten().map(Duration::as_secs_f64).collect();
    ready.sort_by(f64::total_cmp);
    Ok(Comparison {
        name,
        origin: format!("{} sessions, {origin}", times.len()),
        ready,
        rows,
    })
}

/// Writes a file that is never seen half written.
fn write(directory: &Path, name: &str, text: &str) -> Outcome<()> {
    let path = directory.join(name);
    let draft = directory.join(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
