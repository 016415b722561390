//! Six sessions with real browsers, while browsers, drivers and the service itself are killed at random and the
//! sink is down for a fifth of the time. At the end every session is connected with its number, no event was
//! applied twice, and no process is left.
//!
//! Two minutes, unless WHATSAPP_PHONE_TEST_CHAOS says how many seconds. Ten minutes, with the figures:
//!
//! ```text
//! WHATSAPP_PHONE_TEST_CHAOS=600 cargo test --all-features --test chaos -- --nocapture
//! ```
#![cfg(all(
    feature = "sqlite",
    feature = "supervisor",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use support::processes::{Run, end, kill_one};
use support::time::random_moment;
use support::{ms, options, policy, until, until_async};
use tokio::process::Child;
use tokio::time::Instant;
use whatsapp_phone::Backoff;
use whatsapp_phone::event::{EventSink, SessionEvent, SessionId, SessionKey, SinkError};
use whatsapp_phone::onboard::SessionService;
use whatsapp_phone::store::sqlite::SqliteStore;
use whatsapp_phone::store::{Outcome, SessionStore, Status, StoreOptions};
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn, Step};

/// Set for a copy of this program that runs the service: its directory.
const ROLE: &str = "WHATSAPP_PHONE_TEST_SERVICE";
/// The pages of the sessions, separated by spaces.
const PAGES: &str = "WHATSAPP_PHONE_TEST_PAGES";
const SESSIONS: usize = 6;

fn number(session: usize) -> String {
    format!("62811000005{session}")
}

async fn open_store(directory: &Path) -> SqliteStore {
    let url = format!("sqlite:{}", directory.join("sessions.db").display());
    let options = StoreOptions::default().create_tables();
    SqliteStore::connect(&url, options).await.unwrap()
}

/// Applies events to the store, and writes a line into the journal for each: its outcome, session, `seq`, id
/// and name. It fails while there is a file `down`.
struct Journal {
    store: SqliteStore,
    directory: PathBuf,
}

impl Journal {
    fn write(&self, outcome: &str, event: &SessionEvent) {
        let session = event.session().unwrap().session_id.as_str();
        let (seq, id) = (event.seq().unwrap(), event.id().unwrap().as_str());
        let run = std::process::id();
        let line = format!("{outcome} {run} {session} {seq} {id} {}\n", event.name());
        let file = self.directory.join("journal");
        let file = File::options().create(true).append(true).open(file);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}

#[async_trait]
impl EventSink for Journal {
    fn name(&self) -> &str {
        "journal"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if self.directory.join("down").exists() {
            self.write("failed", event);
            return Err(SinkError::transient("down", "the sink is down"));
        }
        let outcome = match self.store.apply(event).await? {
            Outcome::Applied { .. } => "applied",
            _ => "ignored",
        };
        self.write(outcome, event);
        Ok(())
    }
}

/// Prints the end of the service's log if the test fails.
struct PrintedLog(PathBuf);

impl Drop for PrintedLog {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = fs::read_to_string(&self.0)
        {
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(300);
            eprintln!("{}", lines[last..].join("\n"));
        }
    }
}

/// The service that is killed. As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service() {
    let Ok(directory) = std::env::var(ROLE) else {
        return;
    };
    let directory = PathBuf::from(directory);
    let pages = std::env::var(PAGES).unwrap();
    let pages: Vec<_> = pages.split(' ').map(str::to_owned).collect();
    let log = directory.join("log");
    let log = File::options().create(true).append(true).open(log).unwrap();
    let lines = tracing_subscriber::fmt().with_ansi(false).without_time();
    lines.with_writer(log).init();
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();

    let store = open_store(&directory).await;
    let journal = Journal {
        store: store.clone(),
        directory: directory.clone(),
    };
    let restart = Backoff::builder().interval(ms(500)).max_interval(ms(5_000));
    let service = SessionService::builder(store)
        .sink(journal)
        .storage(directory.join("profiles"))
        .restart(restart.build().unwrap())
        .opens_at_once(2)
        .monitor(|monitor| monitor.extractor(|extractor| extractor.policy(policy())))
        .page(move |key| {
            let session: usize = key.session_id.as_str().parse().unwrap();
            let page = options(&pages[session]);
            page.browser_arg("--disable-gpu")
                .browser_arg("--no-first-run")
        });
    let service = service.build().unwrap();
    service.resume().await.unwrap();
    for session in 0..SESSIONS {
        let key = SessionKey::new(1, session.to_string()).unwrap();
        if service.session(&key.session_id).is_none() {
            drop(service.start(&key).await.unwrap());
        }
    }
    terminate.recv().await;
    let report = service.stop(support::LIMIT).await;
    assert!(report.stuck.is_empty(), "{report:?}");
}

