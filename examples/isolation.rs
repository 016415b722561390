//! Many sessions under one supervisor, of which some are killed, crash or panic: the others finish.
//!
//! Fifty sessions on scripted sources, or with `--chromium 6` six real browsers on the stand-in page.
//! In a terminal a table shows them live, with a line for each, or a character where it has too few
//! lines for that; elsewhere the table is printed at the end.
//!
//! Exit code: 0 done, 1 an undisturbed session did not get its number, 2 wrong use.

mod support;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::termios::tcgetwinsize;
use tokio::sync::oneshot;
use tokio::time::{interval, sleep};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::source::mock::MockSource;
use whatsapp_phone::source::webdriver::{
    DriverProcess, OpenOptions, Page, Target, WebDriverSource,
};
use whatsapp_phone::supervisor::{BoxError, Reason, ReasonKind, SessionState};
use whatsapp_phone::testkit::standin::{PHONE, Scenario, StandIn};
use whatsapp_phone::{
    Assurance, Extraction, Extractor, InfoSource, Jid, RetryPolicy, Session, Supervisor,
};

/// When a real page is disturbed, counted from the open page.
const DISTURBED_AFTER: Duration = Duration::from_millis(500);

/// Sessions side by side, of which some fail
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How many sessions, on scripted sources
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    sessions: u32,
    /// How many sessions, each in a real browser, in place of the scripted ones
    #[arg(long, value_name = "N", conflicts_with = "sessions", value_parser = clap::value_parser!(u32).range(1..=50))]
    chromium: Option<u32>,
    /// How many of them fail: killed, crashed and panicking in turns. Default: three of ten, or half
    /// of the real ones
    #[arg(long, value_name = "N")]
    failing: Option<u32>,
}

/// The fault that a session gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Killed,
    Crashes,
    Panics,
}

/// One session and its result.
struct Row {
    session: Session,
    fault: Option<Fault>,
    expected: Jid,
    found: Mutex<Option<Extraction>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Args = support::args();
    let count = args.chromium.unwrap_or(args.sessions);
    let usual = if args.chromium.is_some() {
        count / 2
    } else {
        count * 3 / 10
    };
    let failing = args.failing.unwrap_or(usual);
    if failing > count {
        eprintln!("error: --failing {failing} is more than there are sessions, {count}");
        return ExitCode::from(2);
    }
    // The supervisor reports panics; the output of the default hook would break up the table.
    std::panic::set_hook(Box::new(|_| {}));
    match run(count, failing, args.chromium.is_some(), &screen).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{}", support::masked(&format!("error: {error}")));
            ExitCode::from(1)
        }
    }
}

/// The terminal's columns and lines, where the output goes to one.
fn screen() -> Option<(usize, usize)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    // Some terminals do not report their size.
    let known = |size: u16, usual| if size == 0 { usual } else { usize::from(size) };
    Some((known(size.ws_col, 80), known(size.ws_row, 24)))
}

/// Whether all undisturbed sessions got their number.
async fn run(
    count: u32,
    failing: u32,
    is_real: bool,
    screen: &dyn Fn() -> Option<(usize, usize)>,
) -> Result<bool, BoxError> {
    let driver = match is_real {
        true => Some(Arc::new(DriverProcess::start().await?)),
        false => None,
    };
    let supervisor = Supervisor::builder().grace(Duration::from_secs(1)).build();
    let mut rows = Vec::new();
    for n in 0..count {
        // Evenly spread among the others, and in turns.
        let nth = u64::from(n) * u64::from(failing) / u64::from(count);
        let is_failing = nth != u64::from(n + 1) * u64::from(failing) / u64::from(count);
        let faults = [Fault::Killed, Fault::Crashes, Fault::Panics];
        let fault = is_failing.then(|| faults[usize::try_from(nth).unwrap_or(0) % faults.len()]);
        let expected: Jid = match is_real {
            true => PHONE.parse()?,
            false => format!("62811{n:07}@c.us").parse()?,
        };
        let row = Arc::new(Row {
            session: supervisor.start(format!("session {}", n + 1))?,
            fault,
            expected,
            found: Mutex::new(None),
        });
        match &driver {
            Some(driver) => real(&row, Arc::clone(driver)),
            None => scripted(&row, n)?,
        }
        rows.push(row);
    }
    watch(&rows, screen).await;
    supervisor.stop(Duration::from_secs(5)).await;
    let is_good = summary(&rows);
    if let Some(driver) = driver.and_then(Arc::into_inner) {
        driver.stop().await?;
    }
    Ok(is_good)
}

