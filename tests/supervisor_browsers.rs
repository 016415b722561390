//! Real browsers side by side: one is killed, one tab crashes, one task panics; the fourth continues.
#![cfg(all(
    feature = "supervisor",
    feature = "testkit",
    feature = "webdriver",
    target_os = "linux"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Counted, LIMIT, Stage, ms, pid, policy, signal, within_limit};
use whatsapp_phone::classify::ErrorClass;
use whatsapp_phone::source::webdriver::WebDriverSource;
use whatsapp_phone::supervisor::{BoxError, Reason, ReasonKind, Task};
use whatsapp_phone::testkit::standin::{Generation, Scenario};
use whatsapp_phone::{Extraction, Extractor, Session, Supervisor};

/// An extraction, with its source, which reports when it is under way.
fn extract(session: &Session, stage: &Stage) -> (Task<Extraction>, Counted<WebDriverSource>) {
    let source = Counted::new(WebDriverSource::all(&stage.page));
    let extractor = Extractor::builder().source(source.clone()).policy(policy());
    let extractor = extractor.build().unwrap();
    let number = session.spawn("number", async move { extractor.extract().await });
    (number, source)
}

async fn reason(session: &Session) -> Reason {
    let mut states = session.states();
    let mut last = session.state();
    within_limit("the session ends", async {
        while let Some(state) = states.next().await {
            last = state;
        }
    })
    .await;
    last.reason().unwrap().clone()
}

#[tokio::test]
async fn the_end_of_a_browser_stays_in_its_session() {
    let supervisor = Supervisor::builder().grace(ms(500)).build();
    let stages = tokio::join!(
        Stage::open(Scenario::ready_after(Generation::Current, ms(5_000))),
        Stage::open(Scenario::never()),
        Stage::open(Scenario::never()),
        Stage::open(Scenario::never()),
    );
    let sound = supervisor.start("sound").unwrap();
    let killed = supervisor.start("killed").unwrap();
    let crashed = supervisor.start("crashed").unwrap();
    let panicking = supervisor.start("panicking").unwrap();
    let (number, _) = extract(&sound, &stages.0);
    for (session, stage) in [
        (&killed, &stages.1),
        (&crashed, &stages.2),
        (&panicking, &stages.3),
    ] {
        let (number, source) = extract(session, stage);
        drop(number);
        // Its second look has begun, so the first one reached the page.
        source.looks(1).await;
    }

    signal("-KILL", pid(&stages.1.page.client()));
    let client = stages.2.page.client();
    tokio::spawn(async move { drop(client.goto("chrome://crash").await) });
    drop(panicking.spawn("panicking", async {
        if true {
            panic!("a panicking task");
        }
        Ok::<_, BoxError>(())
    }));

    let lost = [Some(ErrorClass::PageClosed), Some(ErrorClass::BrowserGone)];
    assert!(lost.contains(&reason(&killed).await.class()));
    assert_eq!(reason(&crashed).await.class(), lost[0]);
    assert_eq!(reason(&panicking).await.kind(), ReasonKind::Panicked);

    assert_eq!(number.await.unwrap().phone.reveal(), "628110000041");
    assert_eq!(supervisor.sessions().len(), 1);
    let stopped = supervisor.stop(LIMIT).await;
    assert_eq!((stopped.sessions, stopped.stuck.len()), (1, 0));
}
