//! `Page::diagnose` on every generation, rename and fault: the verdict, and whether the page is healthy.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "doctor/broken.rs"]
mod broken;
#[path = "doctor/faults.rs"]
mod faults;
#[path = "doctor/program.rs"]
mod program;
mod support;

use std::time::Duration;

use support::chrome::Chrome;
use support::{LIMIT, Stage, ms, within_limit};
use whatsapp_phone::ExtractError;
use whatsapp_phone::source::PageState;
use whatsapp_phone::source::webdriver::{AttachOptions, Diagnosis, Guard, Overrides, Page, Target};
use whatsapp_phone::testkit::standin::{Generation, Name, Scenario, Situation, StandIn, Step};

const ME_USER: &str = "the number comes from WAWebUserPrefsMeUser and is `confirmed`";
const UNVERIFIED: &str = "the number comes from WAWebUserPrefsMeUser and is `unverified`";

async fn diagnose(stage: &Stage, deadline: Duration) -> Diagnosis {
    stage.page.diagnose(deadline).await.unwrap()
}

/// Checks whether the page is healthy, and that the verdict has these words and names nothing else as lost.
#[track_caller]
fn assert_verdict(what: &str, found: &Diagnosis, is_healthy: bool, words: &[&str]) {
    let verdict = &found.verdict;
    assert_eq!(found.is_healthy, is_healthy, "{what}: {verdict}");
    for word in words {
        assert!(verdict.contains(word), "{what}: `{word}` in: {verdict}");
    }
    let lost = words
        .iter()
        .filter(|word| word.contains("` (guard") || word.starts_with('`'));
    assert_eq!(
        verdict.matches("was renamed or removed").count(),
        lost.count(),
        "{what}: {verdict}"
    );
    for text in [found.to_string(), serde_json::json!(found).to_string()] {
        assert!(!text.contains("628110000041"), "{what}: {text}");
        assert!(!text.contains("123456789012345"), "{what}: {text}");
        assert!(
            text.contains(verdict.split('`').next().unwrap()),
            "{what}: {text}"
        );
    }
}

/// Returns whether the page is healthy after a rename, and the words of the verdict.
fn renamed(name: Name) -> (bool, Vec<&'static str>) {
    match name {
        // The getters are not asked on a page with newer ones. A page without a mark lacks that key too.
        Name::GetMaybeMeUser | Name::GetMeUser | Name::PostLogout => (true, vec![ME_USER]),
        Name::GetMaybeMePnUser => (true, vec![ME_USER, "`getMaybeMePnUser` was renamed"]),
        Name::GetMaybeMeLidUser => (true, vec![ME_USER, "`getMaybeMeLidUser` was renamed"]),
        Name::GetMaybeMeDevicePn => (true, vec![ME_USER, "`getMaybeMeDevicePn` was renamed"]),
        Name::GetMaybeMeDeviceLid => (true, vec![ME_USER, "`getMaybeMeDeviceLid` was renamed"]),
        Name::LastWidMd => (true, vec![ME_USER, "`last-wid-md` (guard number_key)"]),
        Name::WaLid => (true, vec![ME_USER, "`WALid` (guard lid_key)"]),
        Name::WaNoiseInfo => (true, vec![ME_USER, "`WANoiseInfo` (guard noise_key)"]),
        Name::MeUserModule => (
            true,
            vec![
                "comes from localStorage.last-wid-md and is `confirmed`",
                "`WAWebUserPrefsMeUser` was renamed",
            ],
        ),
        Name::MultiDeviceModule => (
            true,
            vec![
                ME_USER,
                "`WAWebUserPrefsMultiDevice` (guard registration_module)",
            ],
        ),
        Name::IsRegistered => (
            true,
            vec![
                ME_USER,
                "the registration test `isRegistered` (guard registration_test) was renamed or removed, \
                 so the storage keys replace",
            ],
        ),
        Name::ConnModel => (true, vec![ME_USER, "`WAWebConnModel` was renamed"]),
        Name::DebugVersion => (true, vec![ME_USER, "`Debug.VERSION` (guard boot_marker)"]),
        Name::SocketModel => (
            false,
            vec![
                UNVERIFIED,
                "`WAWebSocketModel` (guard socket_module)",
                "so answers are `unverified`",
            ],
        ),
        Name::HasSynced => (
            false,
            vec![
                UNVERIFIED,
                "sync not confirmed",
                "`hasSynced` (guard socket_synced)",
            ],
        ),
        Name::State => (false, vec![UNVERIFIED, "`state` (guard socket_state)"]),
        other => panic!("a name without an expectation: {other:?}"),
    }
}

