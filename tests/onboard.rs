//! One session from its QR code to its row and back, on a page in a real browser; and the example `onboard`.
#![cfg(all(feature = "testkit", feature = "webdriver", feature = "events"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(all(
    feature = "metrics",
    feature = "server",
    feature = "sqlite",
    feature = "webhook"
))]
#[path = "onboard/processes.rs"]
mod processes;
mod support;

use support::{Stage, ms, policy, until_async, within_limit};
use whatsapp_phone::PhoneNumber;
use whatsapp_phone::event::channel::{EventReceiver, channel};
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::event::{EventKind, SessionKey};
use whatsapp_phone::link::{LinkSource, LinkState};
use whatsapp_phone::onboard::{Ended, PageMonitor};
use whatsapp_phone::source::webdriver::WebDriverSource;
use whatsapp_phone::store::memory::MemoryStore;
use whatsapp_phone::store::{SessionStore, Status, StoreSink};
use whatsapp_phone::testkit::standin::{Generation, LID, PHONE, Scenario, Step};

const NUMBER: &str = "628110000041";

/// A monitor over this page that writes into a store, and its events.
async fn monitor(stage: &Stage) -> (PageMonitor, MemoryStore, EventReceiver) {
    let store = MemoryStore::default();
    let session = SessionKey::new(7, "session-1").unwrap();
    let row = store.register(&session).await.unwrap();
    let (sent, events) = channel(64);
    let sink = FanOut::after(StoreSink::new(store.clone())).observer(sent);
    let monitor = PageMonitor::new(session, WebDriverSource::all(&stage.page), sink)
        .extractor(|it| it.policy(policy()))
        .resume(&row)
        .every(ms(100));
    (monitor, store, events)
}

/// The names of events up to this one.
async fn until(events: &mut EventReceiver, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != last) {
        let what = format!("{last} after {names:?}");
        let event = within_limit(&what, events.recv()).await.unwrap();
        if let EventKind::SessionReady(ready) = event.kind() {
            assert_eq!(ready.phone().reveal(), NUMBER);
            assert_eq!(ready.lid().unwrap().reveal(), LID);
        }
        names.push(event.name().to_owned());
    }
    names
}

#[tokio::test]
async fn from_the_code_to_the_row_and_to_the_unlinking_and_back() {
    let phone = |at: u64, scenario: Scenario| {
        let scenario = scenario.at(ms(at), Step::socket("PAIRING"));
        let scenario = scenario.at(ms(at + 600), Step::me(PHONE));
        let scenario = scenario.at(ms(at + 600), Step::lid(LID));
        scenario.at(ms(at + 2600), Step::connected())
    };
    let scenario = Scenario::new(Generation::Current).at(ms(0), Step::socket("UNPAIRED"));
    let scenario = phone(2500, scenario);
    // A logout, on which the socket connects once more for a moment.
    let scenario = scenario
        .at(ms(8000), Step::Logout)
        .at(ms(8060), Step::connected())
        .at(ms(8090), Step::socket("UNPAIRED"));
    let stage = Stage::open(Scenario::never()).await;
    let (monitor, store, mut events) = monitor(&stage).await;
    let session = SessionKey::new(7, "session-1").unwrap();
    let monitor = tokio::spawn(async move { monitor.run().await });
    stage.reload(phone(12_000, scenario)).await;

    let row = async || store.session(&session.session_id).await.unwrap().unwrap();
    let linked = [
        "qr_code_generated",
        "session_authenticated",
        "session_ready",
    ];
    assert_eq!(until(&mut events, "session_ready").await, linked);
    assert_eq!((row().await.status, row().await.phone), {
        let number: PhoneNumber = NUMBER.parse().unwrap();
        (Status::Connected, Some(number))
    });
    // No status says connected after the phone unlinked, and no ready comes of the logout.
    assert_eq!(
        until(&mut events, "session_disconnected").await,
        ["session_disconnected"]
    );
    assert_eq!(row().await.status, Status::Disconnected);
    assert_eq!(until(&mut events, "session_ready").await, linked);

    stage.page.clone().close().await;
    assert_eq!(monitor.await.unwrap(), Ended::PageClosed);
    assert_eq!(
        until(&mut events, "session_disconnected").await,
        ["session_disconnected"]
    );
    assert_eq!(row().await.status, Status::Disconnected);
}

#[tokio::test]
async fn a_reload_of_a_linked_session_causes_no_event() {
    let ready = Scenario::ready(Generation::Current);
    let stage = Stage::open(ready).await;
    let (monitor, store, mut events) = monitor(&stage).await;
    let monitor = tokio::spawn(async move { monitor.run().await });
    until(&mut events, "session_ready").await;
    // The page of a linked session does this as it loads.
    let again = Scenario::new(Generation::Current)
        .at(ms(0), Step::socket("OPENING"))
        .at(ms(0), Step::me(PHONE))
        .at(ms(5000), Step::connected());
    stage.reload(again).await;
    let source = WebDriverSource::all(&stage.page);
    for state in [LinkState::Linking, LinkState::Linked] {
        let is_reached = async || source.link().await == Ok(state);
        until_async(&state.to_string(), is_reached).await;
    }
    stage.page.clone().close().await;
    monitor.await.unwrap();
    assert_eq!(
        until(&mut events, "session_disconnected").await,
        ["session_disconnected"]
    );
    let id = SessionKey::new(7, "session-1").unwrap().session_id;
    let row = store.session(&id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Disconnected);
}
