//! Every situation of the real page, as the readers see it: a table of looks and link states.
#![cfg(all(feature = "testkit", feature = "webdriver"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use support::time::{LIMIT, within_limit};
use support::{Outcome, Stage};
use tokio::time::Instant;
use whatsapp_phone::extract::{ErrorKind, ExtractError, Extraction};
use whatsapp_phone::failure::{ProtocolFailure, Site};
use whatsapp_phone::link::{Bar, LinkSource, LinkState};
use whatsapp_phone::retry::RetryPolicy;
use whatsapp_phone::source::Assurance::{self, Confirmed, Provisional, Unverified};
use whatsapp_phone::source::webdriver::{Guard, Overrides, Page, ReaderId, WebDriverSource};
use whatsapp_phone::source::{InfoSource, Look, PageState};
use whatsapp_phone::testkit::standin::{
    EARLY_MODULES, Generation, Logout, LogoutStep, Name, Scenario, Situation, Stale, StandIn, Step,
};

const DIGITS: &str = "628110000041";

/// One look: the assurance of a number or LID if there is one, and the link state of the same look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    account: Option<Assurance>,
    link: LinkState,
}

const fn sight(account: Option<Assurance>, link: LinkState) -> Sight {
    Sight { account, link }
}

impl std::fmt::Display for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let account = self.account.map_or("none", Assurance::as_str);
        write!(f, "{account}/{}", self.link)
    }
}

async fn look(source: &WebDriverSource) -> Sight {
    // At the same time they share one round trip.
    let (look, link) = tokio::join!(source.probe(), source.link());
    let account = match look.unwrap() {
        Look::Found(me) => {
            assert_eq!(me.phone.unwrap().reveal(), DIGITS);
            Some(me.assurance)
        }
        Look::LidOnly(me) => Some(me.assurance),
        Look::NotYet => None,
        other => panic!("{other:?}"),
    };
    sight(account, link.unwrap())
}

/// How often a sight must be seen in a row to count as lasting.
const LASTING: u32 = 30;

/// Looks until this sight lasts. Returns the sights in their order.
async fn look_until(source: &WebDriverSource, expected: Sight) -> Vec<Sight> {
    let mut path: Vec<Sight> = Vec::new();
    let end = Instant::now() + LIMIT;
    let mut count = 0;
    while count < LASTING && Instant::now() < end {
        let seen = look(source).await;
        if path.last() != Some(&seen) {
            path.push(seen);
        }
        count = if seen == expected { count + 1 } else { 0 };
    }
    path
}

/// The lasting sight before the signal, if there is one, and the last one.
fn expected(situation: Situation) -> (Option<Sight>, Sight) {
    use LinkState::{Linked, Linking, QrExpired, Unknown, Unlinked};
    use Situation as S;
    const NOBODY: Sight = sight(None, Unlinked);
    const CONFIRMED: Sight = sight(Some(Confirmed), Linked);
    let provisional = |link| sight(Some(Provisional), link);
    let barred = |bar| provisional(LinkState::Barred(bar));
    match situation {
        S::FreshPage | S::NullText | S::Guest => (None, NOBODY),
        S::QrExpired => (Some(NOBODY), sight(None, QrExpired)),
        // `CONNECTED`: the server has not accepted the login yet.
        S::NotBooted | S::NotLaunched | S::Socket("CONNECTED") => (None, provisional(Unknown)),
        S::Socket("OPENING" | "PAIRING" | "SCREEN_LOCKED") => (None, provisional(Linking)),
        S::Socket("CONFLICT") => (None, barred(Bar::Conflict)),
        S::Socket("PROXYBLOCK") => (None, barred(Bar::ProxyBlock)),
        S::Socket("TOS_BLOCK" | "SMB_TOS_BLOCK") => (None, barred(Bar::TosBlock)),
        S::Linked | S::LinkedWithMark => (None, CONFIRMED),
        S::Provisional => (Some(NOBODY), provisional(Linking)),
        S::Paired | S::MemoFrozen => (Some(NOBODY), CONFIRMED),
        S::Refused(_) => (Some(provisional(Unknown)), NOBODY),
        S::LoggingOut { .. } | S::LoggedOut { .. } => (Some(CONFIRMED), NOBODY),
        S::Renamed(name) => match name {
            Name::HasSynced | Name::State | Name::SocketModel => {
                (None, sight(Some(Unverified), Linked))
            }
            _ => (None, CONFIRMED),
        },
        other => panic!("a situation without an expectation: {other:?}"),
    }
}

