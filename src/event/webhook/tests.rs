//! Under paused time, with a transport that is scripted. The tests over HTTP are in `tests/webhook.rs`.

mod building;
mod resolving;

use std::sync::Arc;

use tokio::time::sleep;

use super::answer::{Answer, MAX_RETRY_AFTER};
use super::*;
use crate::event::channel::channel;
use crate::event::fan_out::FanOut;
use crate::event::signature::SignatureHeaders;
use crate::event::{QrCode, SessionKey};
use std::time::SystemTime;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HOUR: Duration = Duration::from_secs(3600);

/// An attempt: when it was made after the start, its headers and its body.
type Attempt = (Duration, Option<SignatureHeaders>, String);

/// The reply to an attempt.
enum Reply {
    Status(u16),
    /// With a `Retry-After`.
    Later(u16, &'static str),
    Cut,
    Hangs,
}

use Reply::{Cut, Hangs, Later, Status};

/// Replies by the time since its start, and records the attempts.
struct Scripted<F> {
    start: Instant,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    reply: F,
}

#[async_trait]
impl<F: Fn(Duration) -> Reply + Send + Sync> Transport for Scripted<F> {
    fn now(&self) -> SystemTime {
        // Sun, 06 Nov 1994 08:49:37 GMT
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) + self.start.elapsed()
    }

    async fn post(
        &self,
        headers: Option<SignatureHeaders>,
        body: String,
    ) -> Result<Answer, SinkError> {
        let at = self.start.elapsed();
        self.attempts.lock().unwrap().push((at, headers, body));
        let (status, retry_after) = match (self.reply)(at) {
            Status(status) => (status, None),
            Later(status, after) => (status, Some(after.to_owned())),
            Cut => return Err(SinkError::transient("webhook_unreachable", "cut")),
            Hangs => std::future::pending().await,
        };
        Ok(Answer {
            status,
            retry_after,
            refusal: None,
        })
    }
}

type Attempts = Arc<Mutex<Vec<Attempt>>>;

fn scripted(
    backoff: Backoff,
    reply: impl Fn(Duration) -> Reply + Send + Sync + 'static,
) -> (WebhookSink, Attempts) {
    let attempts = Attempts::default();
    let transport = Scripted {
        start: Instant::now(),
        attempts: Arc::clone(&attempts),
        reply,
    };
    let keys = Some(SECRET.parse().unwrap());
    let at = "https://receiver.example".to_owned();
    let sink = WebhookSink::over(transport, at, keys, backoff, Duration::from_secs(5));
    (sink, attempts)
}

/// A sink whose receiver is down for this long, in every way, and the events that arrived then. With the
/// default backoff.
pub(crate) fn down_for(time: Duration) -> (WebhookSink, impl Fn() -> Vec<SessionEvent>) {
    let (sink, attempts) = scripted(Backoff::WEBHOOK, down(time));
    (sink, move || arrived(&attempts, time))
}

/// A sink whose receiver refuses all events for this long, and the events that arrived then.
pub(crate) fn refusing_for(time: Duration) -> (WebhookSink, impl Fn() -> Vec<SessionEvent>) {
    let (sink, attempts) = scripted(Backoff::WEBHOOK, move |at| match at < time {
        true => Status(422),
        false => Status(200),
    });
    (sink, move || arrived(&attempts, time))
}

fn down(time: Duration) -> impl Fn(Duration) -> Reply + Send + Sync {
    move |at| match (at < time, at.as_secs() % 5) {
        (false, _) => Status(200),
        (true, 0) => Cut,
        (true, 1) => Hangs,
        (true, 2) => Later(429, "7"),
        (true, _) => Status(503),
    }
}

/// The events of the attempts since then, each with a valid signature.
fn arrived(attempts: &Attempts, since: Duration) -> Vec<SessionEvent> {
    let keys: SigningKeys = SECRET.parse().unwrap();
    let attempts = attempts.lock().unwrap();
    let attempts = attempts.iter().filter(|(at, ..)| *at >= since);
    attempts
        .map(|(at, headers, body)| {
            let headers = headers.as_ref().unwrap();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777) + *at;
            assert_eq!(headers.timestamp, (784_111_777 + at.as_secs()).to_string());
            keys.verify(headers, body.as_bytes(), now).unwrap();
            let event = SessionEvent::from_json(body.as_bytes()).unwrap();
            assert_eq!(event.id(), Some(&headers.id));
            event
        })
        .collect()
}

