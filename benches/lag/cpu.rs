//! The cost of waiting: the processor time of many sessions that wait at once.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use whatsapp_phone::source::webdriver::{DriverProcess, Page};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};

use crate::methods::Method;
use crate::{Outcome, load, options};

/// The delay before pages, and later waits, are measured.
const SETTLE: Duration = Duration::from_secs(3);

const PARTS: [&str; 3] = ["browser", "driver", "ours"];
const BROWSER: usize = 0;
const DRIVER: usize = 1;
const OURS: usize = 2;

/// Seconds of processor time for each second of the clock, by part.
type Rates = [f64; 3];

#[derive(Debug)]
pub(crate) struct Cost {
    method: Method,
    sessions: u32,
    time: Duration,
    idle: Rates,
    waiting: Rates,
}

/// Opens the sessions, takes their processor time idle, then waiting by this method.
pub(crate) async fn measure(method: Method, sessions: u32, time: Duration) -> Outcome<Cost> {
    let stand_in = StandIn::start(Scenario::never()).await?;
    let driver = DriverProcess::start().await?;
    let mut pages = Vec::new();
    for _ in 0..sessions {
        match Page::open(&driver, options(&stand_in.url())).await {
            Ok(page) => pages.push(page),
            Err(error) if pages.is_empty() => return Err(error.into()),
            Err(error) => {
                eprintln!("no more than {} browsers open here: {error}", pages.len());
                break;
            }
        }
    }
    let sessions = u32::try_from(pages.len())?;
    eprintln!(
        "{method}: {sessions} pages are open; load average {}",
        load()
    );
    sleep(SETTLE).await;
    let idle = rates(driver.id(), time).await?;

    let deadline = 2 * (SETTLE + time) + Duration::from_secs(60);
    let mut waits = JoinSet::new();
    for page in &pages {
        let source = method.source(page, &stand_in.url()).await?;
        waits.spawn(async move {
            let outcome = method.extract(source, Some(deadline)).await;
            outcome.map_err(|error| error.to_string())
        });
    }
    sleep(SETTLE).await;
    let waiting = rates(driver.id(), time).await?;
    if let Some(outcome) = waits.try_join_next() {
        return Err(format!("a wait ended before it should: {outcome:?}").into());
    }
    waits.shutdown().await;
    for page in pages {
        page.close().await;
    }
    driver.stop().await?;
    Ok(Cost {
        method,
        sessions,
        time,
        idle,
        waiting,
    })
}

impl Cost {
    /// Percent of one core for each session, above idle.
    fn percent(&self, part: usize) -> f64 {
        (self.waiting[part] - self.idle[part]) / f64::from(self.sessions) * 100.0
    }

    fn total(&self) -> f64 {
        (0..PARTS.len()).map(|part| self.percent(part)).sum()
    }

    pub(crate) fn print(&self) {
        let Self {
            method,
            sessions,
            time,
            idle,
            waiting,
        } = self;
        println!(
            "Processor time, {sessions} sessions waiting by `{method}`, {} s:\n",
            time.as_secs()
        );
        println!("| part | idle, cores | waiting, cores | above idle, % of one core a session |");
        println!("|---|---|---|---|");
        for (part, name) in PARTS.iter().enumerate() {
            println!(
                "| {name} | {:.3} | {:.3} | {:.2} |",
                idle[part],
                waiting[part],
                self.percent(part)
            );
        }
        let sum = |rates: &Rates| rates.iter().sum::<f64>();
        println!(
            "| all | {:.3} | {:.3} | {:.2} |\n",
            sum(idle),
            sum(waiting),
            self.total()
        );
    }

    pub(crate) fn json(&self) -> Value {
        let by_part = |value: &dyn Fn(usize) -> f64| -> Value {
            let parts = PARTS.iter().enumerate();
            parts
                .map(|(part, name)| ((*name).to_owned(), json!(value(part))))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        json!({
            "method": self.method.to_string(),
            "sessions": self.sessions,
            "seconds": self.time.as_secs(),
            "idle_cores": by_part(&|part| self.idle[part]),
            "waiting_cores": by_part(&|part| self.waiting[part]),
            "percent_of_a_core_per_session": by_part(&|part| self.percent(part)),
            "percent_of_a_core_per_session_all": self.total(),
        })
    }
}

async fn rates(driver: u32, time: Duration) -> Outcome<Rates> {
    let (start, before) = (Instant::now(), processes(driver)?);
    sleep(time).await;
    let (elapsed, after) = (start.elapsed(), processes(driver)?);
    let hertz = f64::from(u32::try_from(rustix::param::clock_ticks_per_second())?);
    let mut rates = Rates::default();
    for (pid, (part, ticks)) in after {
        let spent = ticks - before.get(&pid).map_or(0.0, |(_, before)| *before);
        rates[part] += spent / hertz / elapsed.as_secs_f64();
    }
    Ok(rates)
}

/// This process, the driver, and every other process of its group or descended from it: part, and
/// user and system time in clock ticks.
fn processes(driver: u32) -> Outcome<HashMap<u32, (usize, f64)>> {
    let ours = std::process::id();
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc").map_err(|_| "processor time needs Linux's /proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = Stat::read(pid)
        {
            all.insert(pid, stat);
        }
    }
    let belongs = |mut pid: u32| {
        while let Some(stat) = all.get(&pid) {
            if pid == driver || stat.group == driver {
                return true;
            }
            pid = stat.parent;
        }
        false
    };
    let part = |pid: u32| match pid {
        _ if pid == ours => Some(OURS),
        _ if pid == driver => Some(DRIVER),
        _ => belongs(pid).then_some(BROWSER),
    };
    Ok(all
        .iter()
        .filter_map(|(pid, stat)| Some((*pid, (part(*pid)?, stat.ticks))))
        .collect())
}

struct Stat {
    parent: u32,
    group: u32,
    ticks: f64,
}

impl Stat {
    /// `None` for a process that has ended meanwhile.
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            ticks: ticks(11)? + ticks(12)?,
        })
    }
}