/// A phone that links the session at its first load, and stays linked.
fn scenario(session: usize) -> Scenario {
    let me = || Step::me(&format!("{}@c.us", number(session)));
    Scenario::new(Generation::Current)
        .at(ms(0), Step::socket("UNPAIRED"))
        .at(ms(1_500), Step::socket("PAIRING"))
        .at(ms(2_000), me())
        .at(ms(3_500), Step::connected())
        .next_load()
        .at(ms(0), Step::socket("OPENING"))
        .at(ms(0), me())
        .at(ms(1_000), Step::connected())
}

fn start(run: &Run, directory: &Path, pages: &str) -> Child {
    let mut command = run.command(&std::env::current_exe().unwrap());
    command.args(["the_service", "--exact", "--nocapture"]);
    command.env(ROLE, directory).env(PAGES, pages);
    command.stdout(std::process::Stdio::null()).spawn().unwrap()
}

/// The number of kills of each kind.
#[derive(Debug, Default)]
struct Kills {
    browsers: usize,
    drivers: usize,
    services: usize,
}

#[derive(Clone, Copy)]
enum Target {
    Browser,
    Driver,
    Service,
}

/// Ten kills in random order, so that each kind comes in the shortest run too.
fn shuffled() -> Vec<Target> {
    let kinds = [
        (Target::Browser, 5),
        (Target::Driver, 3),
        (Target::Service, 2),
    ];
    let mut targets: Vec<_> = kinds
        .iter()
        .flat_map(|(target, times)| [*target].repeat(*times))
        .collect();
    fastrand::shuffle(&mut targets);
    targets
}

async fn kill_at_random(
    run: &Run,
    directory: &Path,
    pages: &str,
    time: Duration,
) -> (Child, Kills) {
    let (mut service, mut kills) = (start(run, directory, pages), Kills::default());
    let start_time = Instant::now();
    let (down, mut targets) = (directory.join("down"), Vec::new());
    // The sink is down during the third fifth of the time.
    let (from, to) = (start_time + time * 2 / 5, start_time + time * 3 / 5);
    while Instant::now() < start_time + time {
        random_moment(ms(8_000)).await;
        let is_down = (from..to).contains(&Instant::now());
        if is_down && !down.exists() {
            File::create(&down).unwrap();
            // Its session sends an event, which fails.
            targets.push(Target::Browser);
        } else if !is_down && down.exists() {
            fs::remove_file(&down).unwrap();
        }
        if targets.is_empty() {
            targets = shuffled();
        }
        match targets.pop().unwrap() {
            Target::Browser => kills.browsers += usize::from(kill_one(&run.browsers(directory))),
            Target::Driver => kills.drivers += usize::from(kill_one(&run.drivers())),
            Target::Service => {
                service.kill().await.unwrap();
                kills.services += 1;
                random_moment(ms(1_000)).await;
                service = start(run, directory, pages);
            }
        }
    }
    if down.exists() {
        fs::remove_file(&down).unwrap();
    }
    (service, kills)
}

#[derive(Debug, Default)]
struct Figures {
    /// The `seq` of the events of each session that the store has applied.
    applied: HashMap<String, BTreeSet<u64>>,
    twice: usize,
    failed: usize,
    /// Events whose id has changed from one attempt to the next.
    renamed: usize,
}

fn read_journal(directory: &Path) -> Figures {
    let (mut figures, mut applied, mut ids) = (Figures::default(), HashSet::new(), HashMap::new());
    for line in fs::read_to_string(directory.join("journal"))
        .unwrap()
        .lines()
    {
        let words: Vec<_> = line.split(' ').collect();
        let [outcome, run, session, seq, id, _] = words[..] else {
            panic!("a line of the journal: {line}");
        };
        let place = [run, session, seq].join(" ");
        let known = ids.entry(place).or_insert_with(|| id.to_owned());
        figures.renamed += usize::from(known != id);
        match outcome {
            "applied" => {
                let of_session = figures.applied.entry(session.to_owned()).or_default();
                let is_new = of_session.insert(seq.parse().unwrap());
                let is_first = applied.insert(id.to_owned());
                figures.twice += usize::from(!is_new || !is_first);
            }
            "failed" => figures.failed += 1,
            _ => {}
        }
    }
    figures
}

