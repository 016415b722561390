//! A process that applies events to a store, and the sender that feeds it. The process is a copy of the test program,
//! and may be killed at any moment.
#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use whatsapp_phone::event::SessionEvent;
use whatsapp_phone::store::{Outcome, SessionStore};

use super::time::within_limit;

/// Returns the number that a variable gives, or this one.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number"))
    })
}

/// Applies the events of standard input, the sessions beside each other, and prints a line for each accepted one.
pub(crate) async fn apply_lines(store: Arc<dyn SessionStore>) {
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

/// The sender: the events that are not yet accepted, and the ids of those that are.
pub(crate) struct Sender {
    event: fn(session: usize, number: u64) -> SessionEvent,
    pub(crate) waiting: Vec<VecDeque<SessionEvent>>,
    last: Vec<Option<SessionEvent>>,
    /// How many events of each session were made.
    pub(crate) made: Vec<u64>,
    pub(crate) accepted: HashSet<String>,
    applied: HashSet<String>,
    /// How many events were applied again.
    pub(crate) twice: u64,
}

impl Sender {
    /// Makes a sender of so many sessions. `event` makes the event of this number, from 1 on, of a session.
    pub(crate) fn new(sessions: usize, event: fn(usize, u64) -> SessionEvent) -> Self {
        Self {
            event,
            waiting: vec![VecDeque::new(); sessions],
            last: vec![None; sessions],
            made: vec![0; sessions],
            accepted: HashSet::new(),
            applied: HashSet::new(),
            twice: 0,
        }
    }

    /// Makes the next event of a session.
    pub(crate) fn make(&mut self, session: usize) -> SessionEvent {
        self.made[session] += 1;
        let event = (self.event)(session, self.made[session]);
        self.waiting[session].push_back(event.clone());
        event
    }

    /// Returns the events that a new process gets first: the last accepted one of each session, and all that were
    /// not accepted.
    pub(crate) fn again(&self) -> Vec<SessionEvent> {
        let of = |session: usize| self.last[session].iter().chain(&self.waiting[session]);
        (0..self.made.len()).flat_map(of).cloned().collect()
    }

    /// Reads a line of the process, and returns the session whose next event may be sent.
    pub(crate) fn hear(&mut self, line: &str) -> Option<usize> {
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

/// A copy of the test program. It ends with its owner.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) input: ChildStdin,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts the program with this test alone, which finds its role in a variable.
    pub(crate) fn start(test: &str, variable: &str, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(variable, role)
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

    pub(crate) async fn send(&mut self, event: &SessionEvent) {
        let line = event.to_json() + "\n";
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    pub(crate) async fn next_line(&mut self) -> Option<String> {
        let line = within_limit("the process says something", self.lines.next_line());
        line.await.unwrap()
    }
}
