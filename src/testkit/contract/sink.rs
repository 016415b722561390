//! The contract of [`EventSink`], as tests that run on any sink.
//!
//! ```
//! use std::sync::Arc;
//! use whatsapp_phone::event::channel::{EventReceiver, channel};
//! use whatsapp_phone::event::{EventSink, SessionEvent};
//! use whatsapp_phone::testkit::contract::sink::{self, SinkFixture};
//!
//! struct Channel(tokio::sync::Mutex<Option<EventReceiver>>);
//!
//! #[async_trait::async_trait]
//! impl SinkFixture for Channel {
//!     async fn sink(&self) -> Arc<dyn EventSink> {
//!         let (sink, events) = channel(100);
//!         *self.0.lock().await = Some(events);
//!         Arc::new(sink)
//!     }
//!
//!     async fn arrived(&self, count: usize) -> Option<Vec<SessionEvent>> {
//!         let mut events = self.0.lock().await;
//!         let mut arrived = Vec::new();
//!         while arrived.len() < count {
//!             arrived.push(events.as_mut()?.recv().await?);
//!         }
//!         Some(arrived)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! sink::all(&Channel(Default::default())).await;
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::event::{EventKind, EventSink, Failed, QrCode, SessionEvent, SessionKey};
use crate::phone::PhoneNumber;

/// Makes sinks, and sees what arrives behind them.
#[async_trait]
pub trait SinkFixture: Send + Sync {
    /// Makes a fresh sink, which accepts events of the sessions `contract-0` to `contract-3` of workspace
    /// 1, and room for 50 of them.
    async fn sink(&self) -> Arc<dyn EventSink>;

    /// Waits until this many events have arrived behind the latest sink since the last call, and
    /// returns them in the order of their arrival. `None`: what arrives cannot be seen as events, for
    /// instance in a store.
    async fn arrived(&self, count: usize) -> Option<Vec<SessionEvent>>;

    /// Returns whether the payload of a QR code arrives. Default: yes. A sink that stores events drops it.
    fn carries_qr_payloads(&self) -> bool {
        true
    }

    /// Returns a time that is longer than anything here takes. Default: 30 s.
    fn call_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Runs every rule on the sinks of this fixture, by reference, boxed and in an `Arc`.
///
/// # Panics
///
/// When a rule is broken; the message names it.
pub async fn all(fixture: &dyn SinkFixture) {
    carries_every_kind(fixture, &*fixture.sink().await).await;
    keeps_the_order(fixture, &*fixture.sink().await).await;
    carries_several_at_once(fixture, &*fixture.sink().await).await;
    survives_drops(fixture, &*fixture.sink().await).await;
    let sink = fixture.sink().await;
    carries_every_kind(fixture, &&*sink).await;
    carries_every_kind(fixture, &fixture.sink().await).await;
    carries_every_kind(fixture, &Box::new(fixture.sink().await)).await;
}

fn session(n: usize) -> SessionKey {
    match SessionKey::new(1, format!("contract-{n}")) {
        Ok(session) => session,
        Err(error) => panic!("{error}"),
    }
}

fn every_kind() -> Vec<SessionEvent> {
    let Ok(qr) = QrCode::new("2@contract") else {
        panic!("a literal code");
    };
    let Ok(phone) = "628110000041".parse::<PhoneNumber>() else {
        panic!("a literal number");
    };
    let read = |json: &str| match SessionEvent::from_json(json.as_bytes()) {
        Ok(event) => event,
        Err(error) => panic!("a literal event: {error}"),
    };
    let foreign = read(r#"{"event":"contract","data":{"of":"others"},"beside":[1,2]}"#);
    let reference = read(
        r#"{"event":"qr_code_generated","data":{"workspace_id":1,"session_id":"contract-0",
        "qr_code":"2@contract","expires_in":60,"is_regeneration":true}}"#,
    );
    vec![
        SessionEvent::qr_code_generated(session(0), qr),
        reference,
        SessionEvent::session_authenticated(session(0)),
        SessionEvent::session_ready(session(0), phone),
        foreign,
        SessionEvent::session_disconnected(session(0), "LOGOUT"),
        SessionEvent::session_reconnected(session(0)),
        SessionEvent::session_error(session(0), Failed::new("not_ready", "no number")),
    ]
}