/// The page's content in place of an account at the last sight.
fn expected_state(situation: Situation) -> Option<PageState> {
    use Situation as S;
    Some(match situation {
        S::FreshPage | S::NullText | S::LoggedOut { .. } => PageState::QrShown,
        S::QrExpired => PageState::QrExpired,
        S::NotBooted | S::NotLaunched => PageState::NotBooted,
        S::Socket("OPENING" | "PAIRING") => PageState::Linking,
        S::Socket("CONNECTED") | S::Provisional => PageState::Provisional,
        S::Socket("CONFLICT") => PageState::Conflict,
        S::Socket("PROXYBLOCK") => PageState::ProxyBlock,
        S::Socket("TOS_BLOCK" | "SMB_TOS_BLOCK") => PageState::TosBlock,
        // After a logout, neither an account nor a QR code until the page navigates.
        S::Socket("SCREEN_LOCKED") | S::Guest | S::Refused(_) | S::LoggingOut { .. } => {
            PageState::Unknown
        }
        S::Linked | S::LinkedWithMark | S::Paired | S::MemoFrozen | S::Renamed(_) => return None,
        other => panic!("a situation without an expectation: {other:?}"),
    })
}

/// The deadline of its extraction: 45 s, or less than the longest count if a shorter one is expected.
const fn deadline(name: Name) -> Duration {
    match name {
        Name::HasSynced | Name::State | Name::DebugVersion => Duration::from_secs(45),
        _ => Duration::from_secs(19),
    }
}

fn is_logout(situation: Situation) -> bool {
    matches!(
        situation,
        Situation::Refused(_) | Situation::LoggingOut { .. } | Situation::LoggedOut { .. }
    )
}

/// Goes through these situations on one page. Returns the rows of the table.
async fn rows(situations: Vec<Situation>) -> Vec<String> {
    let stage = Stage::open(Scenario::blank()).await;
    let source = WebDriverSource::all(&stage.page);
    let mut rows = Vec::new();
    for situation in situations {
        let (before, last) = expected(situation);
        stage.reload(situation.scenario()).await;
        within_limit("the page settles", stage.stand_in.wait_settled()).await;
        let mut path = Vec::new();
        if let Some(before) = before {
            path = look_until(&source, before).await;
            stage.stand_in.signal();
        }
        let after = look_until(&source, last).await;
        assert_eq!(
            after.last(),
            Some(&last),
            "{situation}: {path:?}, {after:?}"
        );
        // The page after a logout may still be loading.
        let state = expected_state(situation);
        let end = Instant::now() + LIMIT;
        while source.page_state() != state && Instant::now() < end {
            source.probe().await.ok();
        }
        assert_eq!(source.page_state(), state, "{situation}: {after:?}");
        if is_logout(situation) {
            // Once a look gives nothing, no later one gives anything.
            let gone = after.iter().position(|sight| sight.account.is_none());
            let rest = &after[gone.unwrap()..];
            assert!(
                rest.iter().all(|sight| sight.account.is_none()),
                "{situation}: {after:?}"
            );
        }
        if matches!(situation, Situation::Refused(_)) {
            let sights = path.iter().chain(&after);
            let best = sights.filter_map(|sight| sight.account).max();
            assert!(
                best <= Some(Provisional),
                "{situation}: {path:?}, {after:?}"
            );
        }
        path.extend(after);
        path.dedup();
        let path: Vec<_> = path.iter().map(Sight::to_string).collect();
        rows.push(format!(
            "{:<46} {:<24} {}",
            situation.to_string(),
            last.to_string(),
            path.join(" > ")
        ));
    }
    rows
}

#[tokio::test]
async fn every_situation_and_step_gives_the_expected_look_and_link_state() {
    let (renamed, others): (Vec<_>, Vec<_>) = Situation::all()
        .into_iter()
        .partition(|situation| matches!(situation, Situation::Renamed(_)));
    assert!(renamed.len() == Name::ALL.len() && others.len() > 2 * LogoutStep::ALL.len());
    let (first, second) = others.split_at(others.len() / 2);
    let (mut table, more) = tokio::join!(rows(first.to_vec()), rows(second.to_vec()));
    table.extend(more);
    println!("{:<46} {:<24} given", "situation", "expected");
    println!("{}", table.join("\n"));
}

