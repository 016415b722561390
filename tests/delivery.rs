//! Events on their way between three processes: a sender applies them to a store with an outbox, a worker posts them
//! as signed webhooks, and a receiver applies them to a store of its own. Each process is a copy of this program.
//!
//! They are killed with SIGKILL at random moments: 20 for each database, unless WHATSAPP_PHONE_TEST_KILLS says
//! otherwise. In another test the receiver is down for 3 s, or for WHATSAPP_PHONE_TEST_OUTAGE seconds. Afterwards no
//! accepted event is missing, none was applied twice, those of a session were applied in their order, and the
//! outboxes are empty.
#![cfg(all(
    feature = "server",
    feature = "webhook",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/database.rs"]
mod database;
#[path = "support/sender.rs"]
mod sender;
#[path = "support/time.rs"]
mod time;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use database::{Kind, Place};
use futures_util::FutureExt;
use sender::{Process, Sender, apply_lines, number};
use time::{random_moment, until_async};
use tokio::net::TcpListener;
use tokio::time::Instant;
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::signature::SigningKeys;
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::event::{EventId, Failed, SessionEvent, SessionKey};
use whatsapp_phone::retry::Backoff;
use whatsapp_phone::server::WebhookReceiver;
use whatsapp_phone::store::outbox::{Outbox, OutboxStatus, OutboxWorkerBuilder};
use whatsapp_phone::store::{SessionStore, StoreOptions, StoreSink};

/// Set for a copy of this program: its role, the database's kind and URL, and the receiver's address.
const ROLE: &str = "WHATSAPP_PHONE_TEST_ROLE";
const PATH: &str = "/webhooks/whatsapp";
/// The sender's outbox, the receiver's queue, and the outbox that keeps all events that the receiver has applied.
const OUT: &str = "out";
const IN: &str = "in";
const APPLIED: &str = "applied";

const SESSIONS: usize = 12;
/// Events of a session that are sent and not yet accepted.
const WINDOW: usize = 3;
/// Events on the way; the sender gets no further ones meanwhile.
const MAX_WAITING: u64 = 40;
/// Less than there are sessions, so that a killed worker leaves some that others can deliver.
const AT_ONCE: usize = 4;
const SEND_TIMEOUT: Duration = Duration::from_millis(500);

const MS: fn(u64) -> Duration = Duration::from_millis;

fn key(session: usize) -> SessionKey {
    SessionKey::new(7, format!("s{session}")).unwrap()
}

fn keys() -> SigningKeys {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()
}

/// The way of a session's events through the receiver. Those of the first two have no `seq`: nothing but the order of
/// their delivery is their order.
#[derive(PartialEq, Eq)]
enum Way {
    Inline,
    Queued,
    /// In turns. An event that is processed inline may overtake the one before, which then is outdated.
    Both,
}

fn way(session: usize) -> Way {
    match session % 3 {
        0 => Way::Inline,
        1 => Way::Queued,
        _ => Way::Both,
    }
}

/// Makes an event of a session. Its id is the session and the number.
fn make(session: usize, number: u64) -> SessionEvent {
    let is_odd = number % 2 == 1;
    let phone: PhoneNumber = format!("62811000{session:04}").parse().unwrap();
    let event = match way(session) {
        Way::Inline | Way::Both if is_odd => SessionEvent::session_ready(key(session), phone),
        Way::Inline => SessionEvent::session_error(key(session), Failed::new("not_ready", "")),
        Way::Queued if is_odd => SessionEvent::session_authenticated(key(session)),
        Way::Queued | Way::Both => SessionEvent::session_disconnected(key(session), "LOGOUT"),
    };
    let event = event.with_id(EventId::new(&format!("{session}-{number}")).unwrap());
    match way(session) {
        Way::Both => event.with_seq(number),
        _ => event,
    }
}

fn options() -> StoreOptions {
    StoreOptions::default().poll_every(MS(20))
}

fn quick(worker: OutboxWorkerBuilder) -> OutboxWorkerBuilder {
    let backoff = Backoff::builder().interval(MS(50)).growth(1.0);
    let worker = worker.backoff(backoff.build().unwrap());
    worker.send_timeout(SEND_TIMEOUT).concurrency(AT_ONCE)
}