/// A session on a source that plays a script.
fn scripted(row: &Arc<Row>, n: u32) -> Result<(), BoxError> {
    // Readable, or disturbed, at some time within three seconds.
    let at = Duration::from_millis(u64::from(500 + n * 7_919 % 2_500));
    let failed = |code: &'static str| {
        let failure = ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code);
        MockSource::new("page").at(at, failure)
    };
    let source = match row.fault {
        None => {
            let page = MockSource::new("page");
            let found = page.look(row.expected.clone(), Assurance::Confirmed);
            page.at(at, found)
        }
        Some(Fault::Killed) => failed("connection lost"),
        Some(Fault::Crashes) => failed("tab crashed"),
        Some(Fault::Panics) => {
            drop(row.session.spawn("panicking", panics(at)));
            MockSource::new("page")
        }
    };
    let extractor = extractor(source)?;
    let number = row
        .session
        .spawn("number", async move { extractor.extract().await });
    collect(row, number);
    Ok(())
}

/// A session in a browser of its own.
fn real(row: &Arc<Row>, driver: Arc<DriverProcess>) {
    let fault = row.fault;
    let (opened, page) = oneshot::channel::<Page>();
    let number = row.session.spawn("number", async move {
        // One that is disturbed must not have its number before.
        let scenario = match fault {
            None => {
                Scenario::provisional_then_confirmed(Duration::from_secs(1), Duration::from_secs(2))
            }
            Some(_) => Scenario::never(),
        };
        let stand_in = StandIn::start(scenario).await?;
        let mut options = OpenOptions::default()
            .target(Target::at(&stand_in.url())?)
            .url(stand_in.url())
            .headless(true);
        if geteuid().is_root() {
            // Chromium refuses its sandbox to root. A service should run as a user of its own.
            options = options.browser_arg("--no-sandbox");
        }
        let page = Page::open(&driver, options).await?;
        drop(opened.send(page.clone()));
        let found = extractor(WebDriverSource::all(&page))?.extract().await?;
        page.close().await;
        Ok::<_, BoxError>(found)
    });
    collect(row, number);
    let Some(fault) = fault else { return };
    let disturb = async move {
        let client = page.await?.client();
        sleep(DISTURBED_AFTER).await;
        match fault {
            Fault::Panics => panics(Duration::ZERO).await,
            // Its page fails, not this task.
            Fault::Crashes => {
                drop(client.goto("chrome://crash").await);
                Ok(())
            }
            Fault::Killed => {
                let pid = client
                    .capabilities()
                    .and_then(|given| given.get("goog:processID")?.as_i64());
                let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
                Ok(kill_process(
                    pid.ok_or("the browser has no process id")?,
                    Signal::KILL,
                )?)
            }
        }
    };
    drop(row.session.spawn("panicking", disturb));
}

fn extractor(source: impl InfoSource + 'static) -> Result<Extractor, BoxError> {
    // Many browsers on few cores take their time.
    let policy = RetryPolicy::builder()
        .deadline(Duration::from_secs(30))
        .build()?;
    Ok(Extractor::builder().source(source).policy(policy).build()?)
}

#[allow(clippy::panic)] // that is what it is for
async fn panics(after: Duration) -> Result<(), BoxError> {
    sleep(after).await;
    panic!("a panicking task, as planned")
}

