//! The rules. Each takes one source over a scenario of its own; `pace` is that of
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
use crate::link::{LinkSource, LinkState, QrCode};

type LinkResult = Result<LinkState, ProtocolFailure>;

/// Looks per rule where one right answer could be chance.
const LOOKS_PER_RULE: usize = 4;

fn rule(holds: bool, rule: &str, saw: &dyn Debug) {
    assert!(holds, "the contract of LinkSource: {rule}; saw {saw:?}");
}

/// Returns the output of the future, unless it hangs.
async fn ends<T>(pace: Duration, future: impl Future<Output = T>) -> T {
    match timeout(hang_timeout(pace), future).await {
        Ok(output) => output,
        Err(_) => panic!("the contract of LinkSource: every look ends; one did not"),
    }
}

/// Asserts that an answer is this state.
fn is(answer: &LinkResult, state: LinkState) {
    let text = if state == LinkState::Unknown {
        "a page without evidence is `Unknown`, not an error"
    } else {
        "a look reports the present state"
    };
    rule(*answer == Ok(state), text, &(state, answer));
}

/// Checks that each look reports the present state; without evidence `Unknown`, not an error. In a
/// [`LinkScenario`](super::LinkScenario) that stays in this state.
///
/// # Panics
///
/// If a rule is broken.
pub async fn reports_the_state(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    for _ in 0..LOOKS_PER_RULE {
        is(&ends(pace, source.link()).await, state);
    }
}

/// Checks that a page that can be linked shows a valid code, one whose code has expired an expired one
/// without a payload, and a linked or barred page shows none; a source that does not read codes (`reads_qr`)
/// has none in any state. Runs in a [`LinkScenario`](super::LinkScenario) that stays in this state.
///
/// # Panics
///
/// If a rule is broken.
pub async fn shows_its_code(
    source: &dyn LinkSource,
    pace: Duration,
    state: LinkState,
    reads_qr: bool,
) {
    for _ in 0..LOOKS_PER_RULE {
        let answer = ends(pace, source.qr()).await;
        let Ok(code) = &answer else {
            return rule(false, "a page without a code is no error", &(state, answer));
        };
        let is_valid = |code: &QrCode| !code.is_expired() && code.reveal().is_some();
        let is_right = match state {
            LinkState::Unlinked if reads_qr => code.as_ref().is_some_and(is_valid),
            LinkState::QrExpired if reads_qr => code
                .as_ref()
                .is_some_and(|code| code.is_expired() && code.reveal().is_none()),
            // It may show a code already.
            LinkState::Unknown if reads_qr => true,
            _ => code.is_none(),
        };
        let text =
            "a page shows a valid code while it can be linked, and no code once it is linked";
        rule(is_right, text, &(state, &answer));
    }
}

/// Checks that a look after a change reports the new state. In a
/// [`LinkScenario`](super::LinkScenario) that turns after two paces.
///
/// # Panics
///
/// If a rule is broken.
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
        // In between, the source may report anything, an error included.
        let text = "a look reports a change";
        rule(
            start.elapsed() < hang_timeout(pace),
            text,
            &(from, to, &answer),
        );
        sleep(pace / 10).await;
    }
    reports_the_state(source, pace, to).await;
}

/// All looks at a page that is not reloaded have seen the same document, and name it if the source
/// `names_documents`. In a [`LinkScenario`](super::LinkScenario) that stays linked.
///
/// # Panics
///
/// If the rule is broken.
pub async fn keeps_its_document(source: &dyn LinkSource, pace: Duration, names_documents: bool) {
    let mut first = None;
    for _ in 0..LOOKS_PER_RULE {
        is(&ends(pace, source.link()).await, LinkState::Linked);
        let document = source.document();
        let is_right = document.is_some() || !names_documents;
        let is_same = first.get_or_insert(document.clone()) == &document;
        let text = "a page keeps its document until it is reloaded";
        rule(is_right && is_same, text, &(&first, document));
    }
}

