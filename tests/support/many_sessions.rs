//! A thousand sessions side by side, of which some fail in every way that there is.
#![allow(dead_code, reason = "each program uses its part")]

use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::source::mock::{Act, MockSource};
use whatsapp_phone::supervisor::{BoxError, Task};
use whatsapp_phone::{Extraction, Extractor, RetryPolicy, Session, Supervisor};

pub(crate) const SESSIONS: u32 = 1_000;

/// Of ten sessions so many fail.
const FAILING: u32 = 3;

/// How many ways there are to fail; the failing ones take turns.
const WAYS: u32 = 10;

pub(crate) const fn is_failing(n: u32) -> bool {
    n % 10 < FAILING
}

/// The result of an undisturbed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) session: u32,
    pub(crate) phone: String,
    pub(crate) attempt: u32,
    /// From the start of all sessions to the answer in the program.
    pub(crate) at: Duration,
}

/// When the number of a session becomes readable: spread over `spread`, in no order.
pub(crate) fn ready(n: u32, spread: Duration) -> Duration {
    spread * (n * 7_919 % SESSIONS) / SESSIONS
}

pub(crate) fn jid(n: u32) -> String {
    format!("62811{n:07}@c.us")
}

/// Runs all, and returns what became of those that never fail. `failing`: whether the others do.
pub(crate) async fn run(
    supervisor: &Supervisor,
    policy: &RetryPolicy,
    spread: Duration,
    failing: bool,
) -> Vec<Finished> {
    let start = Instant::now();
    let mut sound = Vec::new();
    let mut held = Vec::new();
    for n in 0..SESSIONS {
        let session = supervisor.start(n.to_string()).unwrap();
        if failing && is_failing(n) {
            fail(&session, policy, n, spread);
        } else {
            let number = extract(&session, policy, source(n, spread));
            if !is_failing(n) {
                let answer = async move { (number.await, start.elapsed()) };
                sound.push((n, tokio::spawn(answer)));
            }
        }
        held.push(session);
    }
    let mut finished = Vec::new();
    for (session, answer) in sound {
        let (found, at) = answer.await.unwrap();
        let found = found.unwrap_or_else(|error| panic!("session {session}: {error}"));
        finished.push(Finished {
            session,
            phone: found.phone.reveal().to_owned(),
            attempt: found.attempt,
            at,
        });
    }
    finished
}

fn source(n: u32, spread: Duration) -> MockSource {
    MockSource::new("page").number_at(ready(n, spread), &jid(n))
}

fn extract(session: &Session, policy: &RetryPolicy, source: MockSource) -> Task<Extraction> {
    let extractor = Extractor::builder().source(source).build().unwrap();
    session.run("number", policy.backoff(), move || {
        let extractor = extractor.clone();
        async move { extractor.extract().await }
    })
}

pub(crate) fn webdriver(code: &'static str) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, code).with_code(code)
}

/// Has the session fail in one of the ways, at the time at which it would have been ready.
fn fail(session: &Session, policy: &RetryPolicy, n: u32, spread: Duration) {
    let at = ready(n, spread);
    let page = MockSource::new("page");
    let task = |act: fn() -> Result<(), BoxError>| {
        drop(session.spawn("bad", async move {
            sleep(at).await;
            act()
        }));
    };
    match n / 10 * FAILING + n % 10 {
        way if way % WAYS == 0 => {
            drop(extract(
                session,
                policy,
                page.at(at, webdriver("no such window")),
            ));
        }
        way if way % WAYS == 1 => {
            drop(extract(
                session,
                policy,
                page.at(at, webdriver("connection lost")),
            ));
        }
        way if way % WAYS == 2 => drop(extract(session, policy, page.at(at, Act::Panic))),
        way if way % WAYS == 3 => drop(extract(session, policy, page.at(at, Act::Hang))),
        way if way % WAYS == 4 => task(|| panic!("the task")),
        way if way % WAYS == 5 => task(|| Err("duplicate key".into())),
        way if way % WAYS == 6 => task(|| Err(FailsToPrint.into())),
        way if way % WAYS == 7 => drop(session.spawn("bad", async move {
            let _panics = PanicsOnDrop;
            sleep(at).await;
            Err::<(), _>(webdriver("tab crashed"))
        })),
        way if way % WAYS == 8 => {
            drop(session.spawn("bad", async { pending::<Result<(), BoxError>>().await }));
            task(|| Err(webdriver("invalid session id").into()));
        }
        _ => drop(session.run("bad", policy.backoff(), move || async move {
            sleep(at / 10).await;
            Err::<(), _>(webdriver("unexpected alert open"))
        })),
    }
}

/// An error whose words panic.
#[derive(Debug)]
struct FailsToPrint;

impl fmt::Display for FailsToPrint {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("printing panics")
    }
}

impl std::error::Error for FailsToPrint {}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a drop")
    }
}
