#![doc = include_str!("METHOD.md")]
//!
//! ```text
//! cargo bench --bench lag --features testkit,cdp -- --runs 20 --json lag.json --svg lag.svg
//! cargo bench --bench lag --features testkit,cdp -- --runs 0 --cpu 20 --sessions 20
//! cargo bench --bench lag --features testkit,cdp -- --runs 0 --scenarios 3
//! ```

mod cpu;
mod figures;
mod methods;
mod plot;
#[cfg(feature = "cdp")]
mod puppeteer;
mod scenarios;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
#[cfg(feature = "cdp")]
use whatsapp_phone::source::cdp::CdpPage;
use whatsapp_phone::source::webdriver::{
    AttachOptions, DebuggerAddress, DriverProcess, OpenOptions, Page, Target,
};
use whatsapp_phone::testkit::standin::{Generation, PHONE, Scenario, StandIn};

use crate::figures::{Summary, ratio};
use crate::methods::{Method, Pages};

/// Empty round trips and readings of the page's clock after each run.
const ROUND_TRIPS: u32 = 25;
const CLOCK_READINGS: u32 = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Lag from "number readable on the page" to "number in the program", methods side by side.
#[derive(Debug, Parser)]
struct Args {
    /// Readiness times, each run by every method; 0 skips this part [default: 20]
    #[arg(long)]
    runs: Option<u32>,
    /// Which methods, comma-separated [default: all]
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Method::value_variants().to_vec(), hide_default_value = true)]
    methods: Vec<Method>,
    /// Seed of the readiness times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Readiness times lie between 0 and this
    #[arg(long, value_name = "TIME", default_value = "9s", value_parser = humantime::parse_duration)]
    spread: Duration,
    /// Measure processor time while waiting, for so many seconds; 0 skips this part
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    cpu: u64,
    /// Sessions that wait at once in that part
    #[arg(long, default_value_t = 20)]
    sessions: u32,
    /// Run every kind of page by `eager` and `classic`, so many times; 0 skips this part
    #[arg(long, value_name = "ROUNDS", default_value_t = 0)]
    scenarios: u32,
    /// Read a page that this script drives by Puppeteer, as often as `--runs` says
    #[cfg(feature = "cdp")]
    #[arg(long, value_name = "SCRIPT")]
    puppeteer: Option<PathBuf>,
    /// Write all samples and the summary here
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Write the plot here
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
    /// Passed by cargo to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(1)
        }
    }
}

async fn run(args: &Args) -> Outcome<()> {
    println!("{}", include_str!("METHOD.md"));
    // `cargo test --all-targets` runs benchmarks too, without cargo's `--bench`: once is enough then.
    let runs = args.runs.unwrap_or(if args.bench { 20 } else { 1 });
    let mut report = json!({
        "seed": args.seed,
        "spread_ms": args.spread.as_secs_f64() * 1e3,
        "machine": { "cores": cores(), "load_before": load() },
    });
    #[cfg(feature = "cdp")]
    if let Some(script) = &args.puppeteer {
        return puppeteer::measure(script, &readiness(runs, args.spread, args.seed)).await;
    }
    if runs > 0 {
        let lag = lag(args, runs).await?;
        lag.print();
        if let Some(path) = &args.svg {
            fs::write(path, plot::svg(&lag.series(), &lag.title()))?;
        }
        report["versions"] = lag.versions.clone();
        report["lag"] = lag.json();
    }
    if args.cpu > 0 {
        let mut parts = Vec::new();
        for &method in args.methods.iter().filter(|method| method.is_steady()) {
            let cost = cpu::measure(method, args.sessions, Duration::from_secs(args.cpu)).await?;
            cost.print();
            parts.push(cost.json());
        }
        report["cpu"] = parts.into();
    }
    if args.scenarios > 0 {
        let rows = scenarios::measure(args.scenarios).await?;
        scenarios::print(&rows);
        report["scenarios"] = rows.iter().map(scenarios::Row::json).collect();
    }
    report["machine"]["load_after"] = load().into();
    println!("cores: {}; load average after: {}", cores(), load());
    if let Some(path) = &args.json {
        fs::write(path, format!("{report:#}\n"))?;
    }
    Ok(())
}