#[tokio::test]
async fn each_single_rename_costs_at_most_its_time_and_one_level_of_assurance() {
    let (first, second) = Name::ALL.split_at(Name::ALL.len() / 2);
    let measure = async |names: &[Name]| {
        let stage = Stage::open(Scenario::blank()).await;
        let mut rows = Vec::new();
        for &name in names {
            stage.reload(Situation::Renamed(name).scenario()).await;
            let found = stage.extract(Unverified, deadline(name)).await;
            let found = found.unwrap_or_else(|error| panic!("{name:?}: {error}"));
            assert_eq!(found.phone.reveal(), DIGITS, "{name:?}");
            let (_, last) = expected(Situation::Renamed(name));
            assert_eq!(Some(found.assurance), last.account, "{name:?}");
            rows.push((name, found.assurance, found.reader, found.elapsed));
        }
        rows
    };
    let (mut rows, more) = tokio::join!(measure(first), measure(second));
    rows.extend(more);
    println!(
        "{:<24} {:<11} {:<26} seconds",
        "renamed", "assurance", "reader"
    );
    for (name, assurance, reader, elapsed) in rows {
        let seconds = elapsed.as_secs_f64();
        println!(
            "{:<24} {assurance:<11} {reader:<26} {seconds:.1}",
            name.as_str()
        );
    }
}

#[tokio::test]
async fn an_eager_extraction_names_the_deadline_and_a_later_one_on_the_same_page_succeeds() {
    for name in [Name::HasSynced, Name::State, Name::DebugVersion] {
        let stage = Stage::open(Situation::Renamed(name).scenario()).await;
        let extract = || {
            let source = WebDriverSource::all(&stage.page);
            stage.extract_by(source, RetryPolicy::default(), Unverified)
        };
        let error = extract().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady, "{name:?}: {error}");
        let deadline = error.sufficient_deadline().unwrap();
        assert!(
            deadline <= Duration::from_secs(45),
            "{name:?}: {deadline:?}"
        );
        let text = format!("allow a deadline of {} s", deadline.as_secs());
        assert!(error.to_string().contains(&text), "{name:?}: {error}");
        let later = async {
            let mut outcome = extract().await;
            while outcome.is_err() {
                outcome = extract().await;
            }
            outcome.unwrap()
        };
        let found = within_limit("a later extraction", later).await;
        assert_eq!(found.phone.reveal(), DIGITS, "{name:?}");
    }
}

#[tokio::test]
async fn an_error_says_what_the_page_shows_and_advises_more_time_only_if_that_can_help() {
    use Situation as S;
    let stage = Stage::open(Scenario::blank()).await;
    let fail = async || {
        let source = WebDriverSource::all(&stage.page);
        let error = stage
            .extract_by(source, support::looks(10), Confirmed)
            .await;
        error.unwrap_err()
    };
    let assert_error = |error: ExtractError, state: PageState| {
        assert_eq!(error.kind(), ErrorKind::NotReady, "{state}: {error}");
        assert_eq!(error.page_state(), Some(state), "{error}");
        let text = error.to_string();
        assert!(text.contains(state.advice()), "{state}: {text}");
    };
    assert_error(fail().await, PageState::Unknown);
    for situation in [
        S::FreshPage,
        S::Socket("OPENING"),
        S::Socket("CONFLICT"),
        S::Socket("PROXYBLOCK"),
        S::Socket("TOS_BLOCK"),
        S::NotLaunched,
    ] {
        stage.reload(situation.scenario()).await;
        within_limit("the page settles", stage.stand_in.wait_settled()).await;
        assert_error(fail().await, expected_state(situation).unwrap());
    }
    // The code is shown over the storage of a former account, which still looks registered.
    for (state, shown) in [
        ("UNPAIRED", PageState::QrShown),
        ("UNPAIRED_IDLE", PageState::QrExpired),
    ] {
        let stale = Scenario::stale_storage(Stale::PostLogout);
        stage
            .reload(stale.at(Duration::ZERO, Step::socket(state)))
            .await;
        within_limit("the page settles", stage.stand_in.wait_settled()).await;
        assert_error(fail().await, shown);
    }

    let client = stage.page.client();
    client.goto("about:blank").await.unwrap();
    assert_error(fail().await, PageState::NotLoaded);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let refused = client.goto(&url).await.unwrap_err();
    assert_error(fail().await, PageState::Network);
    // The same while a page is opened.
    let failure = ProtocolFailure::new(Site::WebDriverCommand, refused.to_string());
    assert_error(failure.into(), PageState::Network);
}

