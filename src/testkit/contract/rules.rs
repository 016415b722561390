//! The rules, each over one source in a scenario of its own. `pace` is that of
//! [`Fixture::pace`](super::Fixture::pace).

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::hang_timeout;
use super::subject::{LookResult, Subject};
use crate::source::{Assurance, InfoSource, Look};

/// The longest `wait` of the suite, in paces: what comes early must come well before it.
const LONGEST_WAIT_PACES: u32 = 10;

/// Checks that the name is there and stays the same. Runs in any scenario.
///
/// # Panics
///
/// When the rule is broken.
pub async fn keeps_its_name(source: &dyn InfoSource, pace: Duration) {
    let subject = Subject::new(source, pace);
    let name = source.name().to_owned();
    subject.rule(!name.trim().is_empty(), "a source has a name", &name);
    let _ = subject.probe().await;
    let rule = "a source keeps its name";
    subject.rule(source.name() == name, rule, &name);
}

/// Checks that a missing number is `NotYet` and no error, and is waited for in full. Runs in
/// [`SourceScenario::Unlinked`](super::SourceScenario::Unlinked).
///
/// # Panics
///
/// When a rule is broken.
pub async fn finds_no_account(source: &dyn InfoSource, pace: Duration) {
    let subject = Subject::new(source, pace);
    keeps_its_name(source, pace).await;
    subject.not_yet(&subject.probe().await);
    subject.not_yet(&subject.wait(Assurance::Provisional, Duration::ZERO).await);
    subject.not_yet(&subject.wait_in_vain(Assurance::Provisional).await);
}

/// Checks that the number that is there is found, whole and as sure as it is: by `probe`, by a `wait` without
/// time, and by a `wait` for more assurance than there is, which lasts. Runs in
/// [`SourceScenario::Number`](super::SourceScenario::Number) at once.
///
/// # Panics
///
/// When a rule is broken.
pub async fn finds_the_number(source: &dyn InfoSource, pace: Duration, assurance: Assurance) {
    let subject = Subject::new(source, pace);
    subject.number(&subject.probe().await, assurance);
    let glance = subject.wait(assurance, Duration::ZERO).await;
    subject.rule(
        glance != Ok(Look::NotYet),
        "a `wait` without time is still one look",
        &glance,
    );
    subject.number(&glance, assurance);
    if assurance < Assurance::Confirmed {
        let answer = subject.wait_in_vain(Assurance::Confirmed).await;
        subject.number(&answer, assurance);
    }
}

/// Checks that a LID is no number and nothing to return early for. Runs in
/// [`SourceScenario::LidOnly`](super::SourceScenario::LidOnly).
///
/// # Panics
///
/// When a rule is broken.
pub async fn finds_the_lid(source: &dyn InfoSource, pace: Duration) {
    let subject = Subject::new(source, pace);
    subject.lid(&subject.probe().await);
    subject.lid(&subject.wait_in_vain(Assurance::Provisional).await);
}

/// Rivals within one source are a conflict, never one of their numbers. Runs in
/// [`SourceScenario::Conflict`](super::SourceScenario::Conflict).
///
/// # Panics
///
/// When the rule is broken.
pub async fn finds_a_conflict(source: &dyn InfoSource, pace: Duration) {
    let subject = Subject::new(source, pace);
    for answer in both(subject).await {
        let rule = "live readers that disagree are a `Conflict`";
        subject.rule(answer == Ok(Look::Conflict), rule, &answer);
    }
}

/// Checks that a look that does not work is an error, in a `wait` too. Runs in
/// [`SourceScenario::Broken`](super::SourceScenario::Broken).
///
/// # Panics
///
/// When the rule is broken.
pub async fn reports_failures(source: &dyn InfoSource, pace: Duration) {
    let subject = Subject::new(source, pace);
    for answer in both(subject).await {
        subject.rule(
            answer.is_err(),
            "a look that does not work is an error",
            &answer,
        );
    }
}

