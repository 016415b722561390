//! A page whose QR code can be read.

use super::*;
use crate::link::mock::MockLink;

/// The second at which a QR code arrived, and its payload.
type Arrival = (u64, Option<String>);

/// Records the QR codes that arrive.
#[derive(Clone)]
struct Codes(Instant, Arc<Mutex<Vec<Arrival>>>);

#[async_trait::async_trait]
impl EventSink for Codes {
    fn name(&self) -> &str {
        "codes"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if let EventKind::QrCodeGenerated(qr) = event.kind() {
            let at = self.0.elapsed().as_secs();
            self.1.lock().unwrap().push((at, qr.reveal()));
        }
        Ok(())
    }
}

/// Returns the codes that a monitor over this page has sent within five minutes.
async fn codes(page: MockLink) -> Vec<Arrival> {
    let sink = Codes(Instant::now(), Arc::default());
    run(&monitor(sink.clone(), page, 9999), Duration::from_secs(300)).await;
    let codes = sink.1.lock().unwrap();
    codes.clone()
}

#[tokio::test(start_paused = true)]
async fn each_code_of_the_page_is_sent_once_with_its_payload() {
    let secs = Duration::from_secs;
    let page = MockLink::new()
        .qr_at(secs(0), "2@first")
        .qr_at(secs(20), "2@second")
        .qr_at(secs(50), "2@third")
        .at(secs(80), LinkState::QrExpired)
        .at(secs(90), LinkState::Linking);
    let expected = [
        (1, Some("2@first")),
        (20, Some("2@second")),
        (50, Some("2@third")),
        (81, None),
    ];
    let expected = expected.map(|(at, code)| (at, code.map(str::to_owned)));
    assert_eq!(codes(page).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_page_with_a_new_code_at_each_look_is_sent_ten_times_a_minute() {
    let shows = |page: MockLink, at: u64| page.qr_at(Duration::from_secs(at), &format!("2@{at}"));
    let codes = codes((0..300).fold(MockLink::new(), shows)).await;
    let times: Vec<u64> = codes.iter().map(|(at, _)| *at).collect();
    assert!(
        times.windows(11).all(|of| of[10] - of[0] >= 60),
        "{times:?}"
    );
    assert_eq!(times.len(), 50, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_code_that_cannot_be_read_is_sent_once_without_a_payload() {
    let page = MockLink::new().at(Duration::ZERO, LinkState::Unlinked);
    assert_eq!(codes(page).await, [(1, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_code_is_sent_again_when_its_payload_was_dropped_after_60_s() {
    let page = MockLink::new().qr_at(Duration::ZERO, "2@constant");
    let codes = codes(page).await;
    assert!(
        codes
            .iter()
            .all(|(_, code)| code.as_deref() == Some("2@constant"))
    );
    let times: Vec<u64> = codes.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [1, 61, 121, 181, 241]);
}
