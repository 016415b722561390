//! The stand-in page in real Chromium: what the readers rely on is really on the page.
#![cfg(all(feature = "testkit", feature = "webdriver"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::time::{until_async, within_limit};
use support::{Stage, ms};
use whatsapp_phone::testkit::standin::{
    EARLY_MODULES, Generation, LID, LogoutStep, Name, PHONE, QR_PREFIX, Scenario, Situation, Stale,
    Step,
};

/// `PHONE` and `LID` as the getters give them.
const NUMBER: &str = "628110000041@c.us";

/// Runs a script in the page.
async fn js(stage: &Stage, script: &str) -> Value {
    let client = stage.page.client();
    let value = client.execute(script, vec![]).await;
    value.unwrap_or_else(|error| panic!("{script}: {error}"))
}

/// Waits until an expression is true in the page.
async fn until(stage: &Stage, expression: &str) {
    let script = format!("return {expression}");
    until_async(expression, async || js(stage, &script).await == true).await;
}

async fn settle(stage: &Stage) {
    within_limit("the page settles", stage.stand_in.wait_settled()).await;
}

/// Loads a situation and leads into it.
async fn enter(stage: &Stage, situation: Situation) {
    let scenario = situation.scenario();
    let is_signalled = scenario.waits_for_signal();
    stage.reload(scenario).await;
    settle(stage).await;
    if is_signalled {
        stage.stand_in.signal();
        settle(stage).await;
    }
}

/// Everything that the readers look at, `null` where the page has `undefined`.
const EVIDENCE: &str = "
    const me = require('WAWebUserPrefsMeUser');
    const { Socket } = require('WAWebSocketModel');
    const text = (wid) => wid?.toString() ?? null;
    return {
        registered: require('WAWebUserPrefsMultiDevice').isRegistered(),
        state: Socket.state,
        synced: String(Socket.hasSynced),
        noise: localStorage.WANoiseInfo !== undefined,
        mark: localStorage['post-logout'] ?? null,
        stored: localStorage['last-wid-md'] !== undefined,
        device: text(me.getMaybeMeDevicePn()),
        deviceLid: text(me.getMaybeMeDeviceLid()),
        pn: text(me.getMaybeMePnUser()),
        lid: text(me.getMaybeMeLidUser()),
    };";

#[tokio::test]
async fn a_linked_page_is_stored_from_the_start_and_unlaunched_until_its_time_after_each_load() {
    let stage = Stage::open(Scenario::linked().with_launch_after(None)).await;
    let unlaunched = json!({
        "registered": true, "state": "UNLAUNCHED", "synced": "undefined", "noise": true,
        "mark": null, "stored": true, "device": PHONE, "deviceLid": LID, "pn": NUMBER, "lid": LID,
    });
    settle(&stage).await;
    assert_eq!(js(&stage, EVIDENCE).await, unlaunched);

    // A reload finds what the first load left, and waits as the first one did.
    let reloads = Scenario::linked()
        .on_signal(ms(0), Step::Reload)
        .next_load()
        .at(ms(0), Step::connected());
    stage.reload(reloads.with_launch_after(None)).await;
    settle(&stage).await;
    stage.stand_in.signal();
    settle(&stage).await;
    assert_eq!(stage.stand_in.loads(), 2);
    assert_eq!(js(&stage, EVIDENCE).await, unlaunched);

    let launches = Scenario::linked().at(ms(0), Step::connected());
    let launches = launches.on_signal(ms(0), Step::Launch);
    stage.reload(launches.with_launch_after(None)).await;
    settle(&stage).await;
    assert_eq!(stage.stand_in.readable_at(), None);
    let listen = "const { Socket } = require('WAWebSocketModel'); window.seen = [];
        const note = () => window.seen.push(Socket.state + ' ' + Socket.hasSynced);
        note(); Socket.on('change:state', note);";
    js(&stage, listen).await;
    stage.stand_in.signal();
    settle(&stage).await;
    let seen = js(&stage, "return window.seen").await;
    assert_eq!(seen, json!(["UNLAUNCHED undefined", "CONNECTED true"]));
    assert!(stage.stand_in.readable_at().is_some());
}

