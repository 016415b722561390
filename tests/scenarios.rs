//! Every scenario of the stand-in page, read in real Chromium through ChromeDriver.
#![cfg(all(feature = "testkit", feature = "webdriver"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use support::{LIMIT, Outcome, Stage, looks, ms, options, until_async, within_limit};
use whatsapp_phone::extract::ErrorKind;
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance::{self, Confirmed, Provisional, Unverified};
use whatsapp_phone::source::webdriver::{Page, ReaderId, WebDriverSource};
use whatsapp_phone::testkit::standin::{
    Generation, LID, PHONE, Scenario, Stale, StandIn, Step, WidForm,
};

const LONG: Duration = LIMIT;
/// The digits of `PHONE`.
const DIGITS: &str = "628110000041";
/// Another account.
const OTHER: &str = "628990000099@c.us";

#[track_caller]
fn assert_found(outcome: &Outcome, reader: &str, assurance: Assurance) {
    let found = outcome.as_ref().unwrap();
    assert_eq!(found.phone.reveal(), DIGITS);
    assert_eq!(
        (found.reader.as_str(), found.assurance),
        (reader, assurance)
    );
}

#[track_caller]
fn assert_kind(outcome: &Outcome, kind: ErrorKind) {
    let error = outcome.as_ref().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}: {:?}", error.failures());
}

/// Which reader answers on which generation, and how sure it is.
const BY_GENERATION: [(Generation, &str, Assurance); 7] = [
    (Generation::ConnMe, "Store.Conn.me", Unverified),
    (Generation::ConnWid, "Store.Conn.wid", Unverified),
    (Generation::StoreUser, "Store.User", Unverified),
    (Generation::Comet, "WAWebUserPrefsMeUser", Confirmed),
    (Generation::Current, "WAWebUserPrefsMeUser", Confirmed),
    (Generation::WaJs, "WPP.conn", Unverified),
    (Generation::Renamed, "localStorage.last-wid-md", Confirmed),
];

#[tokio::test]
async fn every_generation_at_load_and_later() {
    let stage = Stage::open(Scenario::blank()).await;
    for (generation, reader, assurance) in BY_GENERATION {
        for form in [WidForm::Object, WidForm::Text] {
            stage
                .reload(Scenario::ready(generation).with_wid_form(form))
                .await;
            let outcome = stage.extract(Unverified, LONG).await;
            assert_found(&outcome, reader, assurance);
        }
        stage
            .reload(Scenario::ready_after(generation, ms(300)))
            .await;
        let outcome = stage.extract(Unverified, LONG).await;
        assert_found(&outcome, reader, assurance);
        // The page reports when that was; a number that was read before would be wrong.
        within_limit("it is readable", stage.stand_in.wait_readable()).await;
    }
}

#[tokio::test]
async fn the_reference_policy_reads_every_generation_too() {
    let stage = Stage::open(Scenario::ready(Generation::Current)).await;
    let quick = RetryPolicy::classic().to_builder().initial_delay(ms(0));
    for (generation, ..) in BY_GENERATION {
        // A page whose `Socket` cannot be read has to stay unchanged for five seconds.
        let interval = if generation == Generation::WaJs {
            450
        } else {
            50
        };
        let quick = quick.clone().interval(ms(interval));
        stage
            .reload(Scenario::ready_after(generation, ms(120)))
            .await;
        let source = WebDriverSource::all(&stage.page);
        let policy = quick.clone().build().unwrap();
        let outcome = stage.extract_by(source, policy, Unverified).await;
        assert_eq!(outcome.unwrap().phone.reveal(), DIGITS, "{generation:?}");
    }
}

#[tokio::test]
async fn single_readers_answer_on_their_own_generation_and_nowhere_else() {
    let stage = Stage::open(Scenario::ready(Generation::ConnMe)).await;
    assert_found(
        &stage.extract_only(ReaderId::ConnMe, LONG).await,
        "Store.Conn.me",
        Unverified,
    );
    assert_kind(
        &stage.extract_only_in_three_looks(ReaderId::StoreUser).await,
        ErrorKind::NotReady,
    );

    stage.reload(Scenario::ready(Generation::StoreUser)).await;
    let found = stage.extract_only(ReaderId::StoreUser, LONG).await;
    assert_found(&found, "Store.User", Unverified);
    assert_kind(
        &stage.extract_only_in_three_looks(ReaderId::ConnMe).await,
        ErrorKind::NotReady,
    );

    stage
        .reload(Scenario::ready(Generation::Current).with_injected_store())
        .await;
    for reader in [ReaderId::MeUser, ReaderId::StoreUser, ReaderId::LastWidMd] {
        assert_found(
            &stage.extract_only(reader.clone(), LONG).await,
            reader.as_str(),
            Confirmed,
        );
    }
}