/// A look after a reload has seen another document, and the next looks the same one. In
/// [`LinkScenario::Reloads`](super::LinkScenario::Reloads), with a reload after two paces.
///
/// # Panics
///
/// If the rule is broken.
pub async fn notices_a_reload(source: &dyn LinkSource, pace: Duration) {
    is(&ends(pace, source.link()).await, LinkState::Linked);
    let (before, start) = (source.document(), Instant::now());
    loop {
        // In between, the source may report anything, an error included.
        let answer = ends(pace, source.link()).await;
        if answer.is_ok() && source.document() != before {
            break;
        }
        let text = "a look after a reload has seen another document";
        let is_early = start.elapsed() < hang_timeout(pace);
        rule(is_early, text, &(&before, &answer));
        sleep(pace / 10).await;
    }
    while ends(pace, source.link()).await != Ok(LinkState::Linked) {
        let text = "a page that is reloaded is linked again";
        rule(start.elapsed() < hang_timeout(pace), text, &before);
        sleep(pace / 10).await;
    }
    keeps_its_document(source, pace, true).await;
}

/// A look that fails is an error, never a state. In
/// [`LinkScenario::Broken`](super::LinkScenario::Broken).
///
/// # Panics
///
/// If the rule is broken.
pub async fn reports_failures(source: &dyn LinkSource, pace: Duration) {
    for _ in 0..LOOKS_PER_RULE {
        let answer = ends(pace, source.link()).await;
        let text = "a look that fails is an error";
        rule(answer.is_err(), text, &answer);
    }
}

/// Checks that if the page or browser is permanently gone, the classifier recognises the error. Runs in
/// [`LinkScenario::Gone`](super::LinkScenario::Gone).
///
/// # Panics
///
/// If the rule is broken.
pub async fn reports_the_end(source: &dyn LinkSource, pace: Duration) {
    let classifier = ProtocolErrorClassifier::new();
    for _ in 0..LOOKS_PER_RULE {
        let answer = ends(pace, source.link()).await;
        let is_end = answer.as_ref().is_err_and(|failure| {
            let verdict = classifier.classify(failure).verdict(Phase::Live);
            matches!(verdict, Verdict::EndSession | Verdict::EndBrowser)
        });
        let text = "a page or browser that is gone is an error of `page_closed` or `browser_gone`";
        rule(is_end, text, &answer);
    }
}

/// Checks that a look does not block the thread: none of its polls takes a tenth of a pace in real time. Runs in any
/// scenario.
///
/// # Panics
///
/// If the rule is broken.
pub async fn leaves_the_thread(source: &dyn LinkSource, pace: Duration) {
    let mut shortest = Duration::MAX;
    for _ in 0..LOOKS_PER_RULE {
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
    // The shortest of them: the machine may have been busy during one look, hardly during each.
    let text = "a look does not block the thread";
    rule(shortest < pace / 10, text, &shortest);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a paused clock does not advance while a source blocks"
)]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}

/// Looks may be dropped at any point, and beside others of the same source: the next one works. In a
/// [`LinkScenario`](super::LinkScenario) that stays in this state.
///
/// # Panics
///
/// If a rule is broken.
pub async fn survives_drops(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    for cut in Cut::all(pace) {
        cut.apply(source.link()).await;
        let next = ends(pace, source.link()).await;
        let text = "a look may be dropped at any point, and the next one works";
        rule(next == Ok(state), text, &(cut, &next));
    }
    let mut looks: Vec<_> = (0..LOOKS_PER_RULE).map(|_| source.link()).collect();
    // All have begun before the first is dropped; the others may depend on it.
    looks.retain_mut(|look| look.now_or_never().is_none());
    looks.drain(..looks.len().min(1));
    for answer in ends(pace, join_all(looks)).await {
        is(&answer, state);
    }
    reports_the_state(source, pace, state).await;
}

/// Checks that several looks at the same time all work. Runs in a [`LinkScenario`](super::LinkScenario) that stays
/// in this state.
///
/// # Panics
///
/// If the rule is broken.
pub async fn serves_several(source: &dyn LinkSource, pace: Duration, state: LinkState) {
    let looks = (0..16).map(|_| source.link());
    for answer in ends(pace, join_all(looks)).await {
        let text = "several looks at once all work";
        rule(answer == Ok(state), text, &(state, &answer));
    }
}
