//! The outbox on real databases.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use whatsapp_phone::event::channel::{ChannelSink, EventReceiver, channel};
use whatsapp_phone::event::{EventSink, Failed, QrCode, SessionEvent, SinkError};
use whatsapp_phone::retry::Backoff;
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::outbox::{Outbox, OutboxWorker, OutboxWorkerBuilder};
use whatsapp_phone::store::{SessionStore, Status, StoreErrorKind, StoreOptions, StoreSink};
use whatsapp_phone::testkit::contract::sink::{self as contract, SinkFixture};

use super::database::{Kind, Place};
use super::time::{LIMIT, until_async, within_limit};
use super::{key, on_each, ready};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// An outbox with a worker that delivers into a channel, in a database of its own.
struct Delivered(
    Kind,
    tokio::sync::Mutex<Option<(Place, OutboxWorker, EventReceiver)>>,
);

#[async_trait::async_trait]
impl SinkFixture for Delivered {
    async fn sink(&self) -> Arc<dyn EventSink> {
        let place = Place::new(self.0).await;
        let (_, outbox) = place.open_outbox(StoreOptions::default(), "contract").await;
        let (sink, events) = channel(100);
        let worker = outbox.deliver_to(sink).start();
        let former = self.1.lock().await.replace((place, worker, events));
        end(former).await;
        Arc::new(outbox)
    }

    async fn arrived(&self, count: usize) -> Option<Vec<SessionEvent>> {
        let mut delivered = self.1.lock().await;
        let (_, _, events) = delivered.as_mut()?;
        let mut arrived = Vec::new();
        while arrived.len() < count {
            arrived.push(events.recv().await?);
        }
        Some(arrived)
    }

    fn carries_qr_payloads(&self) -> bool {
        false
    }

    fn call_timeout(&self) -> Duration {
        LIMIT
    }
}

async fn end(delivered: Option<(Place, OutboxWorker, EventReceiver)>) {
    if let Some((place, worker, _)) = delivered {
        worker.stop().await;
        place.end().await;
    }
}