/// Checks that a `wait` returns early for a number that comes, and for one that is there. Runs in
/// [`SourceScenario::Number`](super::SourceScenario::Number) after two paces, for a source that
/// [notices](super::Fixture::notices).
///
/// # Panics
///
/// When the rule is broken.
pub async fn notices_the_number(source: &dyn InfoSource, pace: Duration, assurance: Assurance) {
    let subject = Subject::new(source, pace);
    let max = hang_timeout(pace);
    for _ in ["that comes", "that is there"] {
        let start = Instant::now();
        let answer = subject.wait(assurance, max).await;
        subject.number(&answer, assurance);
        let took = start.elapsed();
        let rule = "a source that notices returns from `wait` when the number is there";
        subject.rule(took < max, rule, &took);
    }
}

/// Looks may be dropped at any point: before and after their first step, early and late, and beside
/// others of the same source. The next look works, and the number is found when it comes. Runs in
/// [`SourceScenario::Number`](super::SourceScenario::Number) after two paces.
///
/// # Panics
///
/// When a rule is broken.
pub async fn survives_drops(source: &dyn InfoSource, pace: Duration, assurance: Assurance) {
    let subject = Subject::new(source, pace);
    drop_looks(subject).await;

    let mut waits: Vec<_> = (0..3)
        .map(|_| source.wait(assurance, LONGEST_WAIT_PACES * pace))
        .collect();
    let mut answers: Vec<LookResult> = Vec::new();
    // Each has begun before the first is dropped, which may be the one that the others rely on.
    waits.retain_mut(|wait| match wait.now_or_never() {
        Some(answer) => {
            answers.push(answer);
            false
        }
        None => true,
    });
    waits.drain(..waits.len().min(1));
    answers.extend(
        subject
            .ends(LONGEST_WAIT_PACES * pace, join_all(waits))
            .await,
    );
    for answer in answers {
        subject.number(&answer, assurance);
    }

    drop_looks(subject).await;
    subject.number(&subject.probe().await, assurance);
}

/// Checks that several looks at once all find the number, some of them dropped before their end. Runs in
/// [`SourceScenario::Number`](super::SourceScenario::Number) at once.
///
/// # Panics
///
/// When a rule is broken.
pub async fn serves_several(source: &dyn InfoSource, pace: Duration, assurance: Assurance) {
    let subject = Subject::new(source, pace);
    let ask = |n| match n % 4 {
        3 => source.wait(assurance, pace),
        _ => source.probe(),
    };
    let answers = subject.ends(pace, join_all((0..16).map(ask))).await;
    for answer in &answers {
        several(subject, answer, assurance);
    }

    let mut looks: Vec<_> = (0..16).map(ask).collect();
    looks.retain_mut(|look| look.now_or_never().is_none());
    looks.drain(..looks.len() / 2);
    for answer in subject.ends(pace, join_all(looks)).await {
        several(subject, &answer, assurance);
    }
}

fn several(subject: Subject<'_>, answer: &LookResult, assurance: Assurance) {
    let rule = "several looks at once all work";
    subject.rule(matches!(answer, Ok(Look::Found(_))), rule, answer);
    subject.number(answer, assurance);
}

async fn both(subject: Subject<'_>) -> [LookResult; 2] {
    let wait = subject.wait(Assurance::Provisional, subject.pace);
    [subject.probe().await, wait.await]
}

/// Drops looks of both kinds at several points, with a good look after each.
async fn drop_looks(subject: Subject<'_>) {
    let Subject { source, pace } = subject;
    for cut in Cut::all(pace) {
        let looks = [
            source.probe(),
            source.wait(Assurance::Confirmed, LONGEST_WAIT_PACES * pace),
        ];
        for look in looks {
            cut.apply(look).await;
            let next = subject.probe().await;
            let rule = "a look may be dropped at any point, and the next one works";
            subject.rule(next.is_ok(), rule, &(cut, &next));
        }
    }
}

/// When a look is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    Unpolled,
    Begun,
    After(Duration),
}

impl Cut {
    pub(super) fn all(pace: Duration) -> [Self; 4] {
        [
            Self::Unpolled,
            Self::Begun,
            Self::After(pace / 50),
            Self::After(pace / 5),
        ]
    }

    pub(super) async fn apply(self, look: impl Future) {
        match self {
            Self::Unpolled => drop(look),
            Self::Begun => drop(look.now_or_never()),
            Self::After(time) => drop(timeout(time, look).await),
        }
    }
}