/// The results of the first part.
struct Lag {
    runs: u32,
    versions: Value,
    /// Readiness time and lag, both in milliseconds, by method.
    samples: Vec<(Method, Vec<(f64, f64)>)>,
    floor: Vec<f64>,
    /// The same on the attached page.
    attached_floor: Vec<f64>,
    /// The page's clock less ours.
    clock: Vec<f64>,
}

async fn lag(args: &Args, runs: u32) -> Outcome<Lag> {
    let stand_in = StandIn::start(Scenario::never()).await?;
    let driver = DriverProcess::start().await?;
    let own = Page::open(&driver, options(&stand_in.url())).await?;
    let attach = AttachOptions::default().target(Target::at(&stand_in.url())?);
    let attached = Page::attach(&driver, debugger_address(&own)?, attach).await?;
    #[cfg(feature = "cdp")]
    let cdp = {
        let attach = AttachOptions::default().target(Target::at(&stand_in.url())?);
        CdpPage::attach(debugger_address(&own)?, attach).await?
    };
    let pages = Pages {
        own,
        attached,
        #[cfg(feature = "cdp")]
        cdp,
    };
    let page = &pages.own;
    let mut samples: BTreeMap<Method, Vec<(f64, f64)>> = BTreeMap::new();
    let mut lag = Lag {
        runs,
        versions: versions(page),
        samples: Vec::new(),
        floor: Vec::new(),
        attached_floor: Vec::new(),
        clock: Vec::new(),
    };
    let mut order = args.methods.clone();
    for (i, at) in readiness(runs, args.spread, args.seed)
        .into_iter()
        .enumerate()
    {
        eprintln!("run {} of {runs}: readable at {at:.0} ms", i + 1);
        for &method in &order {
            stand_in.set_scenario(Scenario::ready_after(Generation::Current, millis(at)));
            page.client().goto(&stand_in.url()).await?;
            let number = method
                .read(&pages)
                .await
                .map_err(|error| format!("{method}: {error}"))?;
            let returned = epoch_ms();
            if number != digits() {
                return Err(format!("{method} returned a wrong number").into());
            }
            let readable = timeout(Duration::from_secs(5), stand_in.wait_readable()).await?;
            samples
                .entry(method)
                .or_default()
                .push((at, returned - readable));
            between_runs(&pages, &mut lag).await?;
        }
        order.rotate_left(1);
    }
    pages.attached.close().await;
    pages.own.close().await;
    driver.stop().await?;
    lag.samples = samples.into_iter().collect();
    Ok(lag)
}

/// The address of an opened page's browser.
fn debugger_address(page: &Page) -> Outcome<DebuggerAddress> {
    let client = page.client();
    let chrome = client
        .capabilities()
        .and_then(|given| given.get("goog:chromeOptions"));
    let address = chrome.and_then(|chrome| chrome.get("debuggerAddress")?.as_str());
    Ok(address
        .ok_or("the driver names no debugger address")?
        .parse()?)
}

