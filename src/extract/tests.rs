//! The extractor under paused time, over mocks.

mod advice;
mod timing;
mod types;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::failure::{ProtocolFailure, Site};
use crate::retry::LookMode;
use crate::source::mock::{Act, MockSource};
use crate::source::{Look, from_fn};

const NUMBER: &str = "628110000041@c.us";
const OTHER: &str = "628990000099@c.us";
const LID: &str = "123456789012345@lid";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn failure(code: &'static str) -> ProtocolFailure {
    ProtocolFailure::new(Site::WebDriverCommand, "said the driver").with_code(code)
}

fn look(jid: &str, assurance: Assurance) -> Look {
    MockSource::new("other reader").look(jid.parse().unwrap(), assurance)
}

async fn extract(
    sources: &[&MockSource],
    policy: &RetryPolicy,
) -> Result<Extraction, ExtractError> {
    let sources: Vec<Arc<dyn InfoSource>> = sources
        .iter()
        .map(|source| Arc::new((*source).clone()) as _)
        .collect();
    extract_phone_safely(&sources, policy).await
}

fn policy(mode: LookMode, attempts: u32) -> RetryPolicy {
    let policy = RetryPolicy::builder()
        .look_mode(mode)
        .attempts(attempts)
        .interval(ms(500));
    policy
        .look_timeout(ms(2000))
        .deadline(ms(60_000))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn classic_is_the_reference_to_the_millisecond() {
    for n in 1..=15_u32 {
        let due = ms(2500) + (n - 1) * ms(500);
        let page = MockSource::new("client.info.wid").number_at(due, NUMBER);
        let found = extract(&[&page], &RetryPolicy::classic()).await.unwrap();
        assert_eq!((found.attempt, found.elapsed), (n, due));
        assert_eq!(page.calls().len(), n as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn classic_asks_the_fallback_once_at_ten_seconds() {
    let primary = MockSource::new("client.info.wid");
    let fallback = MockSource::new("Store.Conn.me").number_at(ms(0), NUMBER);
    let found = extract(&[&primary, &fallback], &RetryPolicy::classic())
        .await
        .unwrap();
    assert_eq!(
        (found.elapsed, found.source.as_str()),
        (ms(10_000), "Store.Conn.me")
    );
    assert_eq!((primary.calls().len(), fallback.calls().len()), (15, 1));

    let never = MockSource::new("Store.Conn.me");
    let error = extract(&[&primary, &never], &RetryPolicy::classic())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.elapsed()),
        (ErrorKind::NotReady, ms(10_000))
    );
}

#[tokio::test(start_paused = true)]
async fn by_default_a_broken_primary_costs_one_round() {
    let primary = MockSource::new("client.info.wid").at(ms(0), failure("javascript error"));
    let other = MockSource::new("Store.Conn.me").number_at(ms(0), NUMBER);
    let found = extract(&[&primary, &other], &policy(LookMode::Poll, 15))
        .await
        .unwrap();
    assert_eq!((found.attempt, found.elapsed), (1, ms(0)));
}

#[tokio::test(start_paused = true)]
async fn eager_answers_the_moment_the_number_exists() {
    for due in [0, 1, 499, 500, 501, 1234, 9_999] {
        let page = MockSource::new("page").number_at(ms(due), NUMBER);
        let found = extract(&[&page], &RetryPolicy::eager()).await.unwrap();
        assert_eq!(found.elapsed, ms(due));
    }
}

#[tokio::test(start_paused = true)]
async fn the_interval_runs_from_the_end_of_a_look() {
    let page = MockSource::new("page").taking(ms(300));
    let error = extract(&[&page], &policy(LookMode::Poll, 3))
        .await
        .unwrap_err();
    let starts: Vec<_> = page.calls().iter().map(|call| call.at).collect();
    assert_eq!(starts, [ms(0), ms(800), ms(1600)]);
    assert_eq!((error.attempts(), error.elapsed()), (3, ms(1900)));
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_uses_no_attempt_and_is_retried_in_its_slot() {
    for mode in [LookMode::Poll, LookMode::Wait] {
        // A reload: 120 ms of failures in the first slot.
        let page = MockSource::new("page")
            .at(ms(0), failure("wrong origin"))
            .at(ms(120), Act::Answer(look(NUMBER, Assurance::Confirmed)));
        let found = extract(&[&page], &policy(mode, 2)).await.unwrap();
        assert_eq!((found.attempt, found.elapsed), (1, ms(150)), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_is_asked_again_at_most_every_50_ms_and_no_slot_starts_early() {
    let page = MockSource::new("page").at(ms(0), failure("wrong origin"));
    let error = extract(&[&page], &policy(LookMode::Poll, 3))
        .await
        .unwrap_err();
    assert_eq!((error.attempts(), error.kind()), (3, ErrorKind::NotReady));
    let starts: Vec<_> = page.calls().iter().map(|call| call.at).collect();
    assert!(
        starts.windows(2).all(|pair| pair[1] - pair[0] >= ms(50)),
        "{starts:?}"
    );
    for slot in [ms(500), ms(1000)] {
        assert!(starts.contains(&slot), "{starts:?}");
    }
    assert_eq!(error.failures()[0].failure.code(), Some("wrong origin"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_not_known_as_transient_is_not_asked_again_within_its_slot() {
    let unknown = ProtocolFailure::new(Site::Unknown, "what is this");
    let page = MockSource::new("page").at(ms(0), unknown);
    let error = extract(&[&page], &policy(LookMode::Poll, 3))
        .await
        .unwrap_err();
    assert_eq!(page.calls().len(), 3);
    assert_eq!(error.kind(), ErrorKind::NotReady);
}

#[tokio::test(start_paused = true)]
async fn a_closed_page_or_a_lost_browser_ends_it_at_once() {
    for (code, kind) in [
        ("no such window", ErrorKind::PageClosed),
        ("tab crashed", ErrorKind::PageClosed),
        ("connection lost", ErrorKind::BrowserGone),
    ] {
        let page = MockSource::new("page").at(ms(700), failure(code));
        // A number that is found beside a lost page is stale.
        let stale = MockSource::new("sidecar").number_at(ms(700), NUMBER);
        let error = extract(&[&stale, &page], &policy(LookMode::Poll, 15))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 3), "{code}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "said the driver");
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_when_every_source_says_that_its_set_up_is_wrong() {
    let wrong = MockSource::new("wrong").at(ms(0), failure("misconfigured"));
    let twin = MockSource::new("twin").at(ms(0), failure("ambiguous_tab"));
    let page = MockSource::new("page").number_at(ms(1000), NUMBER);
    let error = extract(&[&twin, &wrong], &policy(LookMode::Poll, 15))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::AmbiguousTab, 1)
    );
    let found = extract(&[&wrong, &page], &policy(LookMode::Poll, 15))
        .await
        .unwrap();
    assert_eq!(found.source, "page");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_source_delays_no_other_and_ends_at_its_look_timeout() {
    let hung = MockSource::new("hung").at(ms(0), Act::Hang);
    for mode in [LookMode::Poll, LookMode::Wait] {
        let page = MockSource::new("page").number_at(ms(1000), NUMBER);
        let found = extract(&[&hung, &page], &policy(mode, 15)).await.unwrap();
        assert_eq!(found.elapsed, ms(1000), "{mode:?}");
    }

    let error = extract(&[&hung], &policy(LookMode::Poll, 2))
        .await
        .unwrap_err();
    // Two looks of two seconds, and the pause between them; asked once each.
    assert_eq!(
        (error.kind(), error.elapsed()),
        (ErrorKind::NotReady, ms(4500))
    );
    assert_eq!(error.failures()[0].failure.code(), Some("look timeout"));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_whatever_the_sources_do() {
    let hung = MockSource::new("hung").at(ms(0), Act::Hang);
    let never = MockSource::new("never");
    let short = |mode| {
        let policy = RetryPolicy::builder().look_mode(mode).deadline(ms(1300));
        policy.look_timeout(ms(5000)).build().unwrap()
    };
    for mode in [LookMode::Poll, LookMode::Wait] {
        for sources in [&[&hung][..], &[&never], &[&hung, &never]] {
            let error = extract(sources, &short(mode)).await.unwrap_err();
            assert_eq!(error.elapsed(), ms(1300), "{mode:?}");
            assert_eq!(error.kind(), ErrorKind::NotReady);
        }
    }
    let error = extract(&[&hung], &short(LookMode::Poll)).await.unwrap_err();
    assert_eq!(error.failures()[0].failure.code(), Some("look timeout"));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_source_is_a_failure_of_that_source_alone() {
    let broken = MockSource::new("broken").at(ms(0), Act::Panic);
    let page = MockSource::new("page").number_at(ms(1000), NUMBER);
    let found = extract(&[&broken, &page], &policy(LookMode::Poll, 15))
        .await
        .unwrap();
    assert_eq!((found.attempt, found.source.as_str()), (3, "page"));

    let error = extract(&[&broken], &policy(LookMode::Poll, 3))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::SourcePanicked, 3)
    );
    assert!(
        error.failures()[0]
            .failure
            .message()
            .contains("as its script says")
    );
}

#[tokio::test(start_paused = true)]
async fn rivals_of_equal_assurance_that_disagree_are_an_error() {
    let a = MockSource::new("a").number_at(ms(0), NUMBER);
    let b = MockSource::new("b").number_at(ms(0), OTHER);
    let same = MockSource::new("same").number_at(ms(0), "628110000041.0:7@s.whatsapp.net");
    let weaker = MockSource::new("weaker").at(ms(0), look(OTHER, Assurance::Unverified));
    let later = MockSource::new("later")
        .number_at(ms(0), OTHER)
        .taking(ms(1));

    let policy = policy(LookMode::Poll, 3);
    assert_eq!(
        extract(&[&a, &b], &policy).await.unwrap_err().kind(),
        ErrorKind::SourcesDisagree
    );
    for (rival, why) in [
        (&same, "same account"),
        (&weaker, "less sure"),
        (&later, "not waited for"),
    ] {
        let found = extract(&[rival, &a], &policy).await.unwrap();
        let expected = if why == "same account" { "same" } else { "a" };
        assert_eq!(
            (found.source.as_str(), found.elapsed),
            (expected, ms(0)),
            "{why}"
        );
    }
    let torn = MockSource::new("torn").at(ms(0), Look::Conflict);
    assert_eq!(
        extract(&[&torn], &policy).await.unwrap_err().kind(),
        ErrorKind::SourcesDisagree
    );
}

#[tokio::test(start_paused = true)]
async fn a_lid_is_an_outcome_of_its_own_and_never_a_number() {
    let lid = MockSource::new("page").at(ms(0), look(LID, Assurance::Confirmed));
    let error = extract(&[&lid], &policy(LookMode::Poll, 3))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::LidOnly, 3));

    let first_lid = lid.clone().number_at(ms(800), NUMBER);
    let found = extract(&[&first_lid], &policy(LookMode::Wait, 3))
        .await
        .unwrap();
    assert_eq!(found.phone.reveal(), "628110000041");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_sure_enough_is_accepted() {
    let page = MockSource::new("page")
        .at(ms(100), look(OTHER, Assurance::Provisional))
        .at(ms(900), look(NUMBER, Assurance::Confirmed));
    for (accept, number, at) in [
        (Assurance::Provisional, "628990000099", 100),
        (Assurance::Unverified, "628110000041", 900),
        (Assurance::Confirmed, "628110000041", 900),
    ] {
        let start = Instant::now();
        let extractor = Extractor::builder().source(page.restarted()).accept(accept);
        let found = extractor.build().unwrap().extract().await.unwrap();
        assert_eq!(
            (found.phone.reveal(), start.elapsed()),
            (number, ms(at)),
            "{accept}"
        );
    }

    let never_sure = MockSource::new("page").at(ms(0), look(NUMBER, Assurance::Provisional));
    let error = extract(&[&never_sure], &policy(LookMode::Wait, 2))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(error.refused(), Some(Assurance::Provisional));
    assert!(
        error
            .to_string()
            .contains("the only number seen was provisional"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_ones_own_rules_the_looks() {
    let page = MockSource::new("page");
    let extractor = Extractor::builder()
        .source(page.clone())
        .policy(RetryPolicy::classic())
        .schedule(|| Box::new([ms(10), ms(20), ms(40)].into_iter()));
    let error = extractor.build().unwrap().extract().await.unwrap_err();
    let starts: Vec<_> = page.calls().iter().map(|call| call.at).collect();
    assert_eq!(starts, [ms(10), ms(30), ms(70)]);
    assert_eq!(error.attempts(), 3);
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_drives_an_extraction() {
    let page = MockSource::new("page").number_at(ms(1400), NUMBER);
    let extractor = Extractor::builder()
        .source(page.clone())
        .policy(policy(LookMode::Poll, 1))
        .schedule(|| {
            Box::new(crate::retry::from_backoff(backoff::backoff::Constant::new(
                ms(500),
            )))
        });
    let found = extractor.build().unwrap().extract().await.unwrap();
    assert_eq!((found.attempt, found.elapsed), (4, ms(1500)));
}

#[tokio::test(start_paused = true)]
async fn dropping_an_extraction_drops_its_looks() {
    struct OnDrop(Arc<std::sync::atomic::AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = dropped.clone();
    let source = from_fn("fn", move || {
        let guard = OnDrop(flag.clone());
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let extractor = Extractor::builder().source(source).build().unwrap();
    let cut = tokio::time::timeout(ms(700), extractor.extract()).await;
    assert!(cut.is_err() && dropped.load(std::sync::atomic::Ordering::SeqCst));
}