#[tokio::test]
async fn a_page_that_is_not_opened_in_time_is_blocked_and_never_not_ready() {
    let stand_in = StandIn::start(Scenario::blank()).await.unwrap();
    let driver = support::driver().await;
    let options = support::options(&stand_in.url()).deadline(Duration::from_millis(1));
    let failure = Page::open(&driver, options).await.unwrap_err();
    let error = ExtractError::from(failure);
    assert_eq!((error.code(), error.page_state()), ("blocked", None));
    let text = error.to_string();
    assert!(
        text.contains("allow a longer deadline for opening"),
        "{text}"
    );
    assert!(std::error::Error::source(&error).is_some());
    support::stop(driver).await;
}

#[tokio::test]
async fn a_revoked_account_is_never_given_although_its_page_connects_first() {
    let stage = Stage::open(Scenario::blank()).await;
    let is_refused = async |scenario: Scenario, accept| {
        stage.reload(scenario).await;
        let outcome = stage.extract(accept, Duration::from_secs(12)).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    };
    for accept in [Unverified, Confirmed] {
        is_refused(Scenario::revoked(), accept).await;
    }
    // A slow boot does not count as time without a change.
    for name in [Name::SocketModel, Name::IsRegistered] {
        let boot = Duration::from_secs(7);
        let connected = boot + Duration::from_millis(200);
        let verdict = boot + Duration::from_millis(600);
        let slow = Scenario::linked()
            .renamed(name)
            .with_boot_after(Some(boot))
            .with_launch_after(Some(boot))
            .at(connected, Step::socket("CONNECTED"))
            .at(verdict, Step::LogoutAs(Logout::refused()));
        is_refused(slow, Unverified).await;
    }
}

#[tokio::test]
async fn a_page_without_the_app_gives_nothing_of_the_profile_it_finds() {
    let stage = Stage::open(Situation::Linked.scenario()).await;
    within_limit("the page settles", stage.stand_in.wait_settled()).await;
    let plain = format!("{}other", stage.stand_in.url());
    stage.page.client().goto(&plain).await.unwrap();
    let outcome = stage.extract(Unverified, Duration::from_secs(30)).await;
    assert_eq!(outcome.unwrap_err().refused(), Some(Provisional));
    let link = WebDriverSource::all(&stage.page).link().await.unwrap();
    assert_eq!(link, LinkState::Unknown);
}

#[tokio::test]
async fn a_look_starts_nothing_on_a_page_that_has_not_booted() {
    let scenario = Scenario::linked().with_boot_after(None);
    let stage = Stage::open(scenario).await;
    let outcome = stage.extract(Unverified, Duration::from_secs(2)).await;
    assert_eq!(outcome.unwrap_err().refused(), Some(Provisional));
    let script = format!("return require('{EARLY_MODULES}')");
    let early = stage.page.client().execute(&script, vec![]).await.unwrap();
    // The script itself runs no module but this counter.
    assert_eq!(early, 0, "modules that were run before the boot");

    // Getters that memoise are not asked too early either.
    stage.reload(Situation::MemoFrozen.scenario()).await;
    let fresh = Scenario::new(Generation::Current);
    stage.reload(fresh).await;
    let source = WebDriverSource::all(&stage.page);
    look_until(&source, sight(None, LinkState::Unknown)).await;
    let linked = "localStorage.setItem('WANoiseInfo', '\"noise\"');
        localStorage.setItem('last-wid-md', '\"628110000041:12@c.us\"');
        return require('WAWebUserPrefsMeUser').getMaybeMePnUser()?.toString()";
    let number = stage.page.client().execute(linked, vec![]).await.unwrap();
    assert_eq!(number, "628110000041@c.us");
}

/// How a page looks after an update of WhatsApp Web that this release does not know, and the file that mends
/// it.
async fn mended(names: &[Name], file: &str) -> (Outcome, Extraction) {
    let renamed = names
        .iter()
        .fold(Situation::Linked.scenario(), |scenario, name| {
            scenario.renamed(*name)
        });
    let stage = Stage::open(renamed).await;
    let source = || WebDriverSource::all(&stage.page);
    let before = stage
        .extract_by(source(), support::looks(10), Confirmed)
        .await;
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, file).unwrap();
    let overrides = Overrides::from_json(&std::fs::read_to_string(&path).unwrap()).unwrap();
    stage.page.set_overrides(&overrides).await.unwrap();
    let after = stage
        .extract_by(source(), support::policy(), Confirmed)
        .await;
    (before, after.unwrap())
}