#[tokio::test]
async fn the_verdict_names_each_single_rename() {
    let (first, second) = Name::ALL.split_at(Name::ALL.len() / 2);
    let check = async |names: &[Name]| {
        let stage = Stage::open(Scenario::blank()).await;
        for &name in names {
            stage.reload(Situation::Renamed(name).scenario()).await;
            let found = diagnose(&stage, LIMIT).await;
            let (is_healthy, words) = renamed(name);
            assert_verdict(name.as_str(), &found, is_healthy, &words);
        }
    };
    tokio::join!(check(first), check(second));
}

#[tokio::test]
async fn a_registration_test_that_nothing_replaces_makes_answers_unverified() {
    let renamed = Situation::Renamed(Name::IsRegistered).scenario();
    let stage = Stage::open(renamed.renamed(Name::WaNoiseInfo)).await;
    let found = diagnose(&stage, LIMIT).await;
    let words = [
        UNVERIFIED,
        "WhatsApp's registration test and its storage keys cannot be read",
        "the registration test `isRegistered` (guard registration_test) was renamed or removed, \
         and the storage keys cannot replace",
    ];
    assert_verdict("no registration", &found, false, &words);
}

#[tokio::test]
async fn the_verdict_names_the_reader_of_each_generation() {
    let stage = Stage::open(Scenario::blank()).await;
    for &generation in Generation::ALL {
        stage.reload(Scenario::ready(generation)).await;
        let limit = if generation == Generation::Blank {
            ms(500)
        } else {
            LIMIT
        };
        let found = diagnose(&stage, limit).await;
        let old = "an old WhatsApp Web gives no evidence";
        let (is_healthy, words, named, library): (_, &[&str], _, _) = match generation {
            Generation::ConnMe => (
                true,
                &["comes from Store.Conn.me", old],
                "single device",
                true,
            ),
            Generation::ConnWid => (
                true,
                &["comes from Store.Conn.wid", old],
                "single device",
                true,
            ),
            Generation::StoreUser => (true, &["comes from Store.User", old], "multi-device", true),
            // Without `require` its evidence cannot be read.
            Generation::WaJs => (
                false,
                &[
                    "comes from WPP.conn and is `unverified`",
                    "the socket cannot be read (guards socket_module and socket)",
                ],
                "without `require`",
                true,
            ),
            Generation::Comet => (true, &[ME_USER], "until August 2025", false),
            Generation::Current => (true, &[ME_USER], "since September 2025", false),
            Generation::Renamed => (
                true,
                &[
                    "comes from localStorage.last-wid-md and is `confirmed`",
                    "`getMaybeMePnUser` was renamed",
                    "`getMaybeMeLidUser` was renamed",
                    "`getMaybeMeDevicePn` was renamed",
                    "`getMaybeMeDeviceLid` was renamed",
                ],
                "unknown getters",
                false,
            ),
            Generation::Blank => (
                false,
                &["there is no number", "no known reason"],
                "unknown",
                false,
            ),
            other => panic!("a generation without an expectation: {other:?}"),
        };
        let what = format!("{generation:?}");
        assert_verdict(&what, &found, is_healthy, words);
        assert!(
            found.generation.contains(named),
            "{what}: {}",
            found.generation
        );
        assert_eq!(
            found.library.is_some(),
            library,
            "{what}: {:?}",
            found.library
        );
        assert_eq!(found.versions_match, Some(true), "{found}");
        assert!(found.driver_version.is_some() && found.browser_version.is_some());
        let present = found.readers.iter().filter(|reader| reader.is_present);
        let has_storage = !matches!(
            generation,
            Generation::ConnMe | Generation::ConnWid | Generation::Blank
        );
        assert!(present.count() >= usize::from(has_storage), "{found}");
    }
}

#[tokio::test]
async fn the_verdict_says_why_there_is_no_number() {
    let stage = Stage::open(Scenario::blank()).await;
    for (scenario, words) in [
        (
            Scenario::lid_only(),
            "no reader gives the number; the LID comes from",
        ),
        (
            Scenario::disagree("628990000099@c.us"),
            "two live readers name different accounts",
        ),
    ] {
        stage.reload(scenario).await;
        let found = diagnose(&stage, LIMIT).await;
        let verdict = &found.verdict;
        assert!(!found.is_healthy, "{verdict}");
        assert!(verdict.contains(words), "`{words}` in: {verdict}");
    }
}

