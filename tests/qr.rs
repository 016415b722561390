//! The QR code of a page in a real browser.
#![cfg(all(feature = "testkit", feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::chrome::Chrome;
use support::time::{until_async, within_limit};
use support::{LIMIT, Stage, callers_client, ms};
use whatsapp_phone::link::{LinkSource, QrCode};
use whatsapp_phone::source::webdriver::{AttachOptions, Page, Target, WebDriverSource};
use whatsapp_phone::testkit::standin::{
    Generation, LID, PHONE, QR_PREFIX, QrForm, Scenario, StandIn, Step,
};

/// The page's text, by the page itself.
const TEXT: &str = "return document.querySelector('[data-ref]').dataset.ref";

/// Longer than a test takes.
fn unchanging() -> Scenario {
    Scenario::never().with_qr_interval(LIMIT * 10)
}

/// The page's code once it shows one.
async fn shown(page: &Page) -> QrCode {
    let mut code = None;
    until_async("the page shows a QR code", async || {
        code = page.qr().await.unwrap();
        code.is_some()
    })
    .await;
    code.unwrap()
}

/// Reads a picture as a browser does: its width and height.
async fn size(page: &Page, picture: &QrCode) -> Value {
    let script = "const done = arguments[1]; const image = new Image();
        image.onload = () => done([image.naturalWidth, image.naturalHeight]);
        image.onerror = () => done(null); image.src = arguments[0];";
    let url = json!(picture.reveal().unwrap());
    page.client()
        .execute_async(script, vec![url])
        .await
        .unwrap()
}

async fn js(page: &Page, script: &str) -> Value {
    page.client().execute(script, vec![]).await.unwrap()
}

#[tokio::test]
async fn an_opened_page_gives_its_text_as_it_is_renewed_until_it_is_linked() {
    let scenario = Scenario::never()
        .with_qr_interval(ms(1500))
        .on_signal(ms(0), Step::me(PHONE))
        .on_signal(ms(0), Step::lid(LID))
        .on_signal(ms(0), Step::connected());
    let stage = Stage::open(scenario).await;
    let first = shown(&stage.page).await;
    let text = first.reveal().unwrap();
    assert!(
        text.starts_with(QR_PREFIX) && !first.is_picture(),
        "{first:?}"
    );
    assert!(!format!("{first:?} {:?}", stage.page).contains(QR_PREFIX));

    let mut renewed = first.clone();
    until_async("the code is renewed", async || {
        renewed = shown(&stage.page).await;
        !renewed.is_same_code(&first)
    })
    .await;
    assert!(renewed.reveal().unwrap().starts_with(QR_PREFIX));

    stage.stand_in.signal();
    within_limit("the page is linked", stage.stand_in.wait_readable()).await;
    let source = WebDriverSource::all(&stage.page);
    assert!(source.qr().await.unwrap().is_none());
    // Nor does a linked page give a code that its text contains.
    let fake = "const code = document.createElement('div'); code.setAttribute('data-ref', 'fake');
        code.append(document.createElement('canvas')); document.body.append(code)";
    js(&stage.page, fake).await;
    assert!(source.qr().await.unwrap().is_none());
    stage.reload(Scenario::ready(Generation::StoreUser)).await;
    assert!(source.qr().await.unwrap().is_none());
}

#[tokio::test]
async fn a_code_keeps_its_time_between_looks_and_expires_with_the_page() {
    let expires = unchanging().on_signal(ms(0), Step::socket("UNPAIRED_IDLE"));
    let stage = Stage::open(expires).await;
    let first = shown(&stage.page).await;
    let left = first.time_left();
    let again = shown(&stage.page).await;
    assert!(again.is_same_code(&first));
    assert!(again.time_left() <= left);
    assert_eq!(js(&stage.page, TEXT).await, json!(again.reveal()));

    stage.stand_in.signal();
    let mut code = first;
    until_async("the code expires", async || {
        code = shown(&stage.page).await;
        code.is_expired()
    })
    .await;
    assert_eq!(code.reveal(), None);
    js(
        &stage.page,
        "document.querySelector('[data-ref] button').click()",
    )
    .await;
    let fresh = shown(&stage.page).await;
    assert!(!fresh.is_expired() && !fresh.is_same_code(&again));
}

#[tokio::test]
async fn a_page_without_the_text_gives_a_picture() {
    for form in [QrForm::Canvas, QrForm::Sealed] {
        let stage = Stage::open(unchanging().with_qr_form(form)).await;
        let code = shown(&stage.page).await;
        assert!(code.is_picture(), "{form:?}: {code:?}");
        assert!(shown(&stage.page).await.is_same_code(&code), "{form:?}");
        let size = size(&stage.page, &code).await;
        println!("{form:?}: {size}, {} bytes", code.reveal().unwrap().len());
        if form == QrForm::Canvas {
            assert_eq!(size, json!([264, 264]));
        } else {
            assert!(size[0].as_u64() >= Some(264), "{size}");
        }
        let next = Scenario::never()
            .with_qr_form(form)
            .with_qr_interval(ms(300));
        stage.reload(next).await;
        until_async("the picture is renewed", async || {
            !shown(&stage.page).await.is_same_code(&code)
        })
        .await;
        support::stop(stage.driver).await;
    }
}

