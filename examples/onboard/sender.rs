//! The process with the browser. Its own database has an outbox: an event that was accepted is delivered, also
//! if the receiver is down meanwhile, or this process is killed.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use whatsapp_phone::event::fan_out::FanOut;
use whatsapp_phone::store::outbox::Outbox;
use whatsapp_phone::store::{StoreOptions, StoreSink};

use crate::config::Config;
use crate::steps::Steps;
use crate::storage::Storage;
use crate::{Outcome, browser, qr_codes};

/// The queue of the events that go to the receiver.
const QUEUE: &str = "webhook";

/// How long the program waits at its end for the receiver.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether the session got as far as its number.
pub(crate) async fn run(config: &Config, is_local: bool) -> Outcome<bool> {
    let webhook = config.webhook(is_local)?;
    let steps = Steps::start();
    let storage = Storage::durable(config)?;
    let options = StoreOptions::default().outbox(QUEUE);
    let store = storage.store("sender.db", options).await?;
    let outbox = store.outbox(QUEUE).await?;
    let (into_store, to_receiver) = qr_codes::around(StoreSink::new(store.clone()), webhook);
    let worker = outbox.deliver_to(to_receiver).start();

    let sink = FanOut::after(into_store).observer(steps.clone());
    let has_number = browser::onboard(config, &store, sink, &steps).await;
    let delivered = deliver_all(&outbox, &steps).await;
    worker.stop().await;
    let has_number = has_number?;
    delivered.map(|()| has_number)
}

/// Waits until the receiver has all events.
async fn deliver_all(outbox: &Outbox, steps: &Steps) -> Outcome<()> {
    let start = Instant::now();
    loop {
        let status = outbox.status().await?;
        let (waiting, dead) = (status.waiting, status.dead);
        if waiting == 0 {
            steps.print("outbox", format!("all delivered, {dead} dead letters"));
            return Ok(());
        }
        if start.elapsed() > DELIVERY_TIMEOUT {
            let text = format!(
                "{waiting} events were not delivered in {DELIVERY_TIMEOUT:?}; the next start delivers them"
            );
            return Err(text.into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}