#[tokio::test]
async fn getters_that_throw_or_lie_are_seen_and_the_storage_is_named() {
    let stage = Stage::open(Scenario::blank()).await;
    let scenario = Scenario::reload_of_linked().at(ms(100), Step::Throwing(true));
    stage.reload(scenario).await;
    let thrown = diagnose(&stage, ms(7000)).await;
    let reader = |found: &Diagnosis, at: usize| found.readers[at].clone();
    assert!(!reader(&thrown, 0).is_present, "{thrown}");
    assert_eq!(
        reader(&thrown, 0).gave.as_deref(),
        Some("an error"),
        "{thrown}"
    );

    stage
        .reload(Scenario::reload_of_linked().with_proxy())
        .await;
    let proxy = diagnose(&stage, LIMIT).await;
    let storage = "comes from localStorage.last-wid-md and is `confirmed`";
    assert!(proxy.verdict.contains(storage), "{proxy}");
    assert_eq!(
        reader(&proxy, 0).gave.as_deref(),
        Some("no account"),
        "{proxy}"
    );
}

#[tokio::test]
async fn a_page_with_replaced_built_ins_is_diagnosed_by_its_opener_and_an_attached_session() {
    let plain = Scenario::ready(Generation::Current);
    let replaced = plain.clone().with_replaced_builtins();
    let assert_healthy = |what: &str, found: &Diagnosis| {
        assert_verdict(what, found, true, &[ME_USER]);
        assert_eq!(found.versions_match, Some(true), "{what}: {found}");
        // A version is no number.
        let version = Some("2.3000.1000000000");
        assert_eq!(found.whatsapp_version.as_deref(), version, "{what}");
    };
    let stage = Stage::open(replaced.clone()).await;
    assert_healthy("replaced", &diagnose(&stage, LIMIT).await);

    let chrome = Chrome::start().await;
    for (what, scenario) in [("attached", plain), ("attached, replaced", replaced)] {
        let stand_in = StandIn::start(scenario).await.unwrap();
        chrome.open(&stand_in.url());
        let options = AttachOptions::default().deadline(LIMIT);
        let options = options.target(Target::at(stand_in.origin()).unwrap());
        let page = Page::attach(&stage.driver, chrome.address.clone(), options);
        let page = page.await.unwrap();
        assert_healthy(what, &page.diagnose(LIMIT).await.unwrap());
        page.close().await;
    }
}

#[tokio::test]
async fn a_crashed_page_is_closed_and_a_hanging_one_times_out() {
    let crashed = Stage::open(Scenario::ready(Generation::Current)).await;
    drop(crashed.page.client().goto("chrome://crash").await);
    let error = crashed.page.diagnose(LIMIT).await.unwrap_err();
    assert_eq!(ExtractError::from(error.clone()).code(), "page_closed");
    assert!(error.message().contains("crashed"), "{error}");

    let hanging = Stage::open(Scenario::ready(Generation::Current)).await;
    let client = hanging.page.client();
    let endless = "setTimeout(() => { for (;;) {} }, 0)";
    // The loop may begin before the answer is sent.
    tokio::spawn(async move { client.execute(endless, vec![]).await });
    let diagnosed = async {
        // Until the loop has begun, the page can still be read.
        loop {
            if let Err(error) = hanging.page.diagnose(ms(500)).await {
                return error;
            }
        }
    };
    let error = within_limit("a hanging page is an error", diagnosed).await;
    assert_eq!(error.code(), Some("timeout"), "{error}");
    assert_eq!(ExtractError::from(error).code(), "blocked");
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_an_error_within_the_deadline() {
    let stage = Stage::open(Scenario::ready(Generation::Current)).await;
    let client = stage.page.client();
    client.goto("about:blank").await.unwrap();
    let error = stage.page.diagnose(ms(200)).await.unwrap_err();
    assert!(error.message().contains("not at http"), "{error}");
    stage.reload(Scenario::ready(Generation::Current)).await;
    client
        .execute("setTimeout(() => alert('hello'))", vec![])
        .await
        .unwrap();
    let error = stage.page.diagnose(ms(500)).await.unwrap_err();
    assert_eq!(error.code(), Some("unexpected alert open"), "{error}");
    client.dismiss_alert().await.unwrap();
    stage.page.clone().close().await;
    let error = stage.page.diagnose(LIMIT).await.unwrap_err();
    assert!(error.message().contains("closed"), "{error}");
}

#[tokio::test]
async fn overrides_mend_what_the_verdict_names() {
    let stage = Stage::open(Situation::Renamed(Name::SocketModel).scenario()).await;
    assert!(!diagnose(&stage, LIMIT).await.is_healthy);
    let overrides = Overrides::default()
        .guard(Guard::SocketModule, "WAWebSocketModelRenamed")
        .reader("mine", "require('WAWebUserPrefsMeUser').getMaybeMePnUser()");
    stage.page.set_overrides(&overrides).await.unwrap();
    let found = diagnose(&stage, LIMIT).await;
    let words = "the number comes from mine and is `confirmed`";
    assert_verdict("mended", &found, true, &[words]);
    assert_eq!(found.readers[0].name, "mine");
    assert_eq!(found.readers[0].gave.as_deref(), Some("62********41@c.us"));
}
