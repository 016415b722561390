//! A process that applies events is killed with SIGKILL at random moments, repeatedly. Events
//! that it had accepted are there afterwards, and an event that is delivered again has effect once.
//!
//! The process is a copy of this program. 200 moments for each database, unless
//! WHATSAPP_PHONE_TEST_KILLS says otherwise.
#![cfg(all(
    feature = "testkit",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/database.rs"]
mod database;
#[path = "support/time.rs"]
mod time;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use database::{Kind, Place};
use time::{random_moment, within_limit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::store::{Outcome, SessionStore, StoreOptions};

/// Set for a copy of this program that applies what it reads: the database's kind and URL.
const ROLE: &str = "WHATSAPP_PHONE_TEST_APPLIES";
const SESSIONS: usize = 8;
/// How many events of a session are under way.
const WINDOW: usize = 3;

fn key(session: usize) -> SessionKey {
    SessionKey::new(7, format!("s{session}")).unwrap()
}

/// The process that is killed. As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_that_applies() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (kind, url) = role.split_once(' ').unwrap();
    let store = Place::open_at(kind.parse().unwrap(), url, StoreOptions::default());
    let store: Arc<dyn SessionStore> = Arc::from(store.await.unwrap());
    let mut sessions: HashMap<String, mpsc::UnboundedSender<SessionEvent>> = HashMap::new();
    let mut tasks = tokio::task::JoinSet::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event = SessionEvent::from_json(line.as_bytes()).unwrap();
        let session = event.session().unwrap().session_id.as_str().to_owned();
        let sender = sessions.entry(session).or_insert_with(|| {
            let (sender, mut events) = mpsc::unbounded_channel::<SessionEvent>();
            let store = store.clone();
            tasks.spawn(async move {
                while let Some(event) = events.recv().await {
                    let outcome = match store.apply(&event).await.unwrap() {
                        Outcome::Applied { .. } => "applied",
                        _ => "ignored",
                    };
                    let id = event.id().unwrap().as_str();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "accepted {id} {outcome}").unwrap();
                    out.flush().unwrap();
                }
            });
            sender
        });
        sender.send(event).unwrap();
    }
    drop(sessions);
    tasks.join_all().await;
}

/// The sender's side: what is under way, and what was accepted.
struct Sender {
    waiting: Vec<VecDeque<SessionEvent>>,
    last: Vec<Option<SessionEvent>>,
    made: Vec<u64>,
    accepted: HashSet<String>,
    applied: HashSet<String>,
    twice: usize,
}

impl Sender {
    fn new() -> Self {
        Self {
            waiting: vec![VecDeque::new(); SESSIONS],
            last: vec![None; SESSIONS],
            made: vec![0; SESSIONS],
            accepted: HashSet::new(),
            applied: HashSet::new(),
            twice: 0,
        }
    }

    /// The next event of a session; each changes where it stands. Every other session does without
    /// `seq`, so that only the id identifies a repetition.
    fn make(&mut self, session: usize) -> SessionEvent {
        self.made[session] += 1;
        let event = match self.made[session] % 2 {
            1 => {
                let phone: PhoneNumber = format!("62811000{session:04}").parse().unwrap();
                SessionEvent::session_ready(key(session), phone)
            }
            _ => SessionEvent::session_disconnected(key(session), "LOGOUT"),
        };
        let event = match session % 2 {
            0 => event.with_seq(self.made[session]),
            _ => event,
        };
        self.waiting[session].push_back(event.clone());
        event
    }

    /// The events that a new process gets first: the last accepted one, and all that were not accepted.
    fn again(&self) -> Vec<SessionEvent> {
        let of = |session: usize| self.last[session].iter().chain(&self.waiting[session]);
        (0..SESSIONS).flat_map(of).cloned().collect()
    }

    /// Takes a line of the process; the session whose next event may be sent.
    fn hear(&mut self, line: &str) -> Option<usize> {
        let mut words = line.strip_prefix("accepted ")?.split(' ');
        let (id, outcome) = (words.next()?, words.next()?);
        if outcome == "applied" && !self.applied.insert(id.to_owned()) {
            self.twice += 1;
        }
        self.accepted.insert(id.to_owned());
        let is_next = |waiting: &VecDeque<SessionEvent>| {
            waiting
                .front()
                .is_some_and(|event| event.id().unwrap().as_str() == id)
        };
        let session = self.waiting.iter().position(is_next)?;
        self.last[session] = self.waiting[session].pop_front();
        Some(session)
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_process_that_applies", "--exact", "--nocapture"])
            .env(ROLE, format!("{} {}", place.kind, place.url))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            input,
            lines,
        }
    }

    async fn send(&mut self, event: &SessionEvent) {
        let line = event.to_json() + "\n";
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = within_limit("the process says something", self.lines.next_line());
        line.await.unwrap()
    }
}

async fn missing(place: &Place, accepted: &HashSet<String>) -> usize {
    let kept = place
        .texts("select event_id from whatsapp_phone_applied")
        .await;
    let kept: HashSet<_> = kept.into_iter().flatten().collect();
    accepted.difference(&kept).count()
}