#[tokio::test]
async fn renamed_getters_are_mended_by_a_row_of_a_file() {
    let names = [
        Name::GetMaybeMePnUser,
        Name::GetMaybeMeDevicePn,
        Name::GetMeUser,
        Name::LastWidMd,
    ];
    let file = r#"{"readers": [{
        "name": "newer",
        "number": "require('WAWebUserPrefsMeUser').getMaybeMePnUserRenamed() // since December",
        "lid": "require('WAWebUserPrefsMeUser').getMaybeMeLidUser()"
    }]}"#;
    let (before, after) = mended(&names, file).await;
    let before = before.unwrap_err();
    assert_eq!(before.kind(), ErrorKind::NotReady);
    assert_eq!(before.page_state(), Some(PageState::Unknown));
    assert_eq!(
        (after.reader.as_str(), after.phone.reveal()),
        ("newer", DIGITS)
    );
    assert!(after.lid.is_some());
}

#[tokio::test]
async fn renamed_guards_are_mended_by_the_names_of_a_file() {
    for (name, file) in [
        (
            Name::SocketModel,
            r#"{"guards": {"socket_module": "WAWebSocketModelRenamed"}}"#,
        ),
        (
            Name::HasSynced,
            r#"{"guards": {"socket_synced": "hasSyncedRenamed"}}"#,
        ),
        (
            Name::State,
            r#"{"guards": {"socket_state": "stateRenamed"}}"#,
        ),
        (
            Name::DebugVersion,
            r#"{"guards": {"boot_marker": "Debug.VERSIONRenamed"}}"#,
        ),
    ] {
        let (before, after) = mended(&[name], file).await;
        assert_eq!(before.unwrap_err().kind(), ErrorKind::NotReady, "{name:?}");
        assert_eq!(after.phone.reveal(), DIGITS, "{name:?}");
    }
    // The test and the keys that stand in for it, all at once.
    let names = [
        Name::IsRegistered,
        Name::MultiDeviceModule,
        Name::WaNoiseInfo,
        Name::LastWidMd,
    ];
    let file = r#"{"guards": {
        "registration_module": "WAWebUserPrefsMultiDeviceRenamed", "registration_test": "isRegisteredRenamed",
        "noise_key": "WANoiseInfoRenamed", "number_key": "last-wid-mdRenamed"
    }}"#;
    let (before, after) = mended(&names, file).await;
    assert_eq!(before.unwrap_err().refused(), Some(Provisional));
    assert_eq!(after.phone.reveal(), DIGITS);
}

#[tokio::test]
async fn wrong_overrides_are_refused_and_the_page_is_read_as_before() {
    let stage = Stage::open(Situation::Linked.scenario()).await;
    for (overrides, reason) in [
        (
            Overrides::default().reader("bad", "require("),
            "`bad` is not a JavaScript expression",
        ),
        (
            Overrides::default().guard(Guard::Socket, "Socket']"),
            "guard socket",
        ),
    ] {
        let error = stage.page.set_overrides(&overrides).await.unwrap_err();
        assert_eq!(error.code(), Some("misconfigured"), "{error}");
        assert!(error.message().contains(reason), "{error}");
    }
    let unknown = WebDriverSource::only(&stage.page, ReaderId::custom("bad"));
    let error = unknown.probe().await.unwrap_err();
    assert!(error.message().contains("no reader named `bad`"), "{error}");
    // A reader that throws, or gives no account, is no answer; one that contradicts is a conflict.
    let quiet = Overrides::default()
        .reader("throws", "nothing.at.all")
        .reader("other", "({ user: 7 })");
    stage.page.set_overrides(&quiet).await.unwrap();
    let found = stage.extract(Confirmed, LIMIT).await.unwrap();
    assert_eq!(found.reader, "WAWebUserPrefsMeUser");
    let rival = Overrides::default().reader("rival", "'628990000099@c.us'");
    stage.page.set_overrides(&rival).await.unwrap();
    let error = stage.extract(Confirmed, LIMIT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourcesDisagree);
}