async fn between_runs(pages: &Pages, lag: &mut Lag) -> Outcome<()> {
    for _ in 0..ROUND_TRIPS {
        for (page, floor) in [
            (&pages.own, &mut lag.floor),
            (&pages.attached, &mut lag.attached_floor),
        ] {
            let start = Instant::now();
            page.client().execute("return 1", Vec::new()).await?;
            floor.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let client = pages.own.client();
    for _ in 0..CLOCK_READINGS {
        let before = epoch_ms();
        let clock = client
            .execute(
                "return performance.timeOrigin + performance.now()",
                Vec::new(),
            )
            .await?;
        let middle = f64::midpoint(before, epoch_ms());
        lag.clock.extend(clock.as_f64().map(|clock| clock - middle));
    }
    Ok(())
}

impl Lag {
    fn title(&self) -> String {
        format!(
            "From \"number readable on the page\" to \"number in the program\", {} runs each",
            self.runs
        )
    }

    /// The lags by name, the floor last.
    fn series(&self) -> Vec<(String, Vec<f64>)> {
        let lags = |runs: &[(f64, f64)]| runs.iter().map(|(_, lag)| *lag).collect();
        let methods = self
            .samples
            .iter()
            .map(|(method, runs)| (method.to_string(), lags(runs)));
        methods
            .chain([
                ("floor".to_owned(), self.floor.clone()),
                ("attached floor".to_owned(), self.attached_floor.clone()),
            ])
            .collect()
    }

    fn ratios(&self) -> Vec<(&'static str, f64)> {
        let series = self.series();
        let of = |name: &str| {
            let found = series.iter().find(|(found, _)| found == name);
            found.map(|(_, lags)| Summary::of(lags)).unwrap_or_default()
        };
        let (reference, eager, floor) = (of("reference"), of("eager"), of("floor"));
        vec![
            (
                "reference median / eager median",
                ratio(reference.median, eager.median),
            ),
            (
                "eager median / floor median",
                ratio(eager.median, floor.median),
            ),
            ("eager p95 / floor median", ratio(eager.p95, floor.median)),
            (
                "reference median / cdp median",
                ratio(reference.median, of("cdp").median),
            ),
            (
                "attached p95 / attached floor median",
                ratio(of("attached").p95, of("attached floor").median),
            ),
        ]
    }

    fn print(&self) {
        println!("Versions: {}", self.versions);
        println!("{}, in milliseconds:\n", self.title());
        println!("| method | runs | min | median | p95 | max |");
        println!("|---|---|---|---|---|---|");
        for (name, lags) in self.series() {
            let Summary {
                min,
                median,
                p95,
                max,
            } = Summary::of(&lags);
            println!(
                "| `{name}` | {} | {min:.1} | {median:.1} | {p95:.1} | {max:.1} |",
                lags.len()
            );
        }
        println!();
        for (what, ratio) in self
            .ratios()
            .into_iter()
            .filter(|(_, ratio)| ratio.is_finite())
        {
            println!("{what}: {ratio:.1}");
        }
        let clock = Summary::of(&self.clock);
        println!(
            "page's clock less ours, ms: median {:.2}, {:.2} to {:.2}\n",
            clock.median, clock.min, clock.max
        );
    }

    fn json(&self) -> Value {
        let methods = self.samples.iter().map(|(method, runs)| {
            let samples: Vec<_> = runs.iter().map(|(at, lag)| json!({ "readable_at_ms": at, "lag_ms": lag })).collect();
            let lags: Vec<_> = runs.iter().map(|(_, lag)| *lag).collect();
            json!({ "method": method.to_string(), "summary": Summary::of(&lags).json(), "samples": samples })
        });
        let ratios: serde_json::Map<_, _> = self
            .ratios()
            .into_iter()
            .map(|(what, ratio)| (what.to_owned(), json!(ratio)))
            .collect();
        json!({
            "runs": self.runs,
            "methods": methods.collect::<Vec<_>>(),
            "floor": { "samples": self.floor.len(), "summary": Summary::of(&self.floor).json() },
            "attached_floor": { "samples": self.attached_floor.len(), "summary": Summary::of(&self.attached_floor).json() },
            "clock_difference_ms": Summary::of(&self.clock).json(),
            "ratios": ratios,
        })
    }
}

/// One moment within each even share of the spread, in random order, in milliseconds.
fn readiness(runs: u32, spread: Duration, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let share = spread.as_secs_f64() * 1e3 / f64::from(runs);
    let mut times: Vec<_> = (0..runs)
        .map(|i| (f64::from(i) + random.f64()) * share)
        .collect();
    random.shuffle(&mut times);
    times
}

/// A headless browser at this page; as root without Chromium's sandbox, which root cannot have.
fn options(url: &str) -> OpenOptions {
    let target = Target::at(url).unwrap_or_default();
    let options = OpenOptions::default()
        .target(target)
        .url(url)
        .headless(true);
    if rustix::process::geteuid().is_root() {
        options.browser_arg("--no-sandbox")
    } else {
        options
    }
}

fn versions(page: &Page) -> Value {
    let client = page.client();
    let given = client.capabilities();
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned()
    };
    let driver = text(given.and_then(|given| given.get("chrome")?.get("chromedriverVersion")));
    json!({
        "whatsapp-phone": env!("CARGO_PKG_VERSION"),
        "chromium": text(given.and_then(|given| given.get("browserVersion"))),
        // A build's hash follows the number.
        "chromedriver": driver.split(' ').next(),
    })
}

/// The number of every scenario.
fn digits() -> &'static str {
    PHONE.split([':', '@']).next().unwrap_or(PHONE)
}

fn millis(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// The system's load averages, as it writes them.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Milliseconds since 1970, with fractions, to set beside the page's own clock.
fn epoch_ms() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