/// Returns the longest beginning of a log line up to its message: level, spans and target.
fn longest_head(lines: &[&str]) -> usize {
    let head = |line: &&str| line.split(": ").next().unwrap_or(line).len();
    lines.iter().map(head).max().unwrap()
}

#[tokio::test]
async fn every_session_is_connected_after_the_kills() {
    let time = std::env::var("WHATSAPP_PHONE_TEST_CHAOS").map_or(120, |text| {
        text.parse()
            .expect("WHATSAPP_PHONE_TEST_CHAOS is a number of seconds")
    });
    let run = Run::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let _log = PrintedLog(path.join("log"));
    let (mut stand_ins, mut urls) = (Vec::new(), Vec::new());
    for session in 0..SESSIONS {
        let stand_in = StandIn::start(scenario(session)).await.unwrap();
        urls.push(stand_in.url());
        stand_ins.push(stand_in);
    }
    let store = open_store(&path).await;
    let time = Duration::from_secs(time);
    let urls = urls.join(" ");
    let (mut service, mut kills) = kill_at_random(&run, &path, &urls, time).await;
    // The service is killed a last time: no page that is loaded after this is killed.
    service.kill().await.unwrap();
    kills.services += 1;
    let ended = || run.browsers(&path).is_empty();
    until("the browsers have ended", ended).await;
    let loads: Vec<_> = stand_ins.iter().map(StandIn::loads).collect();
    let mut service = start(&run, &path, &urls);

    // All six sessions are connected with their numbers, on new pages.
    let row = async |session: usize| {
        let id = SessionId::new(&session.to_string()).unwrap();
        store.session(&id).await.unwrap()
    };
    for (session, stand_in) in stand_ins.iter().enumerate() {
        let is_connected = async || {
            let row = row(session)
                .await
                .filter(|row| row.status == Status::Connected);
            let phone = row.and_then(|row| row.phone);
            let is_right = phone.is_some_and(|phone| phone.reveal() == number(session));
            let profile = path.join(format!("profiles/1/{session}"));
            let is_open = run.browsers(&profile).len() == 1;
            let is_loaded = stand_in.loads() > loads[session] && stand_in.readable_at().is_some();
            is_right && is_open && is_loaded
        };
        until_async(&format!("session {session} is connected"), is_connected).await;
    }
    assert!(end(&mut service).await.success());
    run.none_is_left().await;

    let figures = read_journal(&path);
    let applied: usize = figures.applied.values().map(BTreeSet::len).sum();
    println!(
        "{time:?}: {kills:?}; {applied} events applied, {} twice; {} attempts failed",
        figures.twice, figures.failed
    );
    let happened = [
        kills.browsers,
        kills.drivers,
        kills.services,
        figures.failed,
    ];
    assert!(happened.iter().all(|times| *times > 0), "{happened:?}");
    assert_eq!((figures.twice, figures.renamed), (0, 0));
    for session in 0..SESSIONS {
        let row = row(session).await.unwrap();
        let name = row.session.session_id.as_str();
        assert_eq!(
            (row.status, row.phone.unwrap().reveal()),
            (Status::Connected, &*number(session))
        );
        // A service may be killed between the store's write and the journal's.
        let last = figures.applied[name].last();
        assert!(row.last_seq.as_ref() >= last, "{:?} {last:?}", row.last_seq);
    }
    let log = fs::read_to_string(path.join("log")).unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("session_task{"))
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line.matches("session_task{").count() == 1)
    );
    let (first, last) = lines.split_at(lines.len() / 2);
    println!(
        "longest head: {} and {} bytes in {} lines",
        longest_head(first),
        longest_head(last),
        lines.len()
    );
    assert!(longest_head(last) <= longest_head(first) + 20);
    assert!(!log.contains("62811000005"), "a number is in the log");
}