#[tokio::test]
async fn modules_run_on_the_first_require_and_one_that_runs_too_early_stays_broken() {
    let early = format!("return require('{EARLY_MODULES}')");
    let boots_late = Scenario::linked().breaks_before_boot(Name::ConnModel);
    let stage = Stage::open(boots_late.clone().with_boot_after(None)).await;
    assert_eq!(js(&stage, "return window.Debug").await, Value::Null);
    assert_eq!(js(&stage, &early).await, 0);
    // With what it needs.
    js(&stage, "require('WAWebUserPrefsMeUser')").await;
    assert_eq!(js(&stage, &early).await, 3);
    js(&stage, "require('WAWebUserPrefsMeUser')").await;
    assert_eq!(js(&stage, &early).await, 3);

    let throws = "try { require('WAWebConnModel'); return false } catch { return true }";
    assert_eq!(js(&stage, throws).await, true);
    assert_eq!(js(&stage, throws).await, true);
    let unknown = "try { require('WAWebNothing'); return false } catch { return true }";
    assert_eq!(js(&stage, unknown).await, true);

    stage.reload(boots_late.clone()).await;
    settle(&stage).await;
    assert_eq!(js(&stage, "return typeof Debug.VERSION").await, "string");
    assert_eq!(js(&stage, &early).await, 0);
    assert_eq!(js(&stage, throws).await, false);

    // Broken before the boot, it is broken after it.
    let boots = boots_late
        .with_boot_after(None)
        .on_signal(ms(0), Step::Boot);
    stage.reload(boots).await;
    settle(&stage).await;
    assert_eq!(js(&stage, throws).await, true);
    stage.stand_in.signal();
    settle(&stage).await;
    assert_eq!(js(&stage, "return typeof Debug.VERSION").await, "string");
    assert_eq!(js(&stage, throws).await, true);
}

#[tokio::test]
async fn an_unpaired_page_shows_its_qr_code_and_hides_it_when_it_is_scanned() {
    let scenario = Scenario::never()
        .with_qr_interval(ms(200))
        .on_signal(ms(0), Step::me(PHONE))
        .on_signal(ms(0), Step::lid(LID));
    let stage = Stage::open(scenario).await;
    let shown = "document.querySelector('[data-testid=link-device-qr-code] canvas')?.parentElement.dataset.ref";
    until(
        &stage,
        &format!("{shown}?.startsWith('{QR_PREFIX}') === true"),
    )
    .await;
    settle(&stage).await;
    let first = js(&stage, &format!("return {shown}")).await;
    until(&stage, &format!("{shown} !== {first}")).await;
    let fresh = js(&stage, EVIDENCE).await;
    assert_eq!(
        (&fresh["registered"], &fresh["state"]),
        (&json!(false), &json!("UNPAIRED"))
    );
    assert_eq!(fresh["device"], Value::Null);

    stage.stand_in.signal();
    settle(&stage).await;
    let paired = json!({
        "registered": true, "state": "UNPAIRED", "synced": "undefined", "noise": true, "mark": null,
        "stored": true, "device": PHONE, "deviceLid": LID, "pn": NUMBER, "lid": LID,
    });
    assert_eq!(js(&stage, EVIDENCE).await, paired);
    assert_eq!(
        js(&stage, "return document.querySelector('[data-ref]')").await,
        Value::Null
    );
    assert_eq!(stage.stand_in.readable_at(), None);

    enter(&stage, Situation::Paired).await;
    let evidence = js(&stage, EVIDENCE).await;
    assert_eq!(
        (&evidence["state"], &evidence["synced"]),
        (&json!("CONNECTED"), &json!("true"))
    );
    enter(&stage, Situation::QrExpired).await;
    let (state, code) = (
        "require('WAWebSocketModel').Socket.state",
        "document.querySelector('[data-ref]')?.dataset.ref",
    );
    let button = "document.querySelector('[data-ref] > span > button')";
    let old = js(&stage, &format!("return {code}")).await;
    assert_eq!(
        js(&stage, &format!("return [{state}, {button} !== null]")).await,
        json!(["UNPAIRED_IDLE", true])
    );
    js(&stage, &format!("{button}.click()")).await;
    assert_eq!(
        js(
            &stage,
            &format!("return [{state}, {button}, {code} !== {old}]")
        )
        .await,
        json!(["UNPAIRED", null, true])
    );
}

