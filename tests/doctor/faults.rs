//! Every situation and every fault of the stand-in: both lists are its own, so that a new one fails here.

use serde_json::Value;
use tokio::time::Instant;
use whatsapp_phone::testkit::standin::{QrForm, Stale, WidForm};

use super::*;

/// The state of the page in this situation, and the words of the verdict; a page without a state is healthy.
fn expected(situation: Situation) -> (Option<PageState>, Vec<&'static str>) {
    use Situation as S;
    let state = match situation {
        S::Linked | S::LinkedWithMark | S::Paired | S::MemoFrozen => return (None, vec![ME_USER]),
        S::Socket("CONNECTED") => {
            let words = ["sync not confirmed", "`hasSynced` (guard socket_synced)"];
            return (Some(PageState::Provisional), words.to_vec());
        }
        S::FreshPage | S::NullText | S::LoggedOut { .. } => PageState::QrShown,
        S::QrExpired => PageState::QrExpired,
        S::NotBooted | S::NotLaunched => PageState::NotBooted,
        S::Socket("OPENING" | "PAIRING") => PageState::Linking,
        S::Provisional => PageState::Provisional,
        S::Socket("CONFLICT") => PageState::Conflict,
        S::Socket("PROXYBLOCK") => PageState::ProxyBlock,
        S::Socket("TOS_BLOCK" | "SMB_TOS_BLOCK") => PageState::TosBlock,
        S::Socket("SCREEN_LOCKED") | S::Guest | S::Refused(_) | S::LoggingOut { .. } => {
            PageState::Unknown
        }
        other => panic!("a situation without an expectation: {other:?}"),
    };
    (Some(state), vec![state.advice()])
}

/// Diagnoses until the page is in this state: a signal takes its time.
async fn diagnose_until(what: &str, stage: &Stage, state: Option<PageState>) -> Diagnosis {
    let end = Instant::now() + LIMIT;
    let deadline = if state.is_none() { LIMIT } else { ms(300) };
    loop {
        let is_over = Instant::now() >= end;
        match stage.page.diagnose(deadline).await {
            Ok(found) if is_over || found.page_state == state => return found,
            Ok(_) => {}
            // The page navigates.
            Err(error) => assert!(!is_over, "{what}: {error}"),
        }
    }
}

#[tokio::test]
async fn the_verdict_names_the_state_of_every_situation() {
    let situations: Vec<_> = Situation::all()
        .into_iter()
        .filter(|situation| !matches!(situation, Situation::Renamed(_)))
        .collect();
    let (first, second) = situations.split_at(situations.len() / 2);
    let check = async |situations: &[Situation]| {
        let stage = Stage::open(Scenario::blank()).await;
        for &situation in situations {
            let what = situation.to_string();
            stage.reload(situation.scenario()).await;
            within_limit(&what, stage.stand_in.wait_settled()).await;
            // Of the state before the signal, for a page that has to have been seen registered.
            stage.page.diagnose(ms(300)).await.unwrap();
            stage.stand_in.signal();
            let (state, words) = expected(situation);
            let found = diagnose_until(&what, &stage, state).await;
            assert_eq!(found.page_state, state, "{what}: {found}");
            assert_verdict(&what, &found, state.is_none(), &words);
        }
    };
    tokio::join!(check(first), check(second));
}

/// The faults that this field of a scenario gives a page: whether it is healthy, and the words of the verdict.
fn faults(field: &str) -> Vec<(Scenario, bool, Vec<&'static str>)> {
    let ready = || Scenario::ready(Generation::Current);
    let healthy = |scenario| vec![(scenario, true, vec![ME_USER])];
    let no_account = |scenario| (scenario, false, vec![PageState::QrShown.advice()]);
    match field {
        // Situations and tests of their own.
        "generation" | "renamed" | "loads" | "after_signal" | "boot_after" | "launch_after"
        | "keeps_post_logout" => vec![],
        "stale_storage" => {
            let scenarios = Stale::ALL.iter().copied().map(Scenario::stale_storage);
            scenarios.map(no_account).collect()
        }
        "qr_form" => {
            let scenarios = QrForm::ALL
                .iter()
                .map(|&form| Scenario::never().with_qr_form(form));
            scenarios.map(no_account).collect()
        }
        "qr_interval" => vec![no_account(Scenario::never().with_qr_interval(ms(50)))],
        "wid_form" => {
            let scenarios = WidForm::ALL.iter().map(|&form| ready().with_wid_form(form));
            scenarios.flat_map(healthy).collect()
        }
        "storage" => {
            let keys = [
                "`WANoiseInfo` (guard noise_key)",
                "`last-wid-md` (guard number_key)",
                "`WALid` (guard lid_key)",
            ];
            let words = [&[ME_USER], &keys[..]].concat();
            vec![(ready().without_storage(), true, words)]
        }
        "csp_strict" => healthy(ready().with_strict_csp()),
        "replaced_builtins" => healthy(ready().with_replaced_builtins()),
        "injected_store" => healthy(ready().with_injected_store()),
        "injected_wpp" => healthy(ready().with_injected_wpp()),
        "breaks_before_boot" => healthy(
            Name::ALL
                .iter()
                .fold(ready(), |page, module| page.breaks_before_boot(*module)),
        ),
        "proxy" => {
            let words = vec!["comes from localStorage.last-wid-md and is `confirmed`"];
            vec![(Scenario::reload_of_linked().with_proxy(), true, words)]
        }
        "oversize" => {
            let words = vec!["no reader gives the number of a page that is connected"];
            vec![(ready().with_oversize(), false, words)]
        }
        other => panic!("a field of a scenario without an expectation: {other}"),
    }
}

#[tokio::test]
async fn the_verdict_is_right_for_every_fault() {
    let stage = Stage::open(Scenario::blank()).await;
    let Value::Object(fields) = serde_json::json!(Scenario::blank()) else {
        panic!("a scenario is an object");
    };
    for field in fields.keys() {
        for (scenario, is_healthy, words) in faults(field) {
            stage.reload(scenario).await;
            let found = diagnose(&stage, LIMIT).await;
            assert_verdict(field, &found, is_healthy, &words);
        }
    }
}