async fn ends<T>(
    fixture: &dyn SinkFixture,
    sink: &dyn EventSink,
    what: impl Future<Output = T>,
) -> T {
    match timeout(fixture.call_timeout(), what).await {
        Ok(output) => output,
        Err(_) => panic!(
            "the contract of EventSink: every `send` ends, and what is accepted arrives; `{}` took longer than {:?}",
            sink.name(),
            fixture.call_timeout()
        ),
    }
}

async fn accepts(fixture: &dyn SinkFixture, sink: &dyn EventSink, event: &SessionEvent) {
    if let Err(error) = ends(fixture, sink, sink.send(event)).await {
        panic!(
            "the contract of EventSink: an event of every kind is accepted; `{}` refused {event:?}: {error}",
            sink.name()
        );
    }
}

/// Checks that these events have arrived, those of a session in this order; in any order if `sorted`.
async fn arrives(
    fixture: &dyn SinkFixture,
    sink: &dyn EventSink,
    sent: &[SessionEvent],
    sorted: bool,
) {
    let Some(arrived) = ends(fixture, sink, fixture.arrived(sent.len())).await else {
        return;
    };
    let text = |event: &SessionEvent| match event.kind() {
        EventKind::QrCodeGenerated(qr) if !fixture.carries_qr_payloads() => {
            let payload = qr.reveal().unwrap_or_default();
            let payload = serde_json::Value::from(payload).to_string();
            event.to_json().replace(&payload, "null")
        }
        _ => event.to_json(),
    };
    let texts = |events: &[SessionEvent]| {
        let mut texts: Vec<_> = events
            .iter()
            .map(|event| (event.session().cloned(), text(event)))
            .collect();
        match sorted {
            true => texts.sort(),
            false => texts.sort_by_key(|(session, _)| session.clone()),
        }
        texts
    };
    let (arrived, sent) = (texts(&arrived), texts(sent));
    assert!(
        arrived == sent,
        "the contract of EventSink: what is sent arrives, once, unchanged, and in order; `{}` carried {arrived:?}, not {sent:?}",
        sink.name()
    );
}

/// Events of every kind arrive, unchanged and in the order of their session, and the name stays.
///
/// # Panics
///
/// When a rule is broken.
pub async fn carries_every_kind(fixture: &dyn SinkFixture, sink: &dyn EventSink) {
    let name = sink.name().to_owned();
    let sent = every_kind();
    for event in &sent {
        accepts(fixture, sink, event).await;
    }
    arrives(fixture, sink, &sent, false).await;
    assert!(
        !name.is_empty() && sink.name() == name,
        "the contract of EventSink: a sink has a name and keeps it; {name:?} became {:?}",
        sink.name()
    );
}

/// Events that are sent one after another arrive in that order.
///
/// # Panics
///
/// When the rule is broken.
pub async fn keeps_the_order(fixture: &dyn SinkFixture, sink: &dyn EventSink) {
    let mut sent = Vec::new();
    for seq in 1..=20 {
        let event = SessionEvent::session_authenticated(session(1)).with_seq(seq);
        accepts(fixture, sink, &event).await;
        sent.push(event);
    }
    arrives(fixture, sink, &sent, false).await;
}

/// Events that are sent at once all arrive.
///
/// # Panics
///
/// When the rule is broken.
pub async fn carries_several_at_once(fixture: &dyn SinkFixture, sink: &dyn EventSink) {
    let sent: Vec<_> = (0..20)
        .map(|n| SessionEvent::session_authenticated(session(n % 4)))
        .collect();
    join_all(sent.iter().map(|event| accepts(fixture, sink, event))).await;
    arrives(fixture, sink, &sent, true).await;
}

