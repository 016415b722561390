//! The public types can be sent to other threads and shared by them.
#![cfg(all(
    feature = "cdp",
    feature = "postgres",
    feature = "server",
    feature = "supervisor",
    feature = "testkit",
    feature = "webdriver",
    feature = "webhook",
    unix
))]

use whatsapp_phone::event::channel::EventReceiver;
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::event::webhook::WebhookSink;
use whatsapp_phone::onboard::{
    CurrentPage, Onboarding, PageMonitor, SessionHandle, SessionService, SessionServiceBuilder,
};
use whatsapp_phone::server::{AccessTokens, Api, QrCodes, WebhookReceiver};
use whatsapp_phone::source::cdp::{CdpPage, CdpSource, ChromeProcess, ChromeProcessBuilder};
use whatsapp_phone::source::webdriver::{
    DriverProcess, DriverProcessBuilder, Page, WebDriverSource,
};
use whatsapp_phone::store::outbox::{Outbox, OutboxWorker, OutboxWorkerBuilder};
use whatsapp_phone::store::postgres::PostgresStore;
use whatsapp_phone::store::{StatusWatcher, WorkspaceWatcher};
use whatsapp_phone::supervisor::{Session, States, Supervisor};
use whatsapp_phone::testkit::standin::{Scenario, StandIn};
use whatsapp_phone::{ExtractError, Extractor, ProtocolFailure};

const fn is_send_and_sync<T: Send + Sync + std::fmt::Debug>() {}

macro_rules! send_and_sync {
    ($($name:ty),* $(,)?) => { $(is_send_and_sync::<$name>();)* };
}

const _: () = {
    send_and_sync!(ExtractError, Extractor, ProtocolFailure);
    send_and_sync!(CdpPage, CdpSource, ChromeProcess, ChromeProcessBuilder);
    send_and_sync!(Page, WebDriverSource, DriverProcess, DriverProcessBuilder);
    send_and_sync!(
        EventReceiver,
        FanOut,
        WebhookSink,
        StatusWatcher,
        WorkspaceWatcher
    );
    send_and_sync!(Outbox, OutboxWorker, OutboxWorkerBuilder, PostgresStore);
    send_and_sync!(
        Onboarding,
        PageMonitor,
        SessionHandle,
        SessionService,
        SessionServiceBuilder
    );
    send_and_sync!(CurrentPage<CdpSource>, Session, States, Supervisor);
    send_and_sync!(
        AccessTokens,
        Api,
        QrCodes,
        WebhookReceiver,
        Scenario,
        StandIn
    );
};
