//! `-- outbox 100000`: the time of `apply` without an outbox, with one whose receiver is healthy, with one whose
//! receiver hangs, and with one in which 100,000 other events wait too, for 10,000 sessions. On each database the four
//! take turns, three times. Worker and healthy receiver run in the same process. The events of a turn that this
//! receiver has not got in time are deleted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use tokio::net::TcpListener;
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::event::{SessionEvent, SessionKey};
use whatsapp_phone::store::outbox::Outbox;
use whatsapp_phone::store::{SessionStore, StoreOptions};

use super::database::{Kind, Place};
use super::{measure, ms, percentile, rows};

const TURNS: usize = 3;
const QUEUE: &str = "webhook";

/// One of the compared stores, in a database of its own.
struct Side {
    name: &'static str,
    place: Place,
    store: Arc<dyn SessionStore>,
    /// The outbox, with the URL of its receiver.
    outbox: Option<(Outbox, String)>,
    is_healthy: bool,
    times: Vec<Duration>,
}

impl Side {
    async fn open(kind: Kind, name: &'static str, url: Option<String>, is_healthy: bool) -> Self {
        let place = Place::new(kind).await;
        let options = StoreOptions::default();
        let (store, outbox) = match url {
            Some(url) => {
                let (store, outbox) = place.open_outbox(options.outbox(QUEUE), QUEUE).await;
                (store, Some((outbox, url)))
            }
            None => (Arc::from(place.open(options).await.unwrap()), None),
        };
        Self {
            name,
            place,
            store,
            outbox,
            is_healthy,
            times: Vec::new(),
        }
    }

    /// Measures once, while a worker delivers.
    async fn turn(&mut self) {
        let worker = self.outbox.as_ref().map(|(outbox, url)| {
            let keys = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
            let sink = WebhookSink::builder(url, keys).allow_http();
            let sink = sink.allow_private_addresses().build().unwrap();
            outbox.deliver_to(sink).start()
        });
        self.times.extend(measure(&self.store, 0).await.0);
        drop(worker);
        if self.is_healthy {
            self.place.run("DELETE FROM whatsapp_phone_outbox").await;
        }
    }
}

pub(crate) async fn compare(waiting: u32) {
    let healthy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (up, down) = (url(&healthy), url(&hanging));
    let app = axum::Router::new().fallback(async || StatusCode::NO_CONTENT);
    tokio::spawn(async { axum::serve(healthy, app).await });
    println!(
        "{:<10} {:<16} {:>10} {:>10} {:>14} {:>10}",
        "store", "receiver", "median", "p95", "median ratio", "p95 ratio"
    );
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::MySql] {
        let mut sides = [
            Side::open(kind, "none", None, false).await,
            Side::open(kind, "healthy", Some(up.clone()), true).await,
            Side::open(kind, "hangs", Some(down.clone()), false).await,
            Side::open(kind, "hangs, backlog", Some(down.clone()), false).await,
        ];
        fill(&sides[3].place, waiting).await;
        for _ in 0..TURNS {
            for side in &mut sides {
                side.turn().await;
            }
        }
        let [mut plain_median, mut plain_p95] = [Duration::ZERO; 2];
        for (n, side) in sides.iter_mut().enumerate() {
            side.times.sort_unstable();
            let [median, p95] = [50, 95].map(|percent| percentile(&side.times, percent));
            if n == 0 {
                (plain_median, plain_p95) = (median, p95);
            }
            println!(
                "{:<10} {:<16} {:>10} {:>10} {:>14.2} {:>10.2}",
                kind,
                side.name,
                ms(median),
                ms(p95),
                median.as_secs_f64() / plain_median.as_secs_f64(),
                p95.as_secs_f64() / plain_p95.as_secs_f64(),
            );
        }
        for side in sides {
            side.place.end().await;
        }
    }
}

/// Adds waiting events.
async fn fill(place: &Place, waiting: u32) {
    let event = SessionEvent::session_authenticated(SessionKey::new(1, "other").unwrap());
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let (body, now, numbers) = (event.to_json(), now.as_millis(), rows::numbers());
    let columns = "queue, order_key, event_id, body, is_dead, attempts, due_at, created_at";
    place
        .run(&format!(
            "INSERT INTO whatsapp_phone_outbox ({columns})
            SELECT '{QUEUE}', n % 10000, concat('other-', n), '{body}', 0, 0, {now}, {now}
            FROM {numbers} WHERE n < {waiting} ORDER BY n"
        ))
        .await;
    match place.kind {
        Kind::MySql => place.run("ANALYZE TABLE whatsapp_phone_outbox").await,
        _ => place.run("ANALYZE whatsapp_phone_outbox").await,
    }
}