/// A process of the way. As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    let [role, kind, url, address] = words[..] else {
        panic!("{role}");
    };
    let kind = kind.parse().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    match role {
        "sender" => {
            let store = Place::open_at(kind, url, options().outbox(OUT)).await;
            apply_lines(Arc::from(store.unwrap())).await;
        }
        "worker" => {
            let (_, outbox) = Place::open_outbox_at(kind, url, options(), OUT).await;
            let once = Backoff::builder().attempts(1).build().unwrap();
            let sink = WebhookSink::builder(format!("http://{address}{PATH}"), keys())
                .backoff(once)
                .allow_http()
                .allow_private_addresses();
            let _worker = quick(outbox.deliver_to(sink.build().unwrap())).start();
            std::future::pending::<()>().await;
        }
        _ => {
            let options = options().outbox(APPLIED);
            let (store, queue) = Place::open_outbox_at(kind, url, options, IN).await;
            let sink = StoreSink::new(store);
            let _worker = quick(queue.deliver_to(sink.clone())).start();
            let receiver = WebhookReceiver::new(keys(), sink).queue(queue);
            let app = Router::new().nest(PATH, receiver.into_router());
            let listener = TcpListener::bind(address).await.unwrap();
            axum::serve(listener, app).await.unwrap();
        }
    }
}

const ROLES: [&str; 3] = ["sender", "worker", "receiver"];
const SENDER: usize = 0;
const RECEIVER: usize = 2;

/// The three processes, and what the test sees of their two databases.
struct Delivery {
    from: Place,
    to: Place,
    address: SocketAddr,
    sender: Sender,
    processes: Vec<Process>,
    store: Arc<dyn SessionStore>,
    out: Outbox,
    queue: Outbox,
    applied: Outbox,
}

impl Delivery {
    async fn start(kind: Kind) -> Self {
        let (from, to) = (Place::new(kind).await, Place::new(kind).await);
        let (first, out) = from.open_outbox(options(), OUT).await;
        let (_, queue) = to.open_outbox(options(), IN).await;
        let (store, applied) = to.open_outbox(options(), APPLIED).await;
        for session in 0..SESSIONS {
            first.register(&key(session)).await.unwrap();
            store.register(&key(session)).await.unwrap();
        }
        // An address that no other program uses while the receiver is down.
        let ip = Ipv4Addr::from_bits(0x7f00_0000 | fastrand::u32(0x1_0000..0xff_0000));
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let mut delivery = Self {
            from,
            to,
            address: listener.local_addr().unwrap(),
            sender: Sender::new(SESSIONS, make),
            processes: Vec::new(),
            store,
            out,
            queue,
            applied,
        };
        drop(listener);
        delivery.processes = (0..ROLES.len())
            .map(|role| delivery.process(role))
            .collect();
        delivery
    }

    fn process(&self, role: usize) -> Process {
        let place = match role {
            RECEIVER => &self.to,
            _ => &self.from,
        };
        let (kind, url, address) = (place.kind, &place.url, self.address);
        let role = format!("{} {kind} {url} {address}", ROLES[role]);
        Process::start("a_process", ROLE, &role)
    }

    async fn start_again(&mut self, role: usize) {
        self.processes[role] = self.process(role);
        if role == SENDER {
            for event in self.sender.again() {
                self.processes[SENDER].send(&event).await;
            }
        }
    }

    async fn kill(&mut self, role: usize) {
        let process = &mut self.processes[role];
        process.child.start_kill().unwrap();
        while let Some(line) = process.lines.next_line().await.unwrap() {
            self.sender.hear(&line);
        }
        let status = process.child.wait().await.unwrap();
        assert_eq!(status.signal(), Some(9), "{} has ended before", ROLES[role]);
    }

    /// Returns how many events wait on the way.
    async fn waiting(&self) -> u64 {
        status(&self.out).await.waiting + status(&self.queue).await.waiting
    }

    async fn applied(&self) -> u64 {
        status(&self.applied).await.waiting
    }

    /// Gives the sender events while fewer than this wait on the way.
    async fn send(&mut self, most: u64) {
        let waiting = self.waiting().await;
        for session in 0..SESSIONS {
            while waiting < most && self.sender.waiting[session].len() < WINDOW {
                let event = self.sender.make(session);
                self.processes[SENDER].send(&event).await;
            }
        }
    }

    /// Reads which events the sender has accepted until now.
    fn hear(&mut self) {
        let lines = &mut self.processes[SENDER].lines;
        while let Some(line) = lines.next_line().now_or_never() {
            self.sender.hear(&line.unwrap().expect("the sender runs"));
        }
    }

    /// Sends events until so many more are applied.
    async fn run(&mut self, events: u64) {
        let applied = self.applied().await + events;
        until_async("events are applied", async || {
            self.send(MAX_WAITING).await;
            self.hear();
            self.applied().await >= applied
        })
        .await;
    }