fn times(attempts: &Attempts) -> Vec<f64> {
    let attempts = attempts.lock().unwrap();
    attempts.iter().map(|(at, ..)| at.as_secs_f64()).collect()
}

fn event() -> SessionEvent {
    SessionEvent::session_authenticated(SessionKey::new(7, "session-1").unwrap())
}

fn steady() -> Backoff {
    Backoff::WEBHOOK.to_builder().jitter(0.0).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_keeps_its_id_and_gets_a_new_timestamp_at_each_attempt() {
    let (sink, attempts) = scripted(steady(), |at| match at.as_millis() {
        ..3000 => Status(500),
        _ => Status(204),
    });
    let event = event();
    sink.send(&event).await.unwrap();
    assert_eq!(times(&attempts), [0.0, 0.5, 1.5, 3.5]);
    let arrived = arrived(&attempts, Duration::ZERO);
    assert!(arrived.iter().all(|one| one.id() == event.id()));
}

#[tokio::test(start_paused = true)]
async fn an_event_without_an_id_has_one_for_all_attempts_of_a_send() {
    let (sink, attempts) = scripted(steady(), |_| Status(500));
    let json = r#"{"event":"session_authenticated","data":{"workspace_id":1,"session_id":"a"}}"#;
    let event = SessionEvent::from_json(json.as_bytes()).unwrap();
    sink.send(&event).await.unwrap_err();
    sink.send(&event).await.unwrap_err();
    let attempts = attempts.lock().unwrap();
    let ids: Vec<_> = attempts.iter().map(|it| it.1.clone().unwrap().id).collect();
    let (first, second) = ids.split_at(4);
    assert!(first.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(second.len() == 4 && second.iter().all(|id| *id == ids[4]));
    assert_ne!(ids[0], ids[4]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_heeds_the_answers_that_other_events_got_meanwhile() {
    let send_two = async |answer: fn() -> Reply| {
        let (sink, attempts) = scripted(steady(), move |at| match at.as_millis() {
            0 => Status(500),
            1..1000 => answer(),
            _ => Status(200),
        });
        let (one, other) = (event(), event());
        let later = async {
            sleep(Duration::from_millis(200)).await;
            sink.send(&other).await
        };
        let (one, other) = tokio::join!(sink.send(&one), later);
        (one, other, times(&attempts))
    };
    let (one, other, at) = send_two(|| Status(410)).await;
    assert_eq!(
        (one.unwrap_err().code(), other.unwrap_err().code()),
        (GONE, GONE)
    );
    assert_eq!(at, [0.0, 0.2]);
    let (one, other, at) = send_two(|| Later(503, "1")).await;
    assert!(one.is_ok() && other.is_ok());
    assert!(at.len() == 4 && at[2] >= 1.2, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn with_the_defaults_a_send_ends_before_its_callers_give_up() {
    for reply in [
        |_| Hangs,
        |_| Cut,
        |_| Status(503),
        |at: Duration| match at < Duration::from_millis(3500) {
            true => Cut,
            false => Hangs,
        },
    ] {
        let (sink, _) = scripted(Backoff::WEBHOOK, reply);
        let start = Instant::now();
        let error = sink.send(&event()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(
            start.elapsed() <= Duration::from_secs(9),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_ends_by_its_timeout() {
    let (sink, attempts) = scripted(steady(), |_| Hangs);
    let start = Instant::now();
    let error = sink.send(&event()).await.unwrap_err();
    assert_eq!(error.code(), "webhook_timeout");
    assert!(
        error.to_string().contains("did not answer in 5s"),
        "{error}"
    );
    assert_eq!((start.elapsed().as_secs(), times(&attempts).len()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_answer_is_not_repeated_and_410_stops_the_sink() {
    for (status, code) in [(302, "webhook_redirected"), (422, "webhook_refused")] {
        let (sink, attempts) = scripted(steady(), move |_| Status(status));
        for count in 1..3 {
            assert_eq!(sink.send(&event()).await.unwrap_err().code(), code);
            assert_eq!(times(&attempts).len(), count);
        }
    }
    let (sink, attempts) = scripted(steady(), |_| Status(410));
    for _ in 0..3 {
        let error = sink.send(&event()).await.unwrap_err();
        assert_eq!((error.code(), error.is_transient()), (GONE, false));
    }
    assert_eq!(times(&attempts), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_the_next_attempt() {
    for after in ["3", "Sun, 06 Nov 1994 08:49:40 GMT"] {
        let (sink, attempts) = scripted(steady(), move |at| match at.is_zero() {
            true => Later(429, after),
            false => Status(200),
        });
        sink.send(&event()).await.unwrap();
        assert_eq!(times(&attempts), [0.0, 3.0]);
    }
    // A shorter one does not shorten the backoff.
    let (sink, attempts) = scripted(steady(), |_| Later(503, "0"));
    sink.send(&event()).await.unwrap_err();
    assert_eq!(times(&attempts), [0.0, 0.5, 1.5, 3.5]);
}

#[tokio::test(start_paused = true)]
async fn a_long_retry_after_stops_all_sends_for_that_time_without_an_attempt() {
    for (after, wait) in [("60", 60), ("999999", MAX_RETRY_AFTER.as_secs())] {
        let (sink, attempts) = scripted(steady(), move |at| match at.is_zero() {
            true => Later(429, after),
            false => Status(200),
        });
        let error = sink.send(&event()).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            ("webhook_failed", true)
        );
        let error = sink.send(&event()).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            ("webhook_paused", true)
        );
        sleep(Duration::from_secs(wait) - Duration::from_secs(1)).await;
        sink.send(&event()).await.unwrap();
        assert_eq!(times(&attempts), [0.0, wait as f64]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_forgotten_between_attempts_is_not_sent() {
    let backoff = Backoff::builder()
        .interval(Duration::from_secs(61))
        .max_interval(HOUR);
    let (sink, attempts) = scripted(backoff.attempts(2).build().unwrap(), |_| Status(503));
    let key = SessionKey::new(7, "session-1").unwrap();
    let qr = QrCode::new("2@secret").unwrap();
    let event = SessionEvent::qr_code_generated(key, qr);
    sink.send(&event).await.unwrap_err();
    let attempts = attempts.lock().unwrap();
    let has_code: Vec<_> = attempts
        .iter()
        .map(|it| it.2.contains("2@secret"))
        .collect();
    assert_eq!(has_code, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_leaves_the_sink_ready() {
    let (sink, attempts) = scripted(steady(), |at| match at.is_zero() {
        true => Hangs,
        false => Status(200),
    });
    assert!(
        timeout(Duration::from_secs(1), sink.send(&event()))
            .await
            .is_err()
    );
    sink.send(&event()).await.unwrap();
    assert_eq!(times(&attempts), [0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_an_hour_gets_all_events_in_order_as_an_observer() {
    let backoff = Backoff::builder().deadline(2 * HOUR).build().unwrap();
    let (sink, attempts) = scripted(backoff, down(HOUR));
    let (deciding, mut decided) = channel(1000);
    let fan_out = FanOut::after(deciding).observer(sink).deadline(3 * HOUR);
    let mut sent = Vec::new();
    for seq in 1..=500 {
        let event = event().with_seq(seq);
        fan_out.send(&event).await.unwrap();
        assert_eq!(decided.recv().await.unwrap().id(), event.id());
        sent.push(event);
        sleep(Duration::from_secs(6)).await;
    }
    sleep(HOUR).await;
    let texts =
        |events: &[SessionEvent]| -> Vec<_> { events.iter().map(SessionEvent::to_json).collect() };
    assert_eq!(texts(&arrived(&attempts, HOUR)), texts(&sent));
    println!(
        "{} attempts in the hour",
        times(&attempts).len() - sent.len()
    );
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let keys = format!("{SECRET} {SECRET}").parse().unwrap();
    let url = "https://hunter1:hunter2@receiver.example/hunter3?hunter4#hunter5";
    let builder = WebhookSink::builder(url, keys);
    let text = format!("{builder:?}");
    let sink = builder.build().unwrap();
    let text = format!("{text} {sink:?}");
    assert!(
        text.contains("receiver.example") && text.contains("SigningKeys(2)"),
        "{text}"
    );
    assert!(
        !text.contains("hunter") && !text.contains(&SECRET[8..12]),
        "{text}"
    );
}
