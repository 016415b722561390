//! ChromeDriver of our own: it starts, it answers, and nothing of it is left, however it ends.
//!
//! Needs Chromium and ChromeDriver; `tests/run.sh` installs them.
#![cfg(all(feature = "webdriver", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/time.rs"]
mod time;

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use time::{LIMIT, until, within_limit};
use tokio::time::Instant;
use whatsapp_phone::source::webdriver::DriverProcess;

/// Set for a copy of this test program that plays a host which is about to be killed.
const ROLE: &str = "WHATSAPP_PHONE_TEST_HOST";

/// The message carries the install line if ChromeDriver is missing.
async fn start() -> DriverProcess {
    let driver = DriverProcess::builder().start_timeout(LIMIT).start().await;
    driver.unwrap_or_else(|error| panic!("{error}"))
}

/// On a busy machine the end may take longer than `stop` waits, and then continues in the background.
async fn stop(driver: DriverProcess) {
    if let Err(error) = within_limit("the driver stops", driver.stop()).await {
        assert!(
            error
                .message()
                .contains("not gone half a second after SIGKILL"),
            "{error}"
        );
    }
}

/// A browser with some work behind it, and the directory of its driver's temporary files.
async fn browse(url: &str) -> (Client, PathBuf) {
    // Root cannot have Chromium's sandbox.
    let is_root = rustix::process::geteuid().is_root();
    let args = if is_root {
        &["--headless", "--no-sandbox"][..]
    } else {
        &["--headless"]
    };
    let mut asked = Capabilities::new();
    asked.insert("goog:chromeOptions".into(), json!({ "args": args }));
    let mut builder = ClientBuilder::new(HttpConnector::new());
    let client = builder
        .capabilities(asked)
        .connect(url)
        .await
        .expect("a browser (is Chromium installed?)");
    client
        .goto("data:text/html,<title>here</title>")
        .await
        .unwrap();
    let profile = client.capabilities().unwrap()["chrome"]["userDataDir"]
        .as_str()
        .unwrap();
    let scratch = Path::new(profile).parent().unwrap().to_owned();
    (client, scratch)
}

/// The processes that a driver started, itself included. They are known by their process group or
/// by their environment: crash handlers leave the group, renderers write over their environment.
fn processes(group: u32, scratch: &Path) -> Vec<String> {
    let tmpdir = format!("TMPDIR={}", scratch.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if !is_process(&entry.file_name()) {
            continue;
        }
        let Some(stat) = content(&entry.path().join("stat")) else {
            continue;
        };
        let stat = String::from_utf8(stat).unwrap();
        let (name, rest) = stat.rsplit_once(") ").unwrap();
        let mut fields = rest.split(' ');
        let state = fields.next();
        let in_group = fields.nth(1) == Some(group.to_string().as_str());
        let environment = content(&entry.path().join("environ"));
        let named = environment
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .any(|one| one == tmpdir.as_bytes());
        // An ended one may wait for `init` to reap it; this test does not wait for that.
        if state != Some("Z") && (in_group || named) {
            found.push(name.to_owned());
        }
    }
    found
}

fn is_process(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the content of a file in `/proc`; `None` if its process has ended, or is another user's.
fn content(path: &Path) -> Option<Vec<u8>> {
    let ended = rustix::io::Errno::SRCH.raw_os_error();
    match fs::read(path) {
        Ok(content) => Some(content),
        Err(error) if error.raw_os_error() == Some(ended) => None,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => None,
            _ => panic!("{}: {error}", path.display()),
        },
    }
}

async fn assert_all_gone(group: u32, scratch: &Path) {
    until("no process is left", || {
        processes(group, scratch).is_empty()
    })
    .await;
    until("no file is left", || !scratch.exists()).await;
    // A process of ours that was not reaped would still be listed, as a zombie.
    until("the driver is reaped", || {
        !Path::new("/proc").join(group.to_string()).exists()
    })
    .await;
}

#[tokio::test]
async fn it_answers_and_a_drop_leaves_nothing() {
    let driver = start().await;
    let (client, scratch) = browse(driver.url()).await;
    assert_eq!(client.title().await.unwrap(), "here");
    assert!(processes(driver.id(), &scratch).len() > 3);
    let id = driver.id();
    let start = Instant::now();
    drop(driver);
    println!("the drop blocked for {:?}", start.elapsed());
    assert_all_gone(id, &scratch).await;
}

#[tokio::test]
async fn a_stop_lets_browsers_close_and_leaves_nothing() {
    let driver = start().await;
    let (_client, scratch) = browse(driver.url()).await;
    let id = driver.id();
    stop(driver).await;
    assert_all_gone(id, &scratch).await;
}

#[tokio::test]
async fn a_stop_ends_a_driver_that_does_not_react() {
    let driver = start().await;
    let (_client, scratch) = browse(driver.url()).await;
    let id = driver.id();
    assert!(
        Command::new("kill")
            .args(["-STOP", &id.to_string()])
            .status()
            .unwrap()
            .success()
    );
    stop(driver).await;
    assert_all_gone(id, &scratch).await;
}