#[tokio::test]
async fn two_sources_of_one_page_share_its_session() {
    let stage = Stage::open(Scenario::ready_after(Generation::Current, ms(700))).await;
    let sources: [std::sync::Arc<dyn whatsapp_phone::source::InfoSource>; 2] = [
        std::sync::Arc::new(WebDriverSource::only(&stage.page, ReaderId::MeUser)),
        std::sync::Arc::new(WebDriverSource::only(&stage.page, ReaderId::ConnMe)),
    ];
    let policy = RetryPolicy::builder().deadline(LONG).build().unwrap();
    let found = whatsapp_phone::extract::extract_phone_safely(&sources, &policy).await;
    assert_found(&found, "WAWebUserPrefsMeUser", Confirmed);
}

#[tokio::test]
async fn provisional_is_taken_only_where_it_is_accepted() {
    let scenario = || Scenario::provisional_then_confirmed(ms(200), ms(1200));
    let stage = Stage::open(scenario()).await;
    let confirmed = stage.extract(Unverified, LONG).await;
    assert_found(&confirmed, "WAWebUserPrefsMeUser", Confirmed);

    stage
        .reload(Scenario::provisional_then_confirmed(ms(200), LONG))
        .await;
    let early = stage.extract(Provisional, LONG).await;
    assert_found(&early, "WAWebUserPrefsMeUser", Provisional);

    stage
        .reload(Scenario::provisional_then_confirmed(ms(0), LONG))
        .await;
    let refused = stage.extract_in_three_looks(Confirmed).await;
    assert_kind(&refused, ErrorKind::NotReady);
    assert_eq!(refused.unwrap_err().refused(), Some(Provisional));
}

#[tokio::test]
async fn a_lid_is_distinguished_from_a_number() {
    let stage = Stage::open(Scenario::lid_only()).await;
    assert_kind(
        &stage.extract_in_three_looks(Provisional).await,
        ErrorKind::LidOnly,
    );

    stage.reload(Scenario::lid_first(ms(100), ms(700))).await;
    let outcome = stage.extract(Unverified, LONG).await;
    assert_found(&outcome, "WAWebUserPrefsMeUser", Confirmed);
    assert_eq!(outcome.unwrap().lid.unwrap().reveal(), LID);
}

#[tokio::test]
async fn pages_without_readers_are_reported() {
    let stage = Stage::open(Scenario::never()).await;
    for scenario in [
        Scenario::never(),
        Scenario::blank(),
        Scenario::throwing(Generation::Current),
        Scenario::throwing(Generation::StoreUser),
        Scenario::stale_storage(Stale::NoNoiseInfo),
        Scenario::ready(Generation::Current)
            .with_oversize()
            .without_storage(),
        Scenario::ready(Generation::StoreUser)
            .with_oversize()
            .without_storage(),
        Scenario::ready(Generation::Current)
            .with_proxy()
            .without_storage(),
        Scenario::ready(Generation::StoreUser)
            .with_proxy()
            .without_storage(),
    ] {
        stage.reload(scenario.clone()).await;
        let outcome = stage.extract_in_three_looks(Provisional).await;
        assert_kind(&outcome, ErrorKind::NotReady);
        // A page is no error: whatever it does, the look itself worked.
        let error = outcome.unwrap_err();
        assert!(
            error.failures().is_empty(),
            "{scenario:?}: {:?}",
            error.failures()
        );
    }
}