/// Checks that a `send` may be dropped; the next one works.
///
/// # Panics
///
/// When the rule is broken.
pub async fn survives_drops(fixture: &dyn SinkFixture, sink: &dyn EventSink) {
    let event = SessionEvent::session_authenticated(session(2));
    drop(sink.send(&event));
    // Dropped after its first step, it has arrived or has not.
    let _ = sink.send(&event).now_or_never();
    for _ in 0..3 {
        accepts(fixture, sink, &event).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Mutex;

    use super::*;
    use crate::event::SinkError;
    use crate::event::channel::{ChannelSink, EventReceiver, channel};
    use crate::event::fan_out::FanOut;
    use crate::store::memory::MemoryStore;
    use crate::store::{SessionStore, StoreSink};

    /// A sink made of a channel, and what comes out of the channel.
    struct Over<F>(F, Mutex<Option<EventReceiver>>);

    fn over<F: Fn(ChannelSink) -> Arc<dyn EventSink>>(make: F) -> Over<F> {
        Over(make, Mutex::new(None))
    }

    #[async_trait]
    impl<F: Fn(ChannelSink) -> Arc<dyn EventSink> + Send + Sync> SinkFixture for Over<F> {
        async fn sink(&self) -> Arc<dyn EventSink> {
            let (sink, events) = channel(100);
            *self.1.lock().await = Some(events);
            (self.0)(sink)
        }

        async fn arrived(&self, count: usize) -> Option<Vec<SessionEvent>> {
            let mut events = self.1.lock().await;
            let events = events.as_mut().unwrap();
            let mut arrived = Vec::new();
            while arrived.len() < count {
                arrived.push(events.recv().await?);
            }
            Some(arrived)
        }
    }

    struct InStore;

    #[async_trait]
    impl SinkFixture for InStore {
        async fn sink(&self) -> Arc<dyn EventSink> {
            let store = MemoryStore::default();
            for n in 0..4 {
                store.register(&session(n)).await.unwrap();
            }
            Arc::new(StoreSink::new(store))
        }

        async fn arrived(&self, _: usize) -> Option<Vec<SessionEvent>> {
            None
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sinks_of_this_crate_keep_the_contract() {
        all(&over(|sink| Arc::new(sink) as _)).await; // ChannelSink
        let deciding = over(|sink| Arc::new(FanOut::after(sink)) as _);
        all(&deciding).await; // FanOut
        let observing = over(|sink| {
            let (deciding, mut events) = channel(100);
            tokio::spawn(async move { while events.recv().await.is_some() {} });
            Arc::new(FanOut::after(deciding).observer(sink)) as _
        });
        all(&observing).await; // FanOut
        all(&InStore).await; // StoreSink
    }

    /// Webhooks over HTTP on this machine, and what the receiver read.
    #[cfg(feature = "webhook")]
    struct OverHttp(Mutex<Option<EventReceiver>>);

    #[cfg(feature = "webhook")]
    #[async_trait]
    impl SinkFixture for OverHttp {
        async fn sink(&self) -> Arc<dyn EventSink> {
            use crate::event::webhook::WebhookSink;

            let (read, events) = channel(100);
            *self.0.lock().await = Some(events);
            let receive = async move |body: axum::body::Bytes| {
                let event = SessionEvent::from_json(&body).unwrap();
                read.send(&event).await.unwrap();
            };
            let app = axum::Router::new().route("/", axum::routing::post(receive));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async { axum::serve(listener, app).await });
            let builder = WebhookSink::unsigned(url).allow_http();
            let sink = builder
                .allow_private_addresses()
                .attempt_timeout(Duration::from_secs(30));
            Arc::new(sink.build().unwrap())
        }

        async fn arrived(&self, count: usize) -> Option<Vec<SessionEvent>> {
            let mut events = self.0.lock().await;
            let events = events.as_mut().unwrap();
            let mut arrived = Vec::new();
            while arrived.len() < count {
                arrived.push(events.recv().await?);
            }
            Some(arrived)
        }
    }

    #[cfg(feature = "webhook")]
    #[tokio::test]
    async fn webhooks_keep_the_contract() {
        all(&OverHttp(Mutex::new(None))).await; // WebhookSink
    }

    struct Loses(ChannelSink);

    #[async_trait]
    impl EventSink for Loses {
        fn name(&self) -> &str {
            "loses"
        }

        async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
            match event.seq() {
                Some(7) => Ok(()),
                _ => self.0.send(event).await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "what is accepted arrives")]
    async fn a_lost_event_is_caught() {
        all(&over(|sink| Arc::new(Loses(sink)) as _)).await;
    }

    struct Garbles(ChannelSink);

    #[async_trait]
    impl EventSink for Garbles {
        fn name(&self) -> &str {
            "garbles"
        }

        async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
            self.0.send(&event.clone().with_seq(1)).await
        }
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "unchanged")]
    async fn a_changed_event_is_caught() {
        all(&over(|sink| Arc::new(Garbles(sink)) as _)).await;
    }
}