#[tokio::test]
async fn getters_that_memoise_freeze_their_first_answer_and_the_others_do_not() {
    let stage = Stage::open(Scenario::blank()).await;
    enter(&stage, Situation::MemoFrozen).await;
    let frozen = json!({
        "registered": true, "state": "CONNECTED", "synced": "true", "noise": true, "mark": null,
        "stored": true, "device": PHONE, "deviceLid": LID, "pn": null, "lid": null,
    });
    assert_eq!(js(&stage, EVIDENCE).await, frozen);

    // Libraries call the same getters; only the page's own `setMe` heals them.
    let scenario = Scenario::new(Generation::Current)
        .with_injected_store()
        .with_injected_wpp()
        .on_signal(ms(0), Step::restore())
        .on_signal(ms(50), Step::me("628990000099@c.us"));
    stage.reload(scenario).await;
    settle(&stage).await;
    let libraries = "return [Store.User.getMaybeMePnUser(), WPP.conn.getMyUserId()].map((wid) => wid?.toString() ?? null)";
    assert_eq!(js(&stage, libraries).await, json!([null, null]));
    stage.stand_in.signal();
    settle(&stage).await;
    assert_eq!(
        js(&stage, libraries).await,
        json!(["628990000099@c.us", "628990000099@c.us"])
    );

    // The old name prefers the LID, and throws where there is nothing.
    enter(&stage, Situation::Linked).await;
    let old = "return require('WAWebUserPrefsMeUser').getMeUser().toString()";
    assert_eq!(js(&stage, old).await, LID);
    enter(&stage, Situation::FreshPage).await;
    let throws =
        "try { require('WAWebUserPrefsMeUser').getMeUser(); return false } catch { return true }";
    assert_eq!(js(&stage, throws).await, true);
}

#[tokio::test]
async fn the_first_read_of_a_key_writes_it_back_and_keys_alone_register_no_account() {
    let stage = Stage::open(Scenario::never().at(ms(100), Step::restore())).await;
    settle(&stage).await;
    let writes = "const written = []; const real = Storage.prototype.setItem;
        Storage.prototype.setItem = function (key, text) { written.push(key); return real.call(this, key, text) };
        const { getMaybeMeDeviceLid } = require('WAWebUserPrefsMeUser');
        getMaybeMeDeviceLid(); getMaybeMeDeviceLid();
        Storage.prototype.setItem = real;
        return written";
    assert_eq!(js(&stage, writes).await, json!(["WALid"]));

    for (situation, stored) in [(Situation::Guest, true), (Situation::NullText, true)] {
        enter(&stage, situation).await;
        let evidence = js(&stage, EVIDENCE).await;
        assert_eq!(
            (&evidence["registered"], &evidence["stored"]),
            (&json!(false), &json!(stored)),
            "{situation}"
        );
    }
    assert_eq!(js(&stage, "return localStorage.WANoiseInfo").await, "null");
    enter(&stage, Situation::LinkedWithMark).await;
    let evidence = js(&stage, EVIDENCE).await;
    assert_eq!(
        (&evidence["registered"], &evidence["mark"]),
        (&json!(true), &json!("1"))
    );
    stage
        .reload(Scenario::stale_storage(Stale::NoNoiseInfo))
        .await;
    settle(&stage).await;
    assert_eq!(js(&stage, EVIDENCE).await["registered"], false);
}

/// The evidence that a logout leaves after each step: registered, noise key, number stored, mark, synced.
const LOGOUT: [(LogoutStep, bool, bool, bool, bool); 7] = [
    (LogoutStep::Marked, true, true, true, true),
    (LogoutStep::KeysRemoved, false, false, true, true),
    (LogoutStep::NetworkDone, false, false, true, true),
    (LogoutStep::SyncUnset, false, false, true, false),
    (LogoutStep::NumberRemoved, false, false, false, false),
    (LogoutStep::StorageCleared, false, false, false, false),
    (LogoutStep::DatabasesDestroyed, false, false, false, false),
];