#[tokio::test]
async fn hostile_and_strict_pages_are_read_like_others() {
    let stage = Stage::open(Scenario::blank()).await;
    let later = |generation| Scenario::ready_after(generation, ms(600));
    for generation in [Generation::Current, Generation::StoreUser] {
        for scenario in [
            later(generation).with_strict_csp(),
            later(generation).with_replaced_builtins(),
            later(generation).with_injected_store(),
            later(generation).at(ms(0), Step::BusyLoop { percent: 70 }),
            later(generation).at(ms(100), Step::BlockMainThread { ms: 900 }),
        ] {
            stage.reload(scenario.clone()).await;
            let outcome = stage.extract(Unverified, LONG).await;
            assert_eq!(
                outcome
                    .unwrap_or_else(|error| panic!("{scenario:?}: {error}"))
                    .phone
                    .reveal(),
                DIGITS
            );
        }
    }
    // A number that cannot be read live is still read from storage, if that may be believed.
    stage
        .reload(Scenario::ready(Generation::Current).with_proxy())
        .await;
    assert_found(
        &stage.extract(Unverified, LONG).await,
        "localStorage.last-wid-md",
        Confirmed,
    );
}

#[tokio::test]
async fn a_page_that_throws_at_first_is_read_once_it_heals() {
    let scenario = Scenario::throwing(Generation::Current).at(ms(700), Step::Throwing(false));
    let stage = Stage::open(scenario).await;
    let outcome = stage.extract(Provisional, LONG).await;
    assert_eq!(outcome.unwrap().phone.reveal(), DIGITS);
}

#[tokio::test]
async fn a_reload_in_mid_wait_costs_no_answer() {
    let stage = Stage::open(Scenario::reload_at(ms(400), ms(400))).await;
    let outcome = stage.extract(Unverified, LONG).await;
    assert_found(&outcome, "WAWebUserPrefsMeUser", Confirmed);
    assert_eq!(stage.stand_in.loads(), 2);
}

#[tokio::test]
async fn a_page_that_moves_away_is_not_believed() {
    let stage = Stage::open(Scenario::never()).await;
    let other = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let away = Step::Navigate { url: other.url() };
    stage.reload(Scenario::never().at(ms(200), away)).await;
    let source = WebDriverSource::all(&stage.page);
    let outcome = stage.extract_by(source, looks(10), Provisional).await;
    assert_kind(&outcome, ErrorKind::NotReady);
    assert_eq!(
        outcome.unwrap_err().failures()[0].failure.code(),
        Some("wrong origin")
    );
}

/// Waits until a logout has begun on the page.
async fn logout(stage: &Stage) {
    let gone = "return localStorage.WANoiseInfo === undefined";
    until_async("the logout begins", async || {
        let client = stage.page.client();
        client
            .execute(gone, vec![])
            .await
            .is_ok_and(|is| is == true)
    })
    .await;
}

#[tokio::test]
async fn after_logout_the_old_number_is_gone() {
    let stage = Stage::open(Scenario::logout_at(ms(0))).await;
    for at in [0, 300] {
        stage.reload(Scenario::logout_at(ms(at))).await;
        // From its first mark on never a number again.
        logout(&stage).await;
        assert_kind(
            &stage.extract_in_three_looks(Provisional).await,
            ErrorKind::NotReady,
        );
    }
}

#[tokio::test]
async fn the_account_linked_after_a_logout_is_the_result_and_never_the_former_one() {
    let timeline = Scenario::ready(Generation::Current)
        .at(ms(250), Step::Logout)
        .at(ms(1500), Step::socket("PAIRING"))
        .at(ms(2000), Step::me(OTHER))
        .at(ms(2500), Step::connected());
    let stage = Stage::open(Scenario::never()).await;
    for accept in [Provisional, Unverified] {
        stage.reload(timeline.clone()).await;
        // From the first mark of the logout on; the getters still give the old number then.
        logout(&stage).await;
        let found = stage.extract(accept, LONG).await.unwrap();
        assert_eq!(found.phone.reveal(), "628990000099");
        assert!(accept == Provisional || found.assurance == Confirmed);
        assert_eq!(found.lid, None);
    }

    // The event of a second `ready`, which the old account's logout fires as well.
    let spurious = Scenario::ready(Generation::Current)
        .at(ms(300), Step::Logout)
        .at(ms(320), Step::socket("OPENING"))
        .at(ms(340), Step::connected());
    stage.reload(spurious).await;
    logout(&stage).await;
    assert_kind(
        &stage.extract_in_three_looks(Provisional).await,
        ErrorKind::NotReady,
    );
}

#[tokio::test]
async fn a_number_that_changes_before_it_is_confirmed_is_given_as_it_ends() {
    let first = "628990000099:3@c.us";
    let stage = Stage::open(Scenario::number_changes(first, ms(200), PHONE, ms(900))).await;
    let outcome = stage.extract(Unverified, LONG).await;
    assert_found(&outcome, "WAWebUserPrefsMeUser", Confirmed);
}

