//! Guards that answer wrongly, guards of the caller's, and looks that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use support::invalid_servers::is_whole;
use support::{options, until_async};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

#[tokio::test]
async fn a_registration_test_that_answers_wrongly_is_not_called_renamed() {
    let stage = Stage::open(Scenario::blank()).await;
    for (body, fault) in [
        ("throw 1", "throws"),
        ("return 'yes'", "does not give a boolean"),
    ] {
        stage.reload(Scenario::reload_of_linked()).await;
        let script = format!(
            "try {{ require('WAWebUserPrefsMultiDevice').isRegistered = () => {{ {body} }} }} catch {{ return false }} return true"
        );
        let client = stage.page.client();
        until_async("the module is there", async || {
            client.execute(&script, vec![]).await.unwrap() == true
        })
        .await;
        let found = diagnose(&stage, LIMIT).await;
        let sentence = format!(
            "the registration test `isRegistered` (guard registration_test) {fault}, so the storage keys replace"
        );
        let verdict = &found.verdict;
        assert!(found.is_healthy && verdict.contains(ME_USER), "{verdict}");
        assert!(verdict.contains(&sentence), "{verdict}");
        assert!(!verdict.contains("renamed"), "{verdict}");
    }
}

#[tokio::test]
async fn a_page_without_an_account_has_no_answers_that_could_be_unverified() {
    let stage = Stage::open(Scenario::blank()).await;
    for (name, effect) in [
        (
            Name::IsRegistered,
            "the page has no account whose storage keys",
        ),
        (
            Name::MultiDeviceModule,
            "the page has no account whose storage keys",
        ),
        (
            Name::SocketModel,
            "the number of an account would be `unverified`",
        ),
    ] {
        stage.reload(Scenario::never().renamed(name)).await;
        let found = diagnose(&stage, LIMIT).await;
        let verdict = &found.verdict;
        assert!(!found.is_healthy, "{verdict}");
        for words in ["there is no number", effect] {
            assert!(verdict.contains(words), "{name:?}: `{words}` in: {verdict}");
        }
        assert!(!verdict.contains("answers are"), "{name:?}: {verdict}");
    }
}

#[tokio::test]
async fn a_guard_is_named_as_the_caller_named_it() {
    let stage = Stage::open(Situation::Renamed(Name::IsRegistered).scenario()).await;
    let overrides = Overrides::default()
        .guard(Guard::RegistrationTest, "isLinked")
        .guard(Guard::SocketSynced, "isSynced");
    stage.page.set_overrides(&overrides).await.unwrap();
    let found = diagnose(&stage, LIMIT).await;
    let words = [
        "`isLinked` (guard registration_test)",
        "`isSynced` (guard socket_synced)",
    ];
    assert_verdict("wrong names", &found, false, &words);
    for name in ["isRegistered", "hasSynced"] {
        assert!(!found.verdict.contains(name), "{name}: {found}");
    }
}

/// A WebDriver server that passes everything on, but fails these many looks of diagnoses, as during a navigation.
async fn failing(driver: &str, count: u32) -> String {
    let driver = driver.replace("http://", "").replace('/', "");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let left = Arc::new(AtomicU32::new(count));
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&driver).await.unwrap();
            tokio::spawn(pass_on(client, server, Arc::clone(&left)));
        }
    });
    url
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, left: Arc<AtomicU32>) {
    loop {
        let Some(request) = message(&mut client).await else {
            return;
        };
        let is_diagnosis = request.contains("wantsDetails = true");
        let one_less = |left: u32| left.checked_sub(1);
        let fails = is_diagnosis
            && left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok();
        let answer = if fails {
            let body = r#"{"value":{"error":"timeout","message":"it navigates","stacktrace":""}}"#;
            let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json";
            format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        } else {
            server.write_all(request.as_bytes()).await.unwrap();
            let Some(answer) = message(&mut server).await else {
                return;
            };
            answer
        };
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A whole request or answer; `None` at the end of the connection.
async fn message(stream: &mut TcpStream) -> Option<String> {
    let (mut message, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => message.extend_from_slice(&part[..n]),
        }
        let text = String::from_utf8_lossy(&message);
        if is_whole(&text) {
            return Some(text.into_owned());
        }
    }
}

#[tokio::test]
async fn a_diagnosis_during_a_navigation_looks_again() {
    let stand_in = StandIn::start(Scenario::ready(Generation::Current))
        .await
        .unwrap();
    let driver = support::driver().await;
    let server = failing(driver.url(), 2).await;
    let page = Page::open_at(&server, options(&stand_in.url()).deadline(LIMIT)).await;
    let page = page.unwrap();
    let found = page.diagnose(LIMIT).await.unwrap();
    assert_verdict("after two failures", &found, true, &[ME_USER]);
    page.close().await;
}