#[tokio::test]
async fn a_panic_of_the_owner_ends_both() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let owner = tokio::spawn(async move {
        let driver = start().await;
        let (_client, scratch) = browse(driver.url()).await;
        sender.send((driver.id(), scratch)).unwrap();
        panic!("the owner's own trouble, part of the test");
    });
    let (id, scratch) = receiver.await.unwrap();
    assert!(owner.await.unwrap_err().is_panic());
    assert_all_gone(id, &scratch).await;
}

#[test]
fn a_drop_outside_any_runtime_ends_both() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (driver, scratch) = runtime.block_on(async {
        let driver = start().await;
        let (_client, scratch) = browse(driver.url()).await;
        (driver, scratch)
    });
    drop(runtime);
    let id = driver.id();
    drop(driver);
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(assert_all_gone(id, &scratch));
}

/// SIGKILL, so no destructor runs. The program starts itself again, to kill that process.
#[tokio::test]
async fn a_killed_host_leaves_nothing() {
    if std::env::var_os(ROLE).is_some() {
        let driver = start().await;
        let (_client, scratch) = browse(driver.url()).await;
        println!("\nhost: {} {}", driver.id(), scratch.display());
        std::future::pending::<()>().await;
    }
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_host_leaves_nothing", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let line = lines
        .filter_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .next();
    let line = line.expect("the host starts");
    let (id, scratch) = line.split_once(' ').unwrap();
    let (id, scratch) = (id.parse().unwrap(), PathBuf::from(scratch));
    assert!(processes(id, &scratch).len() > 3 && scratch.is_dir());
    host.kill().unwrap();
    host.wait().unwrap();
    until("no process is left", || processes(id, &scratch).is_empty()).await;
    until("no file is left", || !scratch.exists()).await;
}

#[tokio::test]
async fn a_browser_without_a_waiting_caller_ends_too() {
    let driver = start().await;
    let (_client, scratch) = browse(driver.url()).await;
    let before = processes(driver.id(), &scratch).len();
    let url = driver.url().to_owned();
    let opening = tokio::spawn(async move { browse(&url).await });
    until("a second browser comes up", || {
        processes(driver.id(), &scratch).len() > before
    })
    .await;
    opening.abort();
    let id = driver.id();
    drop(driver);
    assert_all_gone(id, &scratch).await;
}

#[tokio::test]
async fn two_at_once_have_two_ports() {
    let (one, other) = tokio::join!(start(), start());
    assert_ne!(one.url(), other.url());
    assert_ne!(one.id(), other.id());
    drop(one);
    let (client, _) = browse(other.url()).await;
    assert_eq!(client.title().await.unwrap(), "here");
}

#[tokio::test]
async fn a_missing_program_says_what_to_install() {
    let missing = DriverProcess::builder()
        .program("/nowhere/chromedriver")
        .start()
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("misconfigured"));
    for part in [
        "/nowhere/chromedriver",
        "not found",
        "apt-get install chromium chromium-driver",
    ] {
        assert!(missing.message().contains(part), "{missing}");
    }
}

/// A stand-in for a driver: a shell script. Another process writes it: while this one held it open
/// for writing, a child forked by a neighbouring test could hold it too, and it would not start.
fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("driver");
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#;
    let mut writer = Command::new("sh");
    let written = writer.args(["-c", write, "sh", text]).arg(&path).status();
    assert!(written.unwrap().success());
    (directory, path)
}

#[tokio::test]
async fn a_driver_that_ends_at_once_is_quoted() {
    let (_keep, program) =
        script("echo 'port not available. Exiting...'; echo '[SEVERE]: bind() failed' >&2; exit 1");
    let error = DriverProcess::builder()
        .program(program)
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("misconfigured"));
    for part in [
        "ended before it was ready",
        "port not available",
        "bind() failed",
    ] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_driver_that_is_never_ready_is_given_up_and_ended() {
    let (keep, program) = script(
        "echo 'still thinking'; echo \"$$ $TMPDIR\" > \"$0.new\"; mv \"$0.new\" \"$0.pid\"; sleep 600",
    );
    let note = keep.path().join("driver.pid");
    // A busy machine may give it up before it has said anything.
    let mut limit = Duration::from_millis(500);
    let error = loop {
        let builder = DriverProcess::builder()
            .program(&program)
            .start_timeout(limit);
        let error = within_limit("it is given up", builder.start()).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), Some("timeout"));
        if note.exists() {
            break error;
        }
        limit *= 2;
        assert!(limit < LIMIT, "{error}");
    };
    let limit = humantime::format_duration(limit);
    assert!(
        error
            .message()
            .contains(&format!("not ready after {limit}"))
            && error.message().contains("still thinking"),
        "{error}"
    );
    let line = fs::read_to_string(note).unwrap();
    let (id, scratch) = line.trim().split_once(' ').unwrap();
    assert_all_gone(id.parse().unwrap(), Path::new(scratch)).await;
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing() {
    let (keep, program) =
        script("echo \"$$ $TMPDIR\" > \"$0.new\"; mv \"$0.new\" \"$0.pid\"; sleep 600");
    let note = keep.path().join("driver.pid");
    let starting = tokio::spawn(DriverProcess::builder().program(&program).start());
    until("the program runs", || note.exists()).await;
    starting.abort();
    let line = fs::read_to_string(note).unwrap();
    let (id, scratch) = line.trim().split_once(' ').unwrap();
    assert_all_gone(id.parse().unwrap(), Path::new(scratch)).await;
}
