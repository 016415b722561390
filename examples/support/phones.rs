//! Stand-in pages, each with a phone of its own.

use std::error::Error;
use std::time::Duration;

use whatsapp_phone::source::webdriver::Target;
use whatsapp_phone::testkit::standin::{Generation, Scenario, StandIn, Step};

/// Returns the pages at these URLs. If there are none, starts this many stand-in pages: each shows a QR code,
/// which a phone scans after five seconds, and then stays linked.
pub(crate) async fn targets(
    mut urls: Vec<String>,
    count: usize,
) -> Result<(Vec<Target>, Vec<StandIn>), Box<dyn Error>> {
    let mut started = Vec::new();
    if urls.is_empty() {
        for phone in 0..count {
            let stand_in = StandIn::start(scenario(&format!("62811000004{phone}@c.us"))).await?;
            urls.push(stand_in.url());
            started.push(stand_in);
        }
    }
    let targets: Result<_, _> = urls.iter().map(|url| Target::at(url)).collect();
    Ok((targets?, started))
}

fn scenario(jid: &str) -> Scenario {
    let secs = Duration::from_secs;
    Scenario::new(Generation::Current)
        .at(secs(0), Step::socket("UNPAIRED"))
        .at(secs(5), Step::socket("PAIRING"))
        .at(secs(6), Step::me(jid))
        .at(secs(8), Step::connected())
        .next_load()
        .at(secs(0), Step::socket("OPENING"))
        .at(secs(0), Step::me(jid))
        .at(secs(1), Step::connected())
}