/// Waits for a session's number, notes it and ends the session.
fn collect(row: &Arc<Row>, number: whatsapp_phone::supervisor::Task<Extraction>) {
    let row = Arc::clone(row);
    tokio::spawn(async move {
        if let Ok(found) = number.await {
            *row.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
        // The session is over, with or without a number.
        row.session.end(Duration::from_secs(1)).await;
    });
}

impl Row {
    fn found(&self) -> Option<Extraction> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_right(&self) -> bool {
        self.found()
            .is_some_and(|found| Ok(found.phone) == self.expected.phone_number())
    }

    fn line(&self) -> String {
        let plan = match self.fault {
            None => "left alone",
            Some(Fault::Killed) => "killed",
            Some(Fault::Crashes) => "crashes",
            Some(Fault::Panics) => "panics",
        };
        let outcome = match (self.found(), self.session.state()) {
            (Some(found), _) => {
                let right = if self.is_right() {
                    ""
                } else {
                    ", the wrong one"
                };
                format!(
                    "{} after {:.1} s{right}",
                    found.phone,
                    found.elapsed.as_secs_f64()
                )
            }
            (None, SessionState::Live) => "waits".to_owned(),
            (None, state) => state.to_string(),
        };
        format!("{:<14}{plan:<12}{outcome}", self.session.id())
    }

    /// The same in one character.
    fn cell(&self) -> char {
        match (self.found(), self.session.state(), self.fault) {
            (Some(_), ..) if self.is_right() => '+',
            (Some(_), ..) => '!',
            (None, SessionState::Live, _) => '.',
            (None, _, Some(Fault::Killed)) => 'k',
            (None, _, Some(Fault::Crashes)) => 'c',
            (None, _, Some(Fault::Panics)) => 'p',
            (None, _, None) => '-',
        }
    }
}

/// The rows as they fit on a screen, whose last line is the cursor's: lines that wrap or scroll could not
/// be drawn over.
fn frame(rows: &[Arc<Row>], (columns, lines): (usize, usize)) -> Vec<String> {
    let (width, height) = (columns.saturating_sub(1).max(1), lines.saturating_sub(1));
    let cut = |line: &str| line.chars().take(width).collect();
    if rows.len() <= height {
        return rows.iter().map(|row| cut(&row.line())).collect();
    }
    let cells: Vec<_> = rows.iter().map(|row| row.cell()).collect();
    let legend = ". waits  + has its number  k killed  c crashed  p panicked  - without  ! wrong";
    let cells = cells.chunks(width).map(|cells| cells.iter().collect());
    cells.chain([cut(legend)]).take(height).collect()
}

/// Returns when all have ended; shows them until then, if standard error is a terminal.
async fn watch(rows: &[Arc<Row>], screen: &dyn Fn() -> Option<(usize, usize)>) {
    let mut ticks = interval(Duration::from_millis(100));
    let mut drawn = 0;
    loop {
        ticks.tick().await;
        let is_over = rows.iter().all(|row| row.session.state().is_ended());
        if let Some(screen) = screen() {
            let up = drawn.min(screen.1.saturating_sub(1));
            if up > 0 {
                print!("\x1b[{up}A");
            }
            let lines = frame(rows, screen);
            lines.iter().for_each(|line| println!("\x1b[2K{line}"));
            print!("\x1b[J");
            drawn = lines.len();
            drop(io::stdout().flush());
        } else if is_over {
            rows.iter().for_each(|row| println!("{}", row.line()));
        }
        if is_over {
            return;
        }
    }
}

/// Prints the table. Returns whether all undisturbed sessions have their number.
fn summary(rows: &[Arc<Row>]) -> bool {
    let alone = || rows.iter().filter(|row| row.fault.is_none());
    let right = alone().filter(|row| row.is_right()).count();
    let mut reasons = BTreeMap::<String, u32>::new();
    for row in rows.iter().filter(|row| row.fault.is_some()) {
        *reasons
            .entry(label(row.session.state().reason()))
            .or_default() += 1;
    }
    let reasons: Vec<_> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    println!(
        "{right} of {} left alone finished with the right number; of {} disturbed: {}",
        alone().count(),
        rows.len() - alone().count(),
        if reasons.is_empty() {
            "none".to_owned()
        } else {
            reasons.join(", ")
        },
    );
    right == alone().count()
}

fn label(reason: Option<&Reason>) -> String {
    match reason {
        None => "not ended".to_owned(),
        Some(reason) => match (reason.class(), reason.rule()) {
            (Some(class), Some(rule)) => format!("{class} ({rule})"),
            _ if reason.kind() == ReasonKind::Requested => "without a number".to_owned(),
            _ => reason.kind().to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn undisturbed_sessions_get_their_numbers_with_and_without_a_screen() {
        for screen in [None, Some((80, 24)), Some((20, 5)), Some((0, 0))] {
            assert!(run(50, 15, false, &|| screen).await.unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_is_no_larger_than_its_screen() {
        let supervisor = Supervisor::new();
        let row = |n: u32| Row {
            session: supervisor.start(format!("session {n}")).unwrap(),
            fault: (n % 10 == 1).then_some(Fault::Killed),
            expected: PHONE.parse().unwrap(),
            found: Mutex::new(None),
        };
        let rows: Vec<_> = (1..=50).map(|n| Arc::new(row(n))).collect();
        for row in &rows[..15] {
            row.session.end(Duration::ZERO).await;
        }
        for screen in [
            (80, 24),
            (80, 51),
            (200, 60),
            (30, 10),
            (10, 4),
            (1, 1),
            (0, 0),
        ] {
            let lines = frame(&rows, screen);
            assert!(lines.len() < screen.1.max(1), "{screen:?}: {lines:?}");
            let is_narrow = |line: &String| line.chars().count() < screen.0.max(2);
            assert!(lines.iter().all(is_narrow), "{screen:?}: {lines:?}");
        }
        assert_eq!(frame(&rows, (80, 51)).len(), 50);
        let cells = "k---------k----...................................";
        assert_eq!(frame(&rows, (80, 24))[0], cells);
        assert_eq!(frame(&rows, (30, 24))[..2], [&cells[..29], &cells[29..]]);
    }
}
