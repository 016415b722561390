//! The log of a whole onboarding, at every level and of every crate, holds no number, no LID, no QR code and no
//! secret: a page in a real browser, two databases, a signed webhook and its receiver.
#![cfg(all(
    feature = "cdp",
    feature = "mysql",
    feature = "postgres",
    feature = "server",
    feature = "sqlite",
    feature = "testkit",
    feature = "webdriver",
    feature = "webhook"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/database.rs"]
mod database;
mod support;

use std::sync::Arc;

use axum::Router;
use database::{Kind, Place};
use support::log::Log;
use support::{Stage, ms, policy, time, until_async};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey, signature::SigningKeys};
use whatsapp_phone::onboard::{Ended, PageMonitor};
use whatsapp_phone::server::WebhookReceiver;
use whatsapp_phone::source::webdriver::WebDriverSource;
use whatsapp_phone::store::{SessionStore, Status, StoreOptions, StoreSink};
use whatsapp_phone::testkit::standin::{Generation, LID, PHONE, QR_PREFIX, Scenario, Step};

/// A session whose id is a number, as it is in some services, and the name of a foreign event.
const SESSION: &str = "628990000077";
const FOREIGN: &str = "628990000078";

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Makes a store in an empty database, with the row of the session.
async fn store(kind: Kind, session: &SessionKey) -> (Place, Arc<dyn SessionStore>) {
    let place = Place::new(kind).await;
    let options = StoreOptions::default().create_tables();
    let store: Arc<dyn SessionStore> = place.open(options).await.unwrap().into();
    store.register(session).await.unwrap();
    (place, store)
}

/// Starts a receiver before this sink, and returns a sender to it.
async fn webhook(sink: impl EventSink + 'static) -> WebhookSink {
    let keys = || SECRET.parse::<SigningKeys>().unwrap();
    let receiver = WebhookReceiver::new(keys(), sink).into_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new().nest("/hook", receiver);
    tokio::spawn(async { axum::serve(listener, app).await });
    let builder = WebhookSink::builder(url, keys());
    let builder = builder.allow_http().allow_private_addresses();
    builder.attempt_timeout(time::LIMIT).build().unwrap()
}

#[tokio::test]
async fn no_number_and_no_secret_is_logged_in_a_whole_onboarding() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_writer(log.clone())
        .with_ansi(false)
        .init();

    let session = SessionKey::new(7, SESSION).unwrap();
    let (_sqlite, own) = store(Kind::Sqlite, &session).await;
    let (_postgres, postgres) = store(Kind::Postgres, &session).await;
    let (_mysql, mysql) = store(Kind::MySql, &session).await;
    let received =
        FanOut::after(StoreSink::new(postgres.clone())).observer(StoreSink::new(mysql.clone()));
    let sink = FanOut::after(StoreSink::new(own.clone())).observer(webhook(received).await);

    let foreign = format!(r#"{{"event": "{FOREIGN}", "id": "{FOREIGN}", "data": {{}}}}"#);
    let foreign = SessionEvent::from_json(foreign.as_bytes()).unwrap();
    sink.send(&foreign).await.unwrap();

    let stage = Stage::open(Scenario::never()).await;
    let monitor = PageMonitor::new(session.clone(), WebDriverSource::all(&stage.page), sink)
        .extractor(|extractor| extractor.policy(policy()))
        .every(ms(100));
    let monitor = tokio::spawn(async move { monitor.run().await });
    let scenario = Scenario::new(Generation::Current)
        .at(ms(0), Step::socket("UNPAIRED"))
        .at(ms(2_500), Step::socket("PAIRING"))
        .at(ms(3_100), Step::me(PHONE))
        .at(ms(3_100), Step::lid(LID))
        .at(ms(5_100), Step::connected());
    stage.reload(scenario).await;
    let has_status = async |store: &dyn SessionStore, status| {
        let row = store.session(&session.session_id).await.unwrap();
        row.is_some_and(|row| row.status == status)
    };
    for store in [&own, &postgres, &mysql] {
        let is_connected = async || has_status(&**store, Status::Connected).await;
        until_async(&format!("{} has the number", store.name()), is_connected).await;
    }
    stage.page.clone().close().await;
    assert_eq!(monitor.await.unwrap(), Ended::PageClosed);
    let has_ended = async || has_status(&*mysql, Status::Disconnected).await;
    until_async("the last event is received", has_ended).await;

    let logged = log.text();
    // The dependencies write too, by `log` and by `tracing`.
    for word in ["phone number found", "hyper", "sqlx", "TRACE"] {
        assert!(logged.contains(word), "{word} is not logged");
    }
    let (number, _) = PHONE.split_once(':').unwrap();
    let (lid, _) = LID.split_once('@').unwrap();
    for secret in [
        number,
        &number[2..],
        SESSION,
        FOREIGN,
        lid,
        QR_PREFIX,
        &SECRET[6..],
    ] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
