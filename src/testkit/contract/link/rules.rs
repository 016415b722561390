//! The rules, each over one source in a world of its own. `pace` is that of
//! [`LinkFixture::pace`](super::LinkFixture::pace).

use std::fmt::Debug;
use std::future::poll_fn;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::super::hang_timeout;
use super::super::rules::Cut;
use crate::classify::{Phase, ProtocolErrorClassifier, Verdict};
use crate::failure::ProtocolFailure;
use crate::link::{LinkSource, LinkState};

type Answer = Result<LinkState, ProtocolFailure>;

/// How often a source is asked where one answer could be luck.
const LOOKS: usize = 4;

fn rule(holds: bool, rule: &str, saw: &dyn Debug) {
    assert!(holds, "the contract of LinkSource: {rule}; saw {saw:?}");
}

/// What the future gives, before a hung source would.
async fn ends<T>(pace: Duration, future: impl Future<Output = T>) -> T {
    match timeout(hang_timeout(pace), future).await {
        Ok(output) => output,
        Err(_) => panic!("the contract of LinkSource: every look ends; one gave nothing"),
    }
}

/// One answer, which must be this.
fn is(answer: &Answer, state: LinkState) {
    let text = if state == LinkState::Unknown {
        "what cannot be told is `Unknown`, no error"
    } else {
        "a look tells what the session is"
    };
    rule(*answer == Ok(state), text, &(state, answer));
}

/// A look tells what the session is, each time; where nothing tells, `Unknown` and no error. In a
/// [`LinkWorld`](super::LinkWorld) that stays in this state.
///
/// # Panics
///
/// When a rule is broken.
pub async fn tells_the_state(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    for _ in 0..LOOKS {
        is(&ends(pace, source.link()).await, state);
    }
}

/// A look tells of a change when it has come, and not what was seen before. In a
/// [`LinkWorld`](super::LinkWorld) that turns after two paces.
///
/// # Panics
///
/// When a rule is broken.
pub async fn follows_a_turn(
    source: &dyn LinkSource,
    pace: Duration,
    from: LinkState,
    to: LinkState,
) {
    is(&ends(pace, source.link()).await, from);
    let start = Instant::now();
    loop {
        let answer = ends(pace, source.link()).await;
        if answer == Ok(to) {
            break;
        }
        // What lies between the two is the source's own affair, an error included.
        let text = "a look tells of a change";
        rule(
            start.elapsed() < hang_timeout(pace),
            text,
            &(from, to, &answer),
        );
        sleep(pace / 10).await;
    }
    tells_the_state(source, pace, to).await;
}

/// A look that does not work is an error, never a state. In
/// [`LinkWorld::Broken`](super::LinkWorld::Broken).
///
/// # Panics
///
/// When the rule is broken.
pub async fn reports_failures(source: &dyn LinkSource, pace: Duration) {
    for _ in 0..LOOKS {
        let answer = ends(pace, source.link()).await;
        let text = "a look that does not work is an error";
        rule(answer.is_err(), text, &answer);
    }
}

/// What is gone for good is an error that the classifier reads so, or nobody would stop looking. In
/// [`LinkWorld::Gone`](super::LinkWorld::Gone).
///
/// # Panics
///
/// When the rule is broken.
pub async fn reports_the_end(source: &dyn LinkSource, pace: Duration) {
    let classifier = ProtocolErrorClassifier::new();
    for _ in 0..LOOKS {
        let answer = ends(pace, source.link()).await;
        let is_end = answer.as_ref().is_err_and(|failure| {
            let verdict = classifier.classify(failure).verdict(Phase::Live);
            matches!(verdict, Verdict::EndSession | Verdict::EndBrowser)
        });
        let text = "a page or browser that is gone is an error of `page_closed` or `browser_gone`";
        rule(is_end, text, &answer);
    }
}

/// A look leaves the thread to others while it waits: none of its steps takes a tenth of a pace, in
/// real time. In any world.
///
/// # Panics
///
/// When the rule is broken.
pub async fn leaves_the_thread(source: &dyn LinkSource, pace: Duration) {
    let mut shortest = Duration::MAX;
    for _ in 0..LOOKS {
        let (mut look, mut longest) = (source.link(), Duration::ZERO);
        let stepped = poll_fn(|context| {
            let start = real_time();
            let step = look.poll_unpin(context);
            longest = longest.max(start.elapsed());
            step
        });
        let _ = ends(pace, stepped).await;
        shortest = shortest.min(longest);
    }
    // Of one look it could be the machine that was busy elsewhere, hardly of each.
    let text = "a look does not block the thread";
    rule(shortest < pace / 10, text, &shortest);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a paused clock stands still under a source that blocks"
)]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// Looks may be dropped at any point, and beside others of the same source: the next one works. In a
/// [`LinkWorld`](super::LinkWorld) that stays in this state.
///
/// # Panics
///
/// When a rule is broken.
pub async fn survives_drops(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    for cut in Cut::all(pace) {
        cut.apply(source.link()).await;
        let next = ends(pace, source.link()).await;
        let text = "a look may be dropped at any point, and the next one works";
        rule(next == Ok(state), text, &(cut, &next));
    }
    let mut looks: Vec<_> = (0..LOOKS).map(|_| source.link()).collect();
    // Each has begun before the first is dropped, which may be the one that the others rely on.
    looks.retain_mut(|look| look.now_or_never().is_none());
    looks.drain(..looks.len().min(1));
    for answer in ends(pace, join_all(looks)).await {
        is(&answer, state);
    }
    tells_the_state(source, pace, state).await;
}

/// Several looks at the same time all work. In a [`LinkWorld`](super::LinkWorld) that stays in this
/// state.
///
/// # Panics
///
/// When the rule is broken.
pub async fn serves_several(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    let looks = (0..16).map(|_| source.link());
    for answer in ends(pace, join_all(looks)).await {
        let text = "several looks at once all work";
        rule(answer == Ok(state), text, &(state, &answer));
    }
}