async fn survives_kills(kind: Kind) {
    let moments: usize = std::env::var("WHATSAPP_PHONE_TEST_KILLS").map_or(200, |text| {
        text.parse().expect("WHATSAPP_PHONE_TEST_KILLS is a number")
    });
    let place = Place::new(kind).await;
    let store = place.open(StoreOptions::default()).await.unwrap();
    for session in 0..SESSIONS {
        store.register(&key(session)).await.unwrap();
    }
    let mut sender = Sender::new();
    let mut lost = 0;
    for moment in 0..=moments {
        let is_last = moment == moments;
        let mut process = Process::start(&place);
        for event in sender.again() {
            process.send(&event).await;
        }
        for session in 0..SESSIONS {
            while !is_last && sender.waiting[session].len() < WINDOW {
                let event = sender.make(session);
                process.send(&event).await;
            }
        }
        // A moment: some answers later, and then anywhere between two of them.
        for _ in 0..fastrand::usize(0..24) {
            if is_last {
                break;
            }
            let Some(line) = process.next_line().await else {
                break;
            };
            if let Some(session) = sender.hear(&line) {
                let event = sender.make(session);
                process.send(&event).await;
            }
        }
        if !is_last {
            random_moment(Duration::from_millis(2)).await;
            process.child.start_kill().unwrap();
        }
        // The last one is let do all that is left.
        let Process {
            mut child,
            input,
            lines,
        } = process;
        drop(input);
        let mut rest = lines;
        while let Some(line) = rest.next_line().await.unwrap() {
            sender.hear(&line);
        }
        let status = child.wait().await.unwrap();
        assert_eq!(status.success(), is_last, "{status}");
        lost += missing(&place, &sender.accepted).await;
    }
    let mut made = 0;
    for session in 0..SESSIONS {
        assert!(sender.waiting[session].is_empty());
        made += sender.made[session];
        let row = store
            .session(&key(session).session_id)
            .await
            .unwrap()
            .unwrap();
        // Every event changed something once.
        let more = row.version.abs_diff(sender.made[session]);
        sender.twice += usize::try_from(more).unwrap();
    }
    println!(
        "killed at {moments} moments: {kind}, {made} events, missing={lost} twice={}",
        sender.twice
    );
    assert_eq!((lost, sender.twice), (0, 0));
    place.end().await;
}

#[tokio::test]
async fn sqlite_survives_kills() {
    survives_kills(Kind::Sqlite).await;
}

#[tokio::test]
async fn postgres_survives_kills() {
    survives_kills(Kind::Postgres).await;
}

#[tokio::test]
async fn mysql_survives_kills() {
    survives_kills(Kind::MySql).await;
}

/// Whether the stopped process has a transaction open, as the server sees it.
async fn is_in_a_transaction(place: &Place) -> bool {
    let open = match place.kind {
        Kind::MySql => {
            "select cast(t.trx_id as char) from information_schema.innodb_trx t
            join information_schema.processlist p on p.id = t.trx_mysql_thread_id where p.db = database()
                and p.command = 'Sleep' and t.trx_rows_locked > 0"
        }
        _ => {
            "select l.pid::text from pg_locks l join pg_stat_activity a on a.pid = l.pid
            where l.locktype = 'advisory' and a.state = 'idle in transaction'
                and a.application_name = current_setting('application_name')"
        }
    };
    !place.texts(open).await.is_empty()
}

/// One process is stopped in the middle of a transaction; the others continue with every session.
async fn outlives_a_frozen_process(place: Place) {
    use rustix::process::{Pid, Signal, kill_process};

    let store = place.open(StoreOptions::default()).await.unwrap();
    for session in 0..SESSIONS {
        store.register(&key(session)).await.unwrap();
    }
    let mut sender = Sender::new();
    let mut process = Process::start(&place);
    let pid = Pid::from_raw(i32::try_from(process.child.id().unwrap()).unwrap()).unwrap();
    // Enough events at once to keep the process in transactions for most of the time.
    const EVENTS: usize = 16 * SESSIONS;
    let stopped = loop {
        for event in 0..EVENTS {
            let event = sender.make(event % SESSIONS);
            process.send(&event).await;
        }
        random_moment(Duration::from_millis(3)).await;
        kill_process(pid, Signal::STOP).unwrap();
        let stopped = tokio::time::Instant::now();
        // Twice, since a statement that was under way may end it.
        if is_in_a_transaction(&place).await && is_in_a_transaction(&place).await {
            break stopped;
        }
        kill_process(pid, Signal::CONT).unwrap();
        for _ in 0..EVENTS {
            process.next_line().await.unwrap();
        }
    };
    for session in 0..SESSIONS {
        let gone = SessionEvent::session_disconnected(key(session), "");
        let applied = async { while store.apply(&gone).await.is_err() {} };
        within_limit("the frozen process lets go of the session", applied).await;
    }
    let back = stopped.elapsed();
    let kind = place.kind;
    println!("{kind}: every session applies events again after {back:.1?}");
    kill_process(pid, Signal::CONT).unwrap();
    process.child.kill().await.unwrap();
    place.end().await;
}

#[tokio::test]
async fn postgres_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::new(Kind::Postgres).await).await;
}

#[tokio::test]
async fn mysql_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::new(Kind::MySql).await).await;
}

/// Of MySQL, `wait_timeout` ends the transaction, as MariaDB has `idle_transaction_timeout`.
#[tokio::test]
async fn mysql_without_idle_timeouts_outlives_a_frozen_process() {
    outlives_a_frozen_process(Place::zoned_mysql().await).await;
}