#[tokio::test]
async fn a_logout_goes_its_steps_in_order_and_the_lid_outlives_it() {
    let stage = Stage::open(Scenario::blank()).await;
    for (step, registered, noise, stored, synced) in LOGOUT {
        let cleared = matches!(
            step,
            LogoutStep::StorageCleared | LogoutStep::DatabasesDestroyed
        );
        let ends = step == LogoutStep::DatabasesDestroyed;
        let expect = |synced: bool, mark: bool| {
            json!({
                "registered": registered, "state": "CONNECTED",
                "synced": if synced { "true" } else { "undefined" },
                "noise": noise, "mark": mark.then_some("1"), "stored": stored,
                "device": stored.then_some(PHONE), "deviceLid": (!cleared).then_some(LID),
                "pn": stored.then_some(NUMBER), "lid": LID,
            })
        };
        let refused = Situation::Refused(step);
        enter(&stage, refused).await;
        assert_eq!(
            js(&stage, EVIDENCE).await,
            expect(false, !cleared),
            "{refused}"
        );
        if step == LogoutStep::Marked {
            continue;
        }
        for with_error in [false, true] {
            let own = Situation::LoggingOut {
                with_error,
                after: step,
            };
            enter(&stage, own).await;
            assert_eq!(
                js(&stage, EVIDENCE).await,
                expect(synced, with_error && ends),
                "{own}"
            );
        }
        if cleared {
            assert_eq!(js(&stage, "return localStorage.WALangPref").await, "null");
        }
    }
    for with_error in [false, true] {
        enter(&stage, Situation::LoggedOut { with_error }).await;
        assert_eq!(stage.stand_in.loads(), 2);
        let evidence = js(&stage, EVIDENCE).await;
        assert_eq!(evidence["mark"], json!(with_error.then_some("1")));
        assert_eq!(
            (&evidence["registered"], &evidence["lid"]),
            (&json!(false), &Value::Null)
        );
    }
}

/// The place of each name, as an expression with `NAME` in it that is true if it is there.
fn place(name: Name) -> &'static str {
    match name.as_str() {
        "last-wid-md" | "WALid" | "WANoiseInfo" | "post-logout" => {
            "localStorage['NAME'] !== undefined"
        }
        "Debug.VERSION" => "window.NAME !== undefined",
        "isRegistered" => "require('WAWebUserPrefsMultiDevice').NAME?.() === true",
        "hasSynced" => "require('WAWebSocketModel').Socket.NAME === true",
        "state" => "require('WAWebSocketModel').Socket.NAME === 'CONNECTED'",
        module if module.starts_with("WAWeb") => {
            "(() => { try { return require('NAME') !== undefined } catch { return false } })()"
        }
        _ => "require('WAWebUserPrefsMeUser').NAME?.() != null",
    }
}

#[tokio::test]
async fn each_name_can_be_another_and_works_on() {
    let stage = Stage::open(Scenario::blank()).await;
    for &name in Name::ALL {
        let mut linked = Situation::Linked.scenario();
        if name == Name::GetMaybeMeUser {
            linked = linked.with_generation(Generation::Comet);
        }
        if name == Name::PostLogout {
            linked = Situation::LinkedWithMark.scenario();
        }
        let at = |other: &str| format!("return {}", place(name).replace("NAME", other));
        stage.reload(linked.clone()).await;
        settle(&stage).await;
        assert_eq!(js(&stage, &at(name.as_str())).await, true, "{name:?}");

        stage.reload(linked.renamed(name)).await;
        settle(&stage).await;
        let other = format!("{}Renamed", name.as_str());
        assert_eq!(js(&stage, &at(name.as_str())).await, false, "{name:?}");
        assert_eq!(js(&stage, &at(&other)).await, true, "{name:?}");
        assert!(stage.stand_in.readable_at().is_some(), "{name:?}");
    }
}