#[tokio::test]
async fn two_live_readers_that_disagree_are_an_error() {
    let stage = Stage::open(Scenario::disagree("628990000099@c.us")).await;
    assert_kind(
        &stage.extract(Provisional, LONG).await,
        ErrorKind::SourcesDisagree,
    );
}

#[tokio::test]
async fn the_lid_of_an_account_before_is_not_attached_to_a_number() {
    let scenario = Scenario::ready(Generation::Current).without_storage();
    let stage = Stage::open(Scenario::blank()).await;
    let leave = "localStorage.setItem('WALid', '\"999999999999999@lid\"')";
    stage.reload(scenario).await;
    stage.page.client().execute(leave, vec![]).await.unwrap();
    let found = stage.extract(Unverified, LONG).await.unwrap();
    assert!(found.lid.is_none_or(|lid| lid.reveal() == LID));
}

#[tokio::test]
async fn a_dialog_is_left_open_and_named_as_what_bars_the_way() {
    let stage = Stage::open(Scenario::never()).await;
    stage
        .reload(Scenario::never().at(
            ms(300),
            Step::Dialog {
                text: "Stay?".into(),
            },
        ))
        .await;
    until_async("the dialog is open", async || {
        stage.page.client().get_alert_text().await.is_ok()
    })
    .await;
    assert_kind(
        &stage.extract_in_three_looks(Unverified).await,
        ErrorKind::Blocked,
    );
    assert_eq!(stage.page.client().get_alert_text().await.unwrap(), "Stay?");
}

#[tokio::test]
async fn wrong_tabs_are_never_read_and_two_right_ones_are_refused() {
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let decoy = Step::OpenTab {
        url: stand_in.decoy_url(),
    };
    stand_in.set_scenario(Scenario::ready(Generation::Current).at(ms(0), decoy));
    let driver = support::driver().await;
    let popups = |url: &str| options(url).browser_arg("--disable-popup-blocking");
    let page = Page::open(&driver, popups(&stand_in.url())).await.unwrap();
    let stage = Stage {
        stand_in,
        page,
        driver,
    };
    assert_found(
        &stage.extract(Unverified, LONG).await,
        "WAWebUserPrefsMeUser",
        Confirmed,
    );
    assert_eq!(stage.page.client().windows().await.unwrap().len(), 2);

    let twin = Step::OpenTab {
        url: format!("{}/other", stage.stand_in.origin()),
    };
    stage
        .stand_in
        .set_scenario(Scenario::ready(Generation::Current).at(ms(0), twin));
    let url = stage.stand_in.url();
    let error = Page::open(&stage.driver, popups(&url)).await.unwrap_err();
    assert_eq!(error.code(), Some("ambiguous_tab"));
    // Further text narrows it down to one.
    let target = whatsapp_phone::source::webdriver::Target::at(&url)
        .unwrap()
        .url_contains("/other");
    assert!(
        Page::open(&stage.driver, popups(&url).target(target))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn every_page_shows_how_far_a_session_is_linked() {
    use whatsapp_phone::link::{Bar, LinkSource, LinkState};

    let stage = Stage::open(Scenario::never()).await;
    let source = WebDriverSource::all(&stage.page);
    let until = async |state: LinkState| {
        let is_reached = async || source.link().await == Ok(state);
        until_async(&state.to_string(), is_reached).await;
    };
    until(LinkState::Unlinked).await;
    stage.reload(Scenario::blank()).await;
    until(LinkState::Unknown).await;
    for (generation, _, _) in BY_GENERATION {
        let ready = Scenario::ready(generation).on_signal(ms(0), Step::Logout);
        stage.reload(ready).await;
        until(LinkState::Linked).await;
        stage.stand_in.signal();
        // Pages of one device mark no logout.
        until(match generation {
            Generation::ConnMe | Generation::ConnWid => LinkState::Unknown,
            _ => LinkState::Unlinked,
        })
        .await;
    }
    let pairing = Scenario::provisional_then_confirmed(ms(100), ms(5000));
    stage
        .reload(pairing.at(ms(10_000), Step::socket("CONFLICT")))
        .await;
    until(LinkState::Linking).await;
    until(LinkState::Linked).await;
    until(LinkState::Barred(Bar::Conflict)).await;
}
