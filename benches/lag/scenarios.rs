//! Measures the time from "the number may be taken" to "returned" on every kind of page, to show whether
//! `eager` is ever late by a second, or later than `classic`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use whatsapp_phone::source::webdriver::{DriverProcess, Page, WebDriverSource};
use whatsapp_phone::testkit::standin::{
    FORMER_PHONE, Generation, PHONE, Scenario, StandIn, Step, WidForm,
};

use crate::figures::Summary;
use crate::methods::Method;
use crate::{Outcome, digits, epoch_ms, options};

/// When the number may be taken, after the page's load: early; just before a look of `classic`, which
/// is its best case; between two of its looks.
const TIMES: [Duration; 3] = [
    Duration::from_millis(900),
    Duration::from_millis(2480),
    Duration::from_millis(3300),
];

/// The time before it at which another step happens, in scenarios that have one.
const BEFORE: Duration = Duration::from_millis(500);

/// A page, which reports the time from which its number may be taken.
struct Case {
    name: String,
    scenario: Scenario,
}

/// The results of one case: lags in milliseconds, by `eager` and by `classic`, in pairs.
#[derive(Debug)]
pub(crate) struct Row {
    name: String,
    lags: Vec<(f64, f64)>,
}

fn cases(at: Duration) -> Vec<Case> {
    let early = at - BEFORE;
    let ready = || Scenario::ready_after(Generation::Current, at);
    let case = |name: &str, scenario| Case {
        name: name.to_owned(),
        scenario,
    };
    let known = Generation::ALL
        .iter()
        .copied()
        .filter(|it| *it != Generation::Blank);
    let generations = known.map(|generation| {
        let name = format!("generation {generation:?}");
        case(&name, Scenario::ready_after(generation, at))
    });
    let heals = Scenario::throwing(Generation::Current).at(at, Step::Throwing(false));
    let others = [
        case(
            "provisional, then confirmed",
            Scenario::provisional_then_confirmed(early, at),
        ),
        case(
            "another number first",
            Scenario::number_changes(FORMER_PHONE, early, PHONE, at),
        ),
        case("LID first", Scenario::lid_first(early, at)),
        case("getters throw at first", heals),
        case("reload on the way", Scenario::reload_at(early, BEFORE)),
        case("storage alone, getters are proxies", ready().with_proxy()),
        case("`Store` injected beside it", ready().with_injected_store()),
        case("getters give text", ready().with_wid_form(WidForm::Text)),
        case("strict CSP", ready().with_strict_csp()),
        case("built-ins replaced", ready().with_replaced_builtins()),
        case(
            "70 % busy",
            ready().at(Duration::ZERO, Step::BusyLoop { percent: 70 }),
        ),
    ];
    generations.chain(others).collect()
}

/// Runs every case by both methods, in turn.
pub(crate) async fn measure(rounds: u32) -> Outcome<Vec<Row>> {
    let stand_in = StandIn::start(Scenario::never()).await?;
    let driver = DriverProcess::start().await?;
    let page = Page::open(&driver, options(&stand_in.url())).await?;
    let mut rows: Vec<Row> = Vec::new();
    for round in 0..rounds {
        for at in TIMES {
            eprintln!("scenarios, round {} of {rounds}: {at:?}", round + 1);
            for (i, case) in cases(at).into_iter().enumerate() {
                let eager = lag(&stand_in, &page, &case, Method::Eager).await?;
                let classic = lag(&stand_in, &page, &case, Method::Classic).await?;
                if i == rows.len() {
                    rows.push(Row {
                        name: case.name,
                        lags: Vec::new(),
                    });
                }
                rows[i].lags.push((eager, classic));
            }
        }
    }
    page.close().await;
    driver.stop().await?;
    Ok(rows)
}

async fn lag(stand_in: &StandIn, page: &Page, case: &Case, method: Method) -> Outcome<f64> {
    stand_in.set_scenario(case.scenario.clone());
    page.client().goto(&stand_in.url()).await?;
    let number = method
        .extract(WebDriverSource::all(page), None)
        .await
        .map_err(|error| format!("{}, {method}: {error}", case.name))?;
    let returned = epoch_ms();
    if number != digits() {
        return Err(format!("{}: {method} returned a wrong number", case.name).into());
    }
    let readable = timeout(Duration::from_secs(5), stand_in.wait_readable()).await?;
    Ok(returned - readable)
}

impl Row {
    fn summary(&self, lag: impl Fn(&(f64, f64)) -> f64) -> Summary {
        Summary::of(&self.lags.iter().map(lag).collect::<Vec<_>>())
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "scenario": self.name, "eager_and_classic_ms": self.lags })
    }
}

pub(crate) fn print(rows: &[Row]) {
    println!("From \"the number may be taken\" to \"returned\", in milliseconds:\n");
    println!(
        "| page | eager median | eager max | classic median | classic max | eager later than classic by at most |"
    );
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let (eager, classic) = (row.summary(|lag| lag.0), row.summary(|lag| lag.1));
        // Below zero where it never was later.
        let later = row.summary(|(eager, classic)| eager - classic).max;
        println!(
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} |",
            row.name, eager.median, eager.max, classic.median, classic.max, later
        );
    }
    println!();
}
