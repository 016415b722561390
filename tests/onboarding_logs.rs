//! The log of a whole onboarding, at every level and of every crate, holds no number, no LID, no QR code and no
//! secret: a page in a real browser, three databases, a signed webhook, its receiver and the status.
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

use base64::prelude::{BASE64_STANDARD, Engine as _};
use database::{Kind, Place};
use support::log::Log;
use support::program::get;
use support::{Stage, ms, policy, time, until_async};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::event::{EventSink, SessionEvent, SessionKey, signature::SigningKeys};
use whatsapp_phone::onboard::{Ended, PageMonitor};
use whatsapp_phone::server::{AccessTokens, Api, WebhookReceiver};
use whatsapp_phone::source::webdriver::WebDriverSource;
use whatsapp_phone::store::{SessionStore, Status, StoreOptions, StoreSink};
use whatsapp_phone::testkit::standin::{Generation, LID, PHONE, QR_PREFIX, Scenario, Step};

/// A session whose id is a number, as it is in some services, and the name of a foreign event.
const SESSION: &str = "628990000077";
const FOREIGN: &str = "628990000078";

/// Numbers as people write them, in texts of another sender.
const SPACED: &str = "+62 899 0000 079";
const DASHED: &str = "+62 899-0000-079";

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "5f0e3c9a1d7b4286a94be1c07d3f5e82";
/// In the webhook's URL.
const URL_TOKEN: &str = "c41d8e02b7f95a6390ac2e7f1b08d46d";
/// In the URLs of databases and webhook.
const PASSWORD: &str = "correct-horse-battery";

/// Makes an empty database, and returns the URL of a user of it who has a password.
async fn place(kind: Kind) -> (Place, String) {
    let place = Place::new(kind).await;
    let name = &place.name;
    let user = match kind {
        Kind::Sqlite => {
            let url = place.url.clone();
            return (place, url);
        }
        Kind::Postgres => format!(
            "CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'; GRANT ALL ON SCHEMA {name} TO {name}"
        ),
        Kind::MySql => format!(
            "CREATE USER {name} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {name}.* TO {name}"
        ),
    };
    place.run(&user).await;
    let (scheme, rest) = place.url.split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap();
    let url = format!("{scheme}://{name}:{PASSWORD}@{rest}");
    (place, url)
}

/// Opens a store with the rows of these sessions.
async fn store(
    (place, url): &(Place, String),
    sessions: [&SessionKey; 2],
) -> Arc<dyn SessionStore> {
    let store = Place::open_at(place.kind, url, StoreOptions::default()).await;
    let store: Arc<dyn SessionStore> = store.unwrap().into();
    for session in sessions {
        store.register(session).await.unwrap();
    }
    store
}

/// Starts the routes over this store, and returns their address.
async fn serve(store: Arc<dyn SessionStore>, sink: impl EventSink + 'static) -> String {
    let receiver = WebhookReceiver::new(SECRET.parse().unwrap(), sink);
    let tokens = AccessTokens::default().allow(7, TOKEN).unwrap();
    let app = Api::new(store, tokens).receiver(receiver).into_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// Returns a sender to the receiver at this address.
fn webhook(address: &str) -> WebhookSink {
    let url = format!("http://hook:{PASSWORD}@{address}/webhooks/whatsapp?token={URL_TOKEN}");
    let builder = WebhookSink::builder(url, SECRET.parse::<SigningKeys>().unwrap());
    let builder = builder.allow_http().allow_private_addresses();
    builder.attempt_timeout(time::LIMIT).build().unwrap()
}

/// An event as another sender writes it.
fn event(json: &str) -> SessionEvent {
    SessionEvent::from_json(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn no_number_and_no_secret_is_logged_in_a_whole_onboarding() {
    // Before the log begins: sqlx logs the statements that set a password.
    let places = [
        place(Kind::Sqlite).await,
        place(Kind::Postgres).await,
        place(Kind::MySql).await,
    ];
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("trace"))
        .with_writer(log.clone())
        .with_ansi(false)
        .init();

    let session = SessionKey::new(7, SESSION).unwrap();
    let other = SessionKey::new(7, "other").unwrap();
    let sessions = [&session, &other];
    let own = store(&places[0], sessions).await;
    let postgres = store(&places[1], sessions).await;
    let mysql = store(&places[2], sessions).await;
    let received =
        FanOut::after(StoreSink::new(postgres.clone())).observer(StoreSink::new(mysql.clone()));
    let address = serve(postgres.clone(), received).await;
    let sink = FanOut::after(StoreSink::new(own.clone())).observer(webhook(&address));

    let foreign =
        format!(r#"{{"event": "{FOREIGN}", "id": "{FOREIGN}", "data": {{"from": "{SPACED}"}}}}"#);
    sink.send(&event(&foreign)).await.unwrap();
    let failed = format!(
        r#"{{"event": "session_error", "data": {{"workspace_id": 7, "session_id": "other",
            "error": "phone_extraction_failed", "message": "no chat with {DASHED} or {SPACED}"}}}}"#
    );
    sink.send(&event(&failed)).await.unwrap();

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
    let (number, _) = PHONE.split_once(':').unwrap();
    let status = format!("http://{address}/api/v1/whatsapp/accounts/{SESSION}/status");
    let status = get(&status, TOKEN).await;
    assert!(status.contains(number), "{status}");
    stage.page.clone().close().await;
    assert_eq!(monitor.await.unwrap(), Ended::PageClosed);
    let has_ended = async || has_status(&*mysql, Status::Disconnected).await;
    until_async("the last event is received", has_ended).await;

    let logged = log.text();
    // The dependencies write too, by `log` and by `tracing`.
    for word in [
        "phone number found",
        "session_error",
        "hyper",
        "sqlx",
        "TRACE",
    ] {
        assert!(logged.contains(word), "{word} is not logged");
    }
    let (lid, _) = LID.split_once('@').unwrap();
    for secret in [
        number,
        &number[2..],
        SESSION,
        FOREIGN,
        &SPACED[4..],
        &DASHED[4..],
        lid,
        QR_PREFIX,
        &SECRET[6..],
        TOKEN,
        URL_TOKEN,
        PASSWORD,
        &BASE64_STANDARD.encode(format!("hook:{PASSWORD}")),
    ] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
