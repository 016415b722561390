//! The program `doctor`, as a process: what it prints, and its exit status.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;
use tokio::process::Command;

use super::*;
use support::example::example;
use support::signal;

/// The program, which is built if it is missing or older than its source.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| example("doctor"))
}

async fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut run = Command::new(program());
    run.args(args).envs(env.iter().copied());
    within_limit("doctor ends", run.output()).await.unwrap()
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, printed: &[&str], errors: &[&str]) {
    for (text, parts) in [(&output.stdout, printed), (&output.stderr, errors)] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains("628110000041"), "{text}");
        for part in parts {
            assert!(text.contains(part), "no `{part}` in: {text}\n{output:?}");
        }
    }
    assert_eq!(output.status.code(), Some(status), "{output:?}");
}

#[tokio::test]
async fn a_healthy_page_is_status_0_with_a_table_or_one_line_of_json() {
    let table = run(&[], &[]).await;
    let parts = [
        "registration_test          yes      true",
        "they match",
        "verdict       healthy: the number comes from WAWebUserPrefsMeUser",
    ];
    assert_ends(&table, 0, &parts, &[]);
    let json = run(&["--json"], &[]).await;
    assert_ends(&json, 0, &[], &[]);
    let text = String::from_utf8(json.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["is_healthy"], true, "{found}");
    assert_eq!(found["reader"], "WAWebUserPrefsMeUser", "{found}");
    assert_eq!(found["guards"].as_array().unwrap().len(), Guard::ALL.len());
}

#[tokio::test]
async fn a_renamed_guard_is_status_1_until_a_file_or_an_argument_mends_it() {
    let renamed = Situation::Renamed(Name::SocketModel).scenario();
    let stand_in = StandIn::start(renamed).await.unwrap();
    let url = stand_in.url();
    let broken = run(&["--origin", &url], &[]).await;
    let parts = ["not healthy", "`WAWebSocketModel` (guard socket_module)"];
    assert_ends(&broken, 1, &parts, &[]);

    let file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"guards": {"socket_module": "WAWebSocketModelRenamed"},
        "readers": [{"name": "filed", "number": "require('WAWebUserPrefsMeUser').getMaybeMePnUser()"}]}"#;
    std::fs::write(&file, text).unwrap();
    let path = file.path().to_str().unwrap();
    let by_file = run(&["--origin", &url, "--overrides", path], &[]).await;
    assert_ends(&by_file, 0, &["healthy: the number comes from filed"], &[]);

    let guard = "socket_module=WAWebSocketModelRenamed";
    let reader = "mine=require('WAWebUserPrefsMeUser').getMaybeMePnUser()";
    let args = ["--origin", &url, "--guard", guard, "--reader", reader];
    let by_args = run(&args, &[]).await;
    assert_ends(&by_args, 0, &["healthy: the number comes from mine"], &[]);
}

/// The first ChromeDriver in `PATH` does not start.
#[cfg(feature = "cdp")]
#[tokio::test]
async fn with_cdp_no_chromedriver_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let write = r#"printf '#!/bin/sh\nexit 1\n' > "$1/chromedriver"; chmod +x "$1/chromedriver""#;
    let mut writer = Command::new("sh");
    let written = writer.args(["-c", write, "sh"]).arg(directory.path());
    assert!(written.status().await.unwrap().success());
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", directory.path().display());
    let path = [("PATH", path.as_str())];
    assert_ends(&run(&[], &path).await, 1, &[], &["chromedriver"]);
    let found = run(&["--cdp", "--json"], &path).await;
    assert_ends(&found, 0, &[r#""is_healthy":true"#], &[]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert!(found["browser_version"].is_string(), "{found}");
    assert!(found["driver_version"].is_null(), "{found}");

    let mut extract = Command::new(example("extract"));
    let extract = extract.args(["--cdp", "--json"]).envs(path);
    let found = within_limit("extract ends", extract.output())
        .await
        .unwrap();
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["reader"], "WAWebUserPrefsMeUser", "{found}");
}

#[tokio::test]
async fn wrong_use_is_status_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, r#"{"guard": {}}"#).unwrap();
    let path = file.path().to_str().unwrap();
    for (args, error) in [
        (
            ["--guard", "sync=x"],
            "not a guard; write one of: registration_module",
        ),
        (["--reader", "mine"], "NAME=VALUE"),
        (
            ["--overrides", "/nowhere/file"],
            "cannot read /nowhere/file",
        ),
        (["--overrides", path], "unknown field `guard`"),
        (["--deadline", "soon"], "--deadline"),
        (["--origin", "whatsapp"], "--origin"),
    ] {
        assert_ends(&run(&args, &[]).await, 2, &[], &[error]);
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_status_1() {
    let args = ["--origin", "http://127.0.0.1:9", "--deadline", "1s"];
    assert_ends(&run(&args, &[]).await, 1, &[], &["the page cannot be read"]);
    let json = run(&[&args[..], &["--json"]].concat(), &[]).await;
    assert_ends(&json, 1, &[], &[]);
    let found: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["is_healthy"], false, "{found}");
    assert!(found["code"].is_string(), "{found}");
}

#[tokio::test]
async fn the_diagnosis_is_printed_though_the_browser_does_not_close() {
    // The shell that stands by a driver never ends, so the driver cannot say that all is gone.
    let directory = tempfile::tempdir().unwrap();
    let write = r#"printf '#!/bin/sh\necho $$ > "%s"\nexec sleep 600\n' "$1/pid" > "$1/sh"; chmod +x "$1/sh""#;
    let mut writer = Command::new("sh");
    let written = writer.args(["-c", write, "sh"]).arg(directory.path());
    assert!(written.status().await.unwrap().success());
    let usual = std::env::var("PATH").unwrap();
    let path = format!("{}:{usual}", directory.path().display());
    let output = run(&[], &[("PATH", &path)]).await;
    let shell = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    signal("-KILL", shell.trim().parse().unwrap());
    let errors = ["the browser was not closed", "half a second after SIGKILL"];
    assert_ends(&output, 0, &["verdict       healthy"], &errors);
}