    /// Waits until every event has arrived, and checks them.
    async fn end(mut self, after: &str) {
        until_async("all events are accepted", async || {
            self.hear();
            self.sender.waiting.iter().all(VecDeque::is_empty)
        })
        .await;
        let began = Instant::now();
        let mut waiting = self.waiting().await;
        while waiting > 0 {
            let before = waiting;
            until_async("an event leaves the outboxes", async || {
                waiting = self.waiting().await;
                waiting < before
            })
            .await;
        }
        let drained = began.elapsed();
        for outbox in [&self.out, &self.queue] {
            assert_eq!(status(outbox).await.dead, 0, "{outbox:?}");
        }
        for role in 0..ROLES.len() {
            self.kill(role).await;
        }
        let ids = "select event_id from whatsapp_phone_outbox where queue = 'applied' order by id";
        let mut applied = vec![Vec::new(); SESSIONS];
        for id in self.to.texts(ids).await {
            let id = id.unwrap();
            let (session, number) = id.split_once('-').unwrap();
            applied[session.parse::<usize>().unwrap()].push(number.parse::<u64>().unwrap());
        }
        let (mut missing, mut twice, mut overtaken, mut disordered) = (0, self.sender.twice, 0, 0);
        for (session, applied) in applied.iter().enumerate() {
            let is_overtaken = |number: u64| {
                way(session) == Way::Both
                    && number.is_multiple_of(2)
                    && applied.last().is_some_and(|last| *last > number)
            };
            for number in 1..=self.sender.made[session] {
                match applied.contains(&number) {
                    true => {}
                    false if is_overtaken(number) => overtaken += 1,
                    false => missing += 1,
                }
            }
            disordered += applied.windows(2).filter(|two| two[0] >= two[1]).count();
            let row = self.store.session(&key(session).session_id).await.unwrap();
            let (version, events) = (row.unwrap().version, applied.len() as u64);
            // Every event changes the row once, but for those whose predecessor was overtaken.
            twice += match way(session) {
                Way::Both => version.saturating_sub(events),
                _ => version.abs_diff(events),
            };
        }
        println!(
            "{after}: {}, {} events, missing={missing} twice={twice} disordered={disordered} (overtaken: {overtaken}; outboxes empty after {drained:.1?})",
            self.to.kind,
            self.sender.made.iter().sum::<u64>(),
        );
        assert_eq!((missing, twice, disordered), (0, 0, 0));
        self.from.end().await;
        self.to.end().await;
    }
}

async fn status(outbox: &Outbox) -> OutboxStatus {
    outbox.status().await.unwrap()
}

async fn survives_kills(kind: Kind) {
    let moments = number("WHATSAPP_PHONE_TEST_KILLS", 20);
    let mut delivery = Delivery::start(kind).await;
    for _ in 0..moments {
        delivery.run(fastrand::u64(1..16)).await;
        let role = fastrand::usize(..ROLES.len());
        if role == SENDER {
            delivery.send(u64::MAX).await;
        }
        random_moment(MS(20)).await;
        delivery.kill(role).await;
        delivery.start_again(role).await;
    }
    delivery.end(&format!("killed at {moments} moments")).await;
}

async fn survives_an_outage(kind: Kind) {
    let time = Duration::from_secs(number("WHATSAPP_PHONE_TEST_OUTAGE", 3));
    let mut delivery = Delivery::start(kind).await;
    delivery.run(30).await;
    delivery.kill(RECEIVER).await;
    let (applied, waiting) = (delivery.applied().await, delivery.waiting().await);
    // The sender goes on, evenly over the time.
    const EVENTS: u32 = 150;
    for part in 1..=EVENTS / 10 {
        let (end, most) = (
            Instant::now() + time * 10 / EVENTS,
            waiting + u64::from(10 * part),
        );
        until_async("the sender applies events", async || {
            delivery.send(most).await;
            delivery.hear();
            delivery.waiting().await >= most && Instant::now() >= end
        })
        .await;
    }
    assert_eq!(delivery.applied().await, applied);
    delivery.start_again(RECEIVER).await;
    delivery.end(&format!("receiver down for {time:?}")).await;
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

#[tokio::test]
async fn sqlite_survives_an_outage() {
    survives_an_outage(Kind::Sqlite).await;
}

#[tokio::test]
async fn postgres_survives_an_outage() {
    survives_an_outage(Kind::Postgres).await;
}

#[tokio::test]
async fn mysql_survives_an_outage() {
    survives_an_outage(Kind::MySql).await;
}