#[tokio::test]
async fn a_callers_client_and_an_attached_page_read_text_and_canvas_without_a_screenshot() {
    let chrome = Chrome::start().await;
    let stand_in = StandIn::start(unchanging()).await.unwrap();
    let tab = chrome.open(&stand_in.url());
    let driver = support::driver().await;
    let target = Target::at(stand_in.origin()).unwrap();
    let options = AttachOptions::default().target(target.clone()).tab(&tab);
    let options = options.deadline(LIMIT);
    let attached = Page::attach(&driver, chrome.address.clone(), options);
    let attached = attached.await.unwrap();
    let client = callers_client(driver.url()).await;
    let from_client = Page::from_client(client.clone(), target);

    let names =
        "Object.getOwnPropertyNames(window).sort().concat(document.documentElement.outerHTML)";
    for (page, name) in [(&attached, "attached"), (&from_client, "from_client")] {
        for form in [QrForm::Text, QrForm::Canvas, QrForm::Sealed] {
            stand_in.set_scenario(unchanging().with_qr_form(form));
            page.client().goto(&stand_in.url()).await.unwrap();
            let code = shown(page).await;
            let is_attached = name == "attached";
            let before = match is_attached {
                true => chrome.eval(&tab, names).await,
                false => Value::Null,
            };
            assert!(shown(page).await.is_same_code(&code), "{name} {form:?}");
            if is_attached {
                assert_eq!(chrome.eval(&tab, names).await, before);
            }
            match form {
                QrForm::Text => assert!(code.reveal().unwrap().starts_with(QR_PREFIX)),
                QrForm::Canvas => assert!(code.is_picture(), "{name}: {code:?}"),
                _ => assert!(
                    code.reveal().is_none() && !code.is_expired(),
                    "{name}: {code:?}"
                ),
            }
        }
    }
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_hostile_page_gives_nothing_that_is_too_long_or_no_picture() {
    let stage = Stage::open(unchanging()).await;
    let text = shown(&stage.page).await;
    let long = "const element = document.querySelector('[data-ref]');
        element.setAttribute('data-ref', 'x'.repeat(50 << 20))";
    js(&stage.page, long).await;
    let code = shown(&stage.page).await;
    assert!(code.is_picture() && !code.is_same_code(&text), "{code:?}");
    // Nothing of 50 MB in place of the canvas either; a screenshot of the element is left.
    for data in [
        "'data:image/png;base64,iVBORw0KGgo' + 'A'.repeat(50 << 20)",
        "'javascript:alert(1)'",
        "({length: 3})",
    ] {
        let lies = format!("HTMLCanvasElement.prototype.toDataURL = () => {data}");
        js(&stage.page, &lies).await;
        let code = shown(&stage.page).await;
        assert!(code.is_picture(), "{data}: {code:?}");
        assert!(size(&stage.page, &code).await.is_array(), "{data}");
    }
    // Elements too large for a QR code, and methods that throw.
    for hostile in [
        "document.querySelector('canvas').width = 4000; document.querySelector('canvas').height = 4000",
        "Element.prototype.getAttribute = () => { throw 1 }",
        "Element.prototype.querySelector = () => ({ width: 1 / 0, height: 1 / 0 })",
        "Document.prototype.querySelector = () => new Proxy({}, { get() { throw 1 } })",
    ] {
        js(&stage.page, hostile).await;
        let code = within_limit(hostile, stage.page.qr()).await.unwrap();
        let payload = code.as_ref().and_then(QrCode::reveal).unwrap_or_default();
        println!("{hostile}: {code:?}, {} bytes", payload.len());
        assert!(payload.len() <= QrCode::MAX_LEN);
        assert!(
            payload.is_empty() || code.unwrap().is_picture(),
            "{hostile}"
        );
    }
}

#[tokio::test]
async fn replaced_built_ins_and_a_strict_policy_change_nothing() {
    for scenario in [
        unchanging().with_replaced_builtins(),
        unchanging().with_strict_csp(),
    ] {
        let stage = Stage::open(scenario).await;
        let text = shown(&stage.page).await.reveal().unwrap();
        assert!(text.starts_with(QR_PREFIX));
        support::stop(stage.driver).await;
    }
}

#[tokio::test]
async fn a_page_that_shows_a_dialog_or_is_gone_is_an_error_in_time() {
    let stage = Stage::open(unchanging()).await;
    shown(&stage.page).await;
    js(&stage.page, "setTimeout(() => alert('hello'))").await;
    until_async("the dialog is open", async || {
        stage.page.qr().await.is_err()
    })
    .await;
    stage.page.client().dismiss_alert().await.unwrap();
    shown(&stage.page).await;
    let endless = "setTimeout(() => { for (;;) {} })";
    let client = stage.page.client();
    // The loop may begin before the answer is sent.
    tokio::spawn(async move { client.execute(endless, vec![]).await });
    until_async("the page is busy", async || {
        let code = stage.page.qr().await;
        code.is_err_and(|error| error.code() == Some("timeout"))
    })
    .await;
    let page = stage.page.clone();
    stage.page.close().await;
    let error = within_limit("a closed page", page.qr()).await.unwrap_err();
    assert!(!error.to_string().contains(QR_PREFIX), "{error}");
}
