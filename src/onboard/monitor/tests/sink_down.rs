//! A sink that is down for minutes: its events wait in order, and the looks continue.

use super::*;
use crate::onboard::pending::MAX_PENDING;
use crate::store::SessionRow;

/// How a sink is down.
#[derive(Clone, Copy, Debug)]
enum Down {
    Refusing,
    Broken,
    Hanging,
    Panicking,
}

/// Down until this time after its start, then as the other one.
struct DownUntil(Duration, Down, Sink);

#[async_trait::async_trait]
impl EventSink for DownUntil {
    fn name(&self) -> &str {
        "down"
    }

    async fn send(&self, event: &SessionEvent) -> Result<(), SinkError> {
        if self.2.start.elapsed() >= self.0 {
            return self.2.send(event).await;
        }
        match self.1 {
            Down::Refusing => Err(SinkError::transient("unreachable", "HTTP 502")),
            Down::Broken => Err(SinkError::permanent("storage", "the disk is full")),
            Down::Hanging => std::future::pending().await,
            Down::Panicking => panic!("a bug"),
        }
    }
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// A page that is linked and unlinked again in each period of so many seconds, for ten minutes; then it
/// stays linked.
fn unsteady(period: u64) -> Page {
    let third = period * 1000 / 3;
    let cycle = |n: u64| {
        let at = n * period * 1000;
        [
            (at, Unlinked),
            (at + third, Linking),
            (at + 2 * third, Linked),
        ]
    };
    let script = (0..600 / period).flat_map(cycle);
    Page {
        start: Instant::now(),
        script: script
            .map(|(at, state)| (Duration::from_millis(at), Is(state)))
            .collect(),
        reloads_at: None,
    }
}

/// Runs a monitor over this page for 20 minutes. Returns the events with their `seq`, and the most that waited.
async fn delivered(page: Page, until: Duration, down: Down) -> (Vec<(String, u64)>, usize) {
    let sink = Sink::default();
    let row = SessionRow {
        last_seq: Some(0),
        ..SessionRow::new(key())
    };
    let monitor = monitor(DownUntil(until, down, sink.clone()), page, 0).resume(&row);
    let mut most = 0;
    let observed = async {
        loop {
            sleep(Duration::from_millis(500)).await;
            most = most.max(monitor.delivery_state().waiting);
        }
    };
    tokio::select! {
        ended = monitor.run() => panic!("{ended:?}"),
        () = observed => unreachable!(),
        () = sleep(2 * TEN_MINUTES) => {}
    }
    assert_eq!(monitor.delivery_state().waiting, 0);
    assert!(monitor.delivery_state().error.is_none());
    let events = sink.events.lock().unwrap();
    let events = events
        .iter()
        .map(|(_, event)| (name(event), event.seq().unwrap()));
    (events.collect(), most)
}

fn is_droppable(name: &str) -> bool {
    ["qr_code_generated", "session_authenticated"].contains(&name)
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_for_ten_minutes_loses_only_old_codes_and_authentications() {
    let (all, _) = delivered(unsteady(20), Duration::ZERO, Down::Refusing).await;
    for down in [Down::Refusing, Down::Broken, Down::Hanging, Down::Panicking] {
        let (got, most) = delivered(unsteady(20), TEN_MINUTES, down).await;
        println!(
            "{down:?}: {} events, {} delivered, at most {most} waited",
            all.len(),
            got.len()
        );
        assert_eq!(most, MAX_PENDING, "{down:?}");
        let is_kept = |event: &&(String, u64)| got.contains(event);
        let kept: Vec<_> = all.iter().filter(is_kept).cloned().collect();
        assert_eq!(got, kept, "{down:?}: in order, and nothing else");
        let mut lost = all.iter().filter(|event| !is_kept(event));
        assert!(lost.all(|(name, _)| is_droppable(name)), "{down:?}");
        assert!(got.len() < all.len(), "{down:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_64_events_waiting_no_event_is_formed_and_the_state_is_sent_afterwards() {
    let (all, _) = delivered(unsteady(8), Duration::ZERO, Down::Refusing).await;
    let (got, most) = delivered(unsteady(8), TEN_MINUTES, Down::Refusing).await;
    println!(
        "{} events, {} delivered, at most {most} waited",
        all.len(),
        got.len()
    );
    assert_eq!(most, MAX_PENDING);
    assert!(got.len() < MAX_PENDING + 10, "{}", got.len());
    assert!(got.is_sorted_by(|one, next| one.1 < next.1));
    // The page stays linked at the end.
    assert_eq!(got.last().unwrap().0, "session_ready");
    // Up to the full queue nothing else was lost.
    let fixed = |events: &[(String, u64)]| -> Vec<String> {
        let events = events.iter().filter(|(name, _)| !is_droppable(name));
        events
            .take(MAX_PENDING - 2)
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(fixed(&got), fixed(&all));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_page_is_sent_although_64_events_waited() {
    let mut page = unsteady(8);
    let end = Duration::from_secs(590);
    page.script.retain(|(at, _)| *at < end);
    page.script.push((end, Fails("no such window")));
    let sink = Sink::default();
    let down = DownUntil(2 * TEN_MINUTES, Down::Refusing, sink.clone());
    let monitor = monitor(down, page, 0);
    assert_eq!(run(&monitor, HOUR).await, Some(Ended::PageClosed));
    assert_eq!(monitor.delivery_state().waiting, MAX_PENDING + 1);
    assert!(sink.names().is_empty());
    sleep(2 * TEN_MINUTES).await;
    let names = sink.names();
    assert_eq!(names.len(), MAX_PENDING + 1);
    assert_eq!(names.last().unwrap(), "session_disconnected page_closed");
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_watch_says_that_deliveries_wait() {
    let sink = Sink::default();
    let monitor = monitor(
        DownUntil(TEN_MINUTES, Down::Hanging, sink.clone()),
        page([(0, Linked)]),
        0,
    );
    assert_eq!(run(&monitor, TEN_MINUTES / 2).await, None);
    let state = monitor.delivery_state();
    assert_eq!(
        (state.waiting, state.error.unwrap().code()),
        (1, "sink_timeout")
    );
    assert!(sink.names().is_empty());
    assert_eq!(run(&monitor, TEN_MINUTES).await, None);
    assert_eq!(monitor.delivery_state().waiting, 0);
    assert_eq!(sink.names(), ["session_ready"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_page_is_gone_ends_a_minute_later_at_most() {
    for (until, is_delivered) in [(30, true), (600, false)] {
        let sink = Sink::default();
        let down = DownUntil(Duration::from_secs(until), Down::Refusing, sink.clone());
        let closed = page([(0, Is(Linked)), (10, Fails("no such window"))]);
        let monitor = monitor(down, closed, 0);
        let start = Instant::now();
        assert_eq!(run(&monitor, HOUR).await, Some(Ended::PageClosed));
        let took = start.elapsed().as_secs();
        assert!(
            if is_delivered {
                took < 40
            } else {
                (70..75).contains(&took)
            },
            "{took}"
        );
        let expected = ["session_ready", "session_disconnected page_closed"];
        let expected: &[_] = if is_delivered { &expected } else { &[] };
        assert_eq!(sink.names(), expected);
        // It continues while the monitor exists.
        sleep(TEN_MINUTES).await;
        assert_eq!(sink.names().len(), 2);
    }
}
