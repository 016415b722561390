//! Documents that change while a wait runs, and the diagnosis of one.

use serde_json::json;
use whatsapp_phone::testkit::standin::{Generation, Scenario};

use crate::support::{LIMIT, policy, ready_on_signal, until_async, within_limit};
use crate::{Scene, assert_number};

#[tokio::test]
async fn a_wait_goes_on_in_a_document_that_changes_its_url_is_rewritten_or_comes_back() {
    let scene = Scene::open(ready_on_signal()).await;
    let before = scene.traces().await;
    let mark = "window.isMarked = true; location.hash = 'a'; document.open(); document.close()";
    let leave = format!("location.href = '{}'", scene.stand_in.decoy_url());
    let outcome = scene
        .during(policy(), async |it| {
            it.slices_run(&before, 1).await;
            it.chrome.eval(&it.tab, mark).await;
            it.chrome.eval(&it.tab, &leave).await;
            until_async("the page is left", async || {
                let is_left = "location.pathname != '/' && document.readyState == 'complete'";
                it.chrome.eval(&it.tab, is_left).await == true
            })
            .await;
            it.chrome.eval(&it.tab, "history.back()").await;
            until_async("the same document comes back", async || {
                it.chrome.eval(&it.tab, "window.isMarked").await == true
            })
            .await;
            it.stand_in.signal();
        })
        .await;
    assert_number(outcome);
}

#[tokio::test]
async fn a_diagnosis_names_reader_and_browser() {
    let scene = Scene::open(Scenario::ready(Generation::Current)).await;
    let found = within_limit("a diagnosis", scene.page.diagnose(LIMIT)).await;
    let found = found.unwrap();
    assert!(found.is_healthy, "{found}");
    assert_eq!(found.reader.as_deref(), Some("WAWebUserPrefsMeUser"));
    let version = scene
        .chrome
        .cdp(&scene.tab, "Browser.getVersion", json!({}));
    let product = version.await["product"].take();
    let (_, version) = product.as_str().unwrap().split_once('/').unwrap();
    assert_eq!(found.browser_version.as_deref(), Some(version));
    assert_eq!((found.driver_version, found.versions_match), (None, None));
}