async fn keeps_the_contract(kind: Kind) {
    let delivered = Delivered(kind, Default::default());
    contract::all(&delivered).await;
    end(delivered.1.into_inner()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract_of_sinks() {
    keeps_the_contract(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_keeps_the_contract_of_sinks() {
    keeps_the_contract(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_keeps_the_contract_of_sinks() {
    keeps_the_contract(Kind::MySql).await;
}

/// A sink by a function.
struct By<F>(F);

#[async_trait::async_trait]
impl<F, R> EventSink for By<F>
where
    F: Fn(SessionEvent) -> R + Send + Sync,
    R: Future<Output = Result<(), SinkError>> + Send,
{
    fn name(&self) -> &str {
        "by"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        (self.0)(event.clone()).await
    }
}

fn steady(every: Duration) -> Backoff {
    Backoff::builder()
        .interval(every)
        .growth(1.0)
        .build()
        .unwrap()
}

fn down() -> SinkError {
    SinkError::transient("down", "down")
}

fn quick(builder: OutboxWorkerBuilder) -> OutboxWorker {
    builder.backoff(steady(MS(10))).start()
}

fn fast() -> StoreOptions {
    StoreOptions::default().poll_every(MS(20))
}

fn numbered(session: &str, seq: u64) -> SessionEvent {
    SessionEvent::session_authenticated(key(session)).with_seq(seq)
}

async fn drained(outbox: &Outbox) {
    until_async("the outbox is empty", async || {
        outbox.status().await.unwrap().waiting == 0
    })
    .await;
}

/// The events that a sink has accepted, in their order for each session.
#[derive(Default)]
struct Accepted {
    seqs: Mutex<HashMap<String, Vec<u64>>>,
    again: AtomicUsize,
}

impl Accepted {
    /// A repetition of the last one is the only event that may come out of order.
    fn accept(&self, event: &SessionEvent) {
        let session = event.session().unwrap().session_id.as_str().to_owned();
        let mut seqs = self.seqs.lock().unwrap();
        let seqs = seqs.entry(session).or_default();
        let seq = event.seq().unwrap();
        match seqs.contains(&seq) {
            true => drop(self.again.fetch_add(1, Ordering::Relaxed)),
            false => seqs.push(seq),
        }
    }

    fn assert_in_order(&self, sessions: usize, events: u64) {
        let seqs = self.seqs.lock().unwrap();
        assert_eq!(seqs.len(), sessions);
        for (session, seqs) in seqs.iter() {
            assert!(seqs.iter().copied().eq(1..=events), "{session}: {seqs:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_writes_what_it_accepts_into_its_outboxes() {
    on_each(async |place| {
        let options = StoreOptions::default().outbox("one").outbox("two");
        let (store, one) = place.open_outbox(options, "one").await;
        let (_, two) = place.open_outbox(fast(), "two").await;
        store.register(&key("s")).await.unwrap();
        let qr = SessionEvent::qr_code_generated(key("s"), QrCode::new("2@secret-code").unwrap());
        let foreign = r#"{"event":"theirs","id":"7","data":{"of":"é"}}"#;
        let foreign = SessionEvent::from_json(foreign.as_bytes()).unwrap();
        let found = ready("s", "628110000041").with_seq(5);
        let late = SessionEvent::session_authenticated(key("s")).with_seq(4);
        for event in [&qr, &foreign, &found, &found, &late] {
            store.apply(event).await.unwrap();
        }
        let expired = SessionEvent::qr_code_generated(key("s"), QrCode::expired());
        store.apply(&expired.clone().with_seq(6)).await.unwrap(); // outdated: the session is connected
        store.apply(&ready("s", "628110000042")).await.unwrap_err();
        store
            .apply(&ready("unknown", "628110000043"))
            .await
            .unwrap_err();
        let failed = Failed::new("not_ready", "é 😀");
        let failed = SessionEvent::session_error(key("s"), failed);
        store.apply(&failed).await.unwrap();
        let expired = expired.with_seq(7);
        store.apply(&expired).await.unwrap();
        let bodies = place.texts("select body from whatsapp_phone_outbox").await;
        assert_eq!(bodies.len(), 10);
        assert!(
            !bodies.iter().flatten().any(|body| body.contains("secret")),
            "{bodies:?}"
        );

        for outbox in [one, two] {
            assert_eq!(outbox.status().await.unwrap().waiting, 5);
            let (sink, mut events) = channel(10);
            let worker = outbox.deliver_to(sink).start();
            let mut delivered = Vec::new();
            for _ in 0..5 {
                delivered.push(within_limit("an event", events.recv()).await.unwrap());
            }
            worker.stop().await;
            let foreign_at = delivered.iter().position(|event| event.name() == "theirs");
            let theirs = delivered.remove(foreign_at.unwrap());
            assert_eq!(theirs.to_json(), foreign.to_json());
            let texts: Vec<_> = delivered.iter().map(SessionEvent::to_json).collect();
            let payload = "\"2@secret-code\"";
            let qr = qr.to_json().replace(payload, "null");
            assert_eq!(
                texts,
                [qr, found.to_json(), failed.to_json(), expired.to_json()]
            );
            let status = outbox.status().await.unwrap();
            assert_eq!((status.waiting, status.oldest, status.dead), (0, None, 0));
        }
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_deliver_each_event_and_keep_the_order_of_a_session() {
    const SESSIONS: usize = 12;
    const EVENTS: u64 = 15;
    on_each(async |place| {
        let (_, one) = place.open_outbox(fast(), "queue").await;
        let (_, two) = place.open_outbox(fast(), "queue").await;
        let accepted = Arc::new(Accepted::default());
        let running: Arc<Mutex<HashSet<String>>> = Arc::default();
        let worker = |outbox: &Outbox| {
            let (accepted, running) = (accepted.clone(), running.clone());
            quick(outbox.deliver_to(By(move |event: SessionEvent| {
                let (accepted, running) = (accepted.clone(), running.clone());
                async move {
                    let session = event.session().unwrap().session_id.as_str().to_owned();
                    assert!(
                        running.lock().unwrap().insert(session.clone()),
                        "two at once"
                    );
                    sleep(MS(fastrand::u64(0..4))).await;
                    running.lock().unwrap().remove(&session);
                    if fastrand::u8(0..8) == 0 {
                        return Err(down());
                    }
                    accepted.accept(&event);
                    Ok(())
                }
            })))
        };
        let workers = [worker(&one), worker(&two), worker(&two)];
        let senders = (0..SESSIONS).map(async |session| {
            for seq in 1..=EVENTS {
                one.send(&numbered(&format!("s{session}"), seq))
                    .await
                    .unwrap();
            }
        });
        join_all(senders).await;
        drained(&one).await;
        for worker in workers {
            worker.stop().await;
        }
        accepted.assert_in_order(SESSIONS, EVENTS);
        assert_eq!(accepted.again.load(Ordering::Relaxed), 0);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_worker_that_is_gone_are_delivered_by_another_one() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        for seq in 1..=3 {
            outbox.send(&numbered("s", seq)).await.unwrap();
        }
        // Its runtime ends in the middle of a delivery, as in a crash.
        let asked = Arc::new(AtomicBool::new(false));
        let (begun, url, kind) = (asked.clone(), place.url.clone(), place.kind);
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let (_, outbox) = Place::open_outbox_at(kind, &url, fast(), "queue").await;
                let sink = By(move |_| {
                    begun.store(true, Ordering::Relaxed);
                    std::future::pending()
                });
                let _worker = outbox.deliver_to(sink).send_timeout(MS(300)).start();
                until_async("it delivers", async || asked.load(Ordering::Relaxed)).await;
            });
        });
        tokio::task::spawn_blocking(|| gone.join().unwrap())
            .await
            .unwrap();
        let accepted = Arc::new(Accepted::default());
        let seen = accepted.clone();
        let began = Instant::now();
        let worker = quick(outbox.deliver_to(By(move |event| {
            seen.accept(&event);
            async { Ok(()) }
        })));
        drained(&outbox).await;
        println!(
            "{}: taken up again after {:.1?}",
            place.kind,
            began.elapsed()
        );
        worker.stop().await;
        accepted.assert_in_order(1, 3);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_lease_has_ended_records_nothing() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        outbox.send(&numbered("s", 1)).await.unwrap();
        // Another worker has leased the event meanwhile.
        let steal = "update whatsapp_phone_outbox set lease = 7, due_at = due_at + 100000";
        let (begun, is_stolen) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (begins, goes_on) = (begun.clone(), is_stolen.clone());
        let worker = quick(outbox.deliver_to(By(move |_| {
            let (begins, goes_on) = (begins.clone(), goes_on.clone());
            async move {
                begins.store(true, Ordering::Relaxed);
                while !goes_on.load(Ordering::Relaxed) {
                    sleep(MS(5)).await;
                }
                Ok(())
            }
        })));
        until_async("it delivers", async || begun.load(Ordering::Relaxed)).await;
        place.run(steal).await;
        is_stolen.store(true, Ordering::Relaxed);
        worker.stop().await;
        let leases = "select concat(lease, ' ', attempts) from whatsapp_phone_outbox";
        let leases = match place.kind {
            Kind::Sqlite => "select lease || ' ' || attempts from whatsapp_phone_outbox",
            _ => leases,
        };
        assert_eq!(place.text(leases).await.unwrap(), "7 0");
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_events_are_dead_letters_and_hold_up_none() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let is_mended = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(Accepted::default());
        let (mended, seen) = (is_mended.clone(), accepted.clone());
        let sink = By(move |event: SessionEvent| {
            let result = match event.seq() {
                Some(1) if !mended.load(Ordering::Relaxed) => {
                    Err(SinkError::permanent("refused", "no"))
                }
                Some(2) if !mended.load(Ordering::Relaxed) => Err(down()),
                _ => {
                    seen.accept(&event);
                    Ok(())
                }
            };
            async { result }
        });
        let backoff = steady(MS(10)).to_builder().attempts(3).build().unwrap();
        let worker = outbox.deliver_to(sink).backoff(backoff).start();
        for session in ["a", "b"] {
            for seq in 1..=3 {
                outbox.send(&numbered(session, seq)).await.unwrap();
            }
        }
        drained(&outbox).await;
        assert_eq!(outbox.status().await.unwrap().dead, 4);
        // The event is there already, as a dead letter.
        let page = outbox.dead_letters(0, 3).await.unwrap();
        assert_eq!(page.len(), 3);
        let rest = outbox.dead_letters(page[2].id, 3).await.unwrap();
        let letters: Vec<_> = page.iter().chain(&rest).collect();
        let said = letters.iter().map(|letter| {
            let event = letter.event.as_ref().unwrap();
            (event.seq().unwrap(), &*letter.error, letter.attempts)
        });
        assert!(said.eq([
            (1, "refused", 1),
            (2, "down", 3),
            (1, "refused", 1),
            (2, "down", 3)
        ]));
        outbox
            .send(letters[0].event.as_ref().unwrap())
            .await
            .unwrap();
        assert_eq!(outbox.status().await.unwrap().waiting, 0);
        assert!(
            accepted
                .seqs
                .lock()
                .unwrap()
                .values()
                .all(|seqs| *seqs == [3])
        );

        is_mended.store(true, Ordering::Relaxed);
        assert!(outbox.delete(letters[3].id).await.unwrap());
        assert!(!outbox.delete(letters[3].id).await.unwrap());
        assert!(outbox.replay(letters[2].id).await.unwrap());
        drained(&outbox).await;
        assert!(!outbox.replay(letters[2].id).await.unwrap());
        assert_eq!(outbox.replay_all().await.unwrap(), 2);
        drained(&outbox).await;
        worker.stop().await;
        let seqs = accepted.seqs.lock().unwrap().clone();
        assert_eq!((&*seqs["a"], &*seqs["b"]), (&[3, 1, 2][..], &[3, 1][..]));
        assert_eq!(outbox.replay_all().await.unwrap(), 0);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_no_event_is_a_dead_letter_and_old_ones_are_deleted() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        for (session, seq) in [("s", 1), ("s", 2), ("other", 3), ("attempts", 4)] {
            outbox.send(&numbered(session, seq)).await.unwrap();
        }
        let body = match place.kind {
            Kind::Sqlite => "x'ff'",
            _ => "'null'",
        };
        let statement = format!("update whatsapp_phone_outbox set body = {body} where id = 1");
        place.run(&statement).await;
        place
            .run("update whatsapp_phone_outbox set attempts = -7 where id = 4")
            .await;
        let (sink, mut events) = channel(10);
        let worker = outbox.deliver_to(sink).start();
        let mut seqs = Vec::new();
        for _ in 2..=4 {
            let next = within_limit("the next one", events.recv()).await.unwrap();
            seqs.extend(next.seq());
        }
        seqs.sort_unstable();
        assert_eq!(seqs, [2, 3, 4]);
        worker.stop().await;
        place
            .run("update whatsapp_phone_outbox set attempts = -7")
            .await;
        let letters = outbox.dead_letters(0, 10).await.unwrap();
        assert_eq!((letters.len(), &*letters[0].error), (1, "invalid_event"));
        assert!(letters[0].event.is_none());
        assert_eq!(letters[0].attempts, 0);
        let (sink, _events) = channel(10);
        let worker = outbox.deliver_to(sink).keep_dead_letters(MS(1)).start();
        until_async("it is deleted", async || {
            outbox.status().await.unwrap().dead == 0
        })
        .await;
        worker.stop().await;
        place.end().await;
    })
    .await;
}

/// Stores an event for each of these sessions and makes it a dead letter, by SQL.
async fn dead(place: &Place, outbox: &Outbox, sessions: u64) -> Vec<i64> {
    for session in 0..sessions {
        let event = numbered(&format!("s{session}"), session);
        outbox.send(&event).await.unwrap();
    }
    place
        .run("update whatsapp_phone_outbox set is_dead = 1")
        .await;
    let letters = outbox.dead_letters(0, 1000).await.unwrap();
    letters.iter().map(|letter| letter.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_of_too_many_dead_letters_are_deleted() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let ids = dead(&place, &outbox, 50).await;
        // Several workers find them at the same time.
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (sink, _events) = channel(10);
                let worker = outbox.deliver_to(sink).keep_dead_letters(Duration::MAX);
                worker.max_dead_letters(2).start()
            })
            .collect();
        until_async("some are deleted", async || {
            outbox.status().await.unwrap().dead <= 2
        })
        .await;
        join_all(workers.into_iter().map(OutboxWorker::stop)).await;
        let kept = outbox.dead_letters(0, 10).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|letter| letter.id).collect();
        assert_eq!(kept, ids[48..]);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_calls_that_change_the_same_dead_letter_one_succeeds() {
    on_each(async |place| {
        let (_, one) = place.open_outbox(fast(), "queue").await;
        let (_, two) = place.open_outbox(fast(), "queue").await;
        let (_, other) = place.open_outbox(fast(), "other").await;
        let mut left = 0;
        for id in dead(&place, &one, 20).await {
            assert!(!other.replay(id).await.unwrap() && !other.delete(id).await.unwrap());
            let (replayed, deleted) = tokio::join!(one.replay(id), two.delete(id));
            let (replayed, deleted) = (replayed.unwrap(), deleted.unwrap());
            assert!(replayed != deleted, "{replayed} {deleted}");
            left += u64::from(replayed);
        }
        let status = one.status().await.unwrap();
        assert_eq!((status.waiting, status.dead), (left, 0));
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_that_hang_leave_room_for_first_attempts() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        for session in 0..10 {
            let event = numbered(&format!("s{session}"), 1);
            outbox.send(&event).await.unwrap();
        }
        place
            .run("update whatsapp_phone_outbox set attempts = 1")
            .await;
        let retries = Arc::new(AtomicUsize::new(0));
        let (sink, mut events) = channel(10);
        let (counted, sink) = (retries.clone(), Arc::new(sink));
        let worker = outbox.deliver_to(By(move |event: SessionEvent| {
            let (counted, sink) = (counted.clone(), sink.clone());
            async move {
                if event.session().unwrap().session_id.as_str() == "new" {
                    return sink.send(&event).await;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
        }));
        let worker = worker.send_timeout(Duration::from_hours(1));
        let worker = worker.concurrency(4).start();
        until_async("retries hang", async || {
            retries.load(Ordering::Relaxed) >= 3
        })
        .await;
        for seq in 1..=3 {
            outbox.send(&numbered("new", seq)).await.unwrap();
            let event = within_limit("a first attempt", events.recv()).await;
            assert_eq!(event.unwrap().seq(), Some(seq));
        }
        assert_eq!(retries.load(Ordering::Relaxed), 3);
        drop(worker);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_events_are_delivered_and_readable_as_dead_letters() {
    // Both are longer in the table: the first in ASCII.
    let accents = "é".repeat(12_500);
    let letters = "x".repeat(65_495);
    let events = [accents, letters].map(|text| {
        let json = format!(r#"{{"event":"theirs","data":{{"of":"{text}"}}}}"#);
        SessionEvent::from_json(json.as_bytes()).unwrap()
    });
    assert_eq!(events[1].to_json().len(), 65_530);
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        for event in &events {
            outbox.send(event).await.unwrap();
        }
        let is_refused = AtomicBool::new(true);
        let (sink, mut delivered) = channel(10);
        let sink = Arc::new(sink);
        let refuses = By(move |event: SessionEvent| {
            let refused = is_refused.swap(false, Ordering::Relaxed);
            let sink = sink.clone();
            async move {
                match refused {
                    true => Err(SinkError::permanent("refused", "no")),
                    false => sink.send(&event).await,
                }
            }
        });
        let worker = quick(outbox.deliver_to(refuses));
        let next = within_limit("the second one", delivered.recv())
            .await
            .unwrap();
        assert_eq!(next.to_json(), events[1].to_json());
        worker.stop().await;
        let dead = outbox.dead_letters(0, 10).await.unwrap();
        assert_eq!((dead.len(), &*dead[0].error), (1, "refused"));
        let event = dead[0].event.as_ref().unwrap();
        assert_eq!(event.to_json(), events[0].to_json());
        place.end().await;
    })
    .await;
}

#[cfg(feature = "webhook")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_an_id_has_one_webhook_id_in_all_attempts() {
    use axum::http::{HeaderMap, StatusCode};
    use whatsapp_phone::event::webhook::WebhookSink;

    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = seen.clone();
        let receive = async move |headers: HeaderMap, body: String| {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            let mut seen = record.lock().unwrap();
            seen.push(format!("{id} {body}"));
            match seen.len() {
                1..=2 => StatusCode::INTERNAL_SERVER_ERROR,
                3 => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::NO_CONTENT,
            }
        };
        let app = axum::Router::new().route("/", axum::routing::post(receive));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async { axum::serve(listener, app).await });
        let keys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let builder = WebhookSink::builder(url, keys)
            .allow_http()
            .allow_private_addresses();
        let once = Backoff::builder().attempts(1).build().unwrap();
        let sink = builder.backoff(once).attempt_timeout(LIMIT).build();
        let worker = outbox.deliver_to(sink.unwrap()).send_timeout(LIMIT);
        let worker = quick(worker);
        let json = r#"{"data":{"of":"others"},"event":"theirs","id":7}"#;
        let event = SessionEvent::from_json(json.as_bytes()).unwrap();
        outbox.send(&event).await.unwrap();
        drained(&outbox).await;
        // Refused, and replayed.
        assert_eq!(outbox.replay_all().await.unwrap(), 1);
        drained(&outbox).await;
        outbox.send(&event).await.unwrap();
        drained(&outbox).await;
        worker.stop().await;
        server.abort();
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert!(seen[..4].iter().all(|one| *one == seen[0]), "{seen:?}");
        assert!(seen[0].ends_with(&event.to_json()), "{seen:?}");
        assert_ne!(seen[4], seen[0], "another event");
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_outbox_refuses_events_but_no_event_of_its_store() {
    on_each(async |place| {
        let options = StoreOptions::default().outbox("queue");
        let (store, outbox) = place.open_outbox(options, "queue").await;
        // A dead letter takes no room.
        let unlimited = outbox.clone().max_waiting(u64::MAX);
        unlimited.send(&numbered("dead", 1)).await.unwrap();
        place
            .run("update whatsapp_phone_outbox set is_dead = 1")
            .await;
        let outbox = outbox.max_waiting(2);
        for seq in 1..=2 {
            outbox.send(&numbered("s", seq)).await.unwrap();
        }
        let error = outbox.send(&numbered("s", 3)).await.unwrap_err();
        assert_eq!((error.code(), error.is_transient()), ("queue_full", true));
        store.register(&key("s")).await.unwrap();
        store.apply(&numbered("s", 4)).await.unwrap();
        assert_eq!(outbox.status().await.unwrap().waiting, 3);
        let (sink, mut events) = channel(10);
        let worker = outbox.deliver_to(sink).start();
        for seq in [1, 2, 4] {
            let event = within_limit("an event", events.recv()).await.unwrap();
            assert_eq!(event.seq(), Some(seq));
        }
        let sent = async || outbox.send(&numbered("s", 5)).await.is_ok();
        until_async("there is room again", sent).await;
        worker.stop().await;
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_hangs_holds_up_one_session_alone_and_asks_for_time() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let accepted = Arc::new(Accepted::default());
        let seen = accepted.clone();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let worker = quick(outbox.deliver_to(By(move |event: SessionEvent| {
            let seen = seen.clone();
            let session = event.session().unwrap().session_id.as_str().to_owned();
            let first = session == "asks" && counted.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                match &*session {
                    "hangs" => std::future::pending().await,
                    _ if first => Err(down().with_retry_after(MS(700))),
                    _ => {
                        seen.accept(&event);
                        Ok(())
                    }
                }
            }
        })));
        let began = Instant::now();
        outbox.send(&numbered("hangs", 1)).await.unwrap();
        outbox.send(&numbered("asks", 1)).await.unwrap();
        for seq in 1..=20 {
            outbox.send(&numbered("other", seq)).await.unwrap();
        }
        until_async("all others are delivered", async || {
            outbox.status().await.unwrap().waiting == 1
        })
        .await;
        assert!(began.elapsed() >= MS(700));
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        assert_eq!(accepted.seqs.lock().unwrap()["other"].len(), 20);
        drop(worker);
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_an_earlier_event_frees_is_accepted_in_the_end() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let receiver = MemoryStore::default();
        for session in ["former", "present", "third"] {
            receiver.register(&key(session)).await.unwrap();
        }
        let number = "628110000041";
        receiver.apply(&ready("former", number)).await.unwrap();
        let (sink, tries) = (StoreSink::new(receiver.clone()), AtomicUsize::new(0));
        let sink = Arc::new((sink, tries));
        let worker = quick(outbox.deliver_to(By(move |event: SessionEvent| {
            let sink = sink.clone();
            async move {
                let is_former = event.session() == Some(&key("former"));
                if is_former && sink.1.fetch_add(1, Ordering::Relaxed) < 20 {
                    return Err(down());
                }
                sink.0.send(&event).await
            }
        })));
        let gone = SessionEvent::session_disconnected(key("former"), "");
        outbox.send(&gone).await.unwrap();
        outbox.send(&ready("present", number)).await.unwrap();
        drained(&outbox).await;
        let id = key("present").session_id;
        let row = receiver.session(&id).await.unwrap().unwrap();
        assert_eq!(row.status, Status::Connected);
        assert_eq!(outbox.status().await.unwrap().dead, 0);

        // Now no event can free it.
        outbox.send(&ready("third", number)).await.unwrap();
        drained(&outbox).await;
        worker.stop().await;
        let dead = outbox.dead_letters(0, 10).await.unwrap();
        assert_eq!(
            (dead.len(), &*dead[0].error, dead[0].attempts),
            (1, "number_already_connected", 7)
        );
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_asks_for_endless_time_gets_a_day_at_most_and_holds_up_no_other_session() {
    on_each(async |place| {
        let (_, outbox) = place.open_outbox(fast(), "queue").await;
        let (sink, mut delivered) = channel(10);
        let accepted = Arc::new(sink);
        let asks = |accepted: &Arc<ChannelSink>| {
            let accepted = accepted.clone();
            By(move |event: SessionEvent| {
                let accepted = accepted.clone();
                async move {
                    match event.session().unwrap().session_id.as_str() {
                        "asks" => Err(down().with_retry_after(Duration::MAX)),
                        _ => accepted.send(&event).await,
                    }
                }
            })
        };
        let worker = quick(outbox.deliver_to(asks(&accepted)));
        outbox.send(&numbered("asks", 1)).await.unwrap();
        let attempted = async || {
            let attempts = "select case attempts when 1 then 'yes' end from whatsapp_phone_outbox";
            place.text(attempts).await.is_some()
        };
        until_async("the attempt is recorded", attempted).await;
        outbox.send(&numbered("other", 1)).await.unwrap();
        let other = within_limit("the other session's event", delivered.recv()).await;
        assert_eq!(other.unwrap().seq(), Some(1));
        worker.stop().await;
        let wait = "select case when due_at - created_at between 86400000 and 90000000
            then 'a day' end from whatsapp_phone_outbox where attempts = 1";
        assert_eq!(place.text(wait).await.as_deref(), Some("a day"));

        // The backoff's deadline is sooner: there is one attempt more, then no other.
        place.run("delete from whatsapp_phone_outbox").await;
        let backoff = steady(MS(10)).to_builder().deadline(MS(500));
        let worker = outbox.deliver_to(asks(&accepted));
        let worker = worker.backoff(backoff.build().unwrap()).start();
        outbox.send(&numbered("asks", 2)).await.unwrap();
        drained(&outbox).await;
        worker.stop().await;
        let dead = outbox.dead_letters(0, 10).await.unwrap();
        assert_eq!((dead.len(), &*dead[0].error), (1, "down"));
        place.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incoming_queue_is_applied_to_the_store_and_fills_the_outgoing_one() {
    on_each(async |place| {
        let options = fast().outbox("out");
        let (store, out) = place.open_outbox(options, "out").await;
        let (_, incoming) = place.open_outbox(fast(), "in").await;
        store.register(&key("s")).await.unwrap();
        let (sink, mut events) = channel(10);
        let workers = [
            incoming.deliver_to(StoreSink::new(store.clone())).start(),
            out.deliver_to(sink).start(),
        ];
        let sent = ready("s", "628110000041");
        for event in [&sent, &sent, &ready("unknown", "628110000042")] {
            incoming.send(event).await.unwrap();
        }
        drained(&incoming).await;
        let event = within_limit("an event", events.recv()).await.unwrap();
        assert_eq!(event.to_json(), sent.to_json());
        drained(&out).await;
        let dead = incoming.dead_letters(0, 10).await.unwrap();
        assert_eq!((dead.len(), &*dead[0].error), (1, "unknown_session"));
        for worker in workers {
            worker.stop().await;
        }
        assert!(events.recv().await.is_none());
        place.end().await;
    })
    .await;
}

#[tokio::test]
async fn the_table_is_checked_only_if_an_outbox_is_used() {
    on_each(async |place| {
        place.open(StoreOptions::default()).await.unwrap();
        place.open_unchanged(StoreOptions::default()).await.unwrap();
        let missing = place
            .open_unchanged(StoreOptions::default().outbox("out"))
            .await;
        let error = missing.err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert!(
            error.to_string().contains("whatsapp_phone_outbox"),
            "{error}"
        );
        let (_, outbox) = place.open_outbox(StoreOptions::default(), "out").await;
        place
            .open_unchanged(StoreOptions::default().outbox("out"))
            .await
            .unwrap();
        let invalid = place
            .open_unchanged(StoreOptions::default().outbox("no name"))
            .await;
        assert_eq!(invalid.err().unwrap().kind(), StoreErrorKind::Misconfigured);
        assert_eq!(outbox.queue(), "out");
        place
            .run("alter table whatsapp_phone_outbox rename column lease to held")
            .await;
        let changed = place
            .open_unchanged(StoreOptions::default().outbox("out"))
            .await;
        let error = changed.err().unwrap().to_string();
        assert!(
            error.contains("whatsapp_phone_outbox` cannot be used: column `lease`"),
            "{error}"
        );
        place.end().await;
    })
    .await;
}
