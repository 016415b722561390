//! The rules and the dashboard of `examples/monitoring`, against `promtool` and a scrape of the running example.
#![cfg(all(
    feature = "metrics",
    feature = "server",
    feature = "sqlite",
    feature = "testkit",
    feature = "webdriver",
    feature = "webhook"
))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::example::example;
use support::program::{Program, accept_webhooks, get};
use support::until_async;

fn file(name: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/monitoring");
    PathBuf::from(directory).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

/// Runs `promtool`, which tests/run.sh installs.
fn promtool(args: &[&str], name: &str) {
    let output = Command::new("promtool").args(args).arg(file(name)).output();
    let output =
        output.expect("promtool does not run; install it with: apt-get install prometheus");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[test]
fn the_rules_are_valid_and_their_tests_pass() {
    promtool(&["check", "rules"], "rules.yml");
    promtool(&["test", "rules"], "rules_test.yml");
}

/// Every alert has a case in which it fires, and one in which it is silent.
#[test]
fn every_alert_fires_and_is_silent_in_a_test() {
    let (rules, tests) = (read("rules.yml"), read("rules_test.yml"));
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts.collect();
    assert!(alerts.len() >= 6, "{alerts:?}");
    for alert in alerts {
        let cases: Vec<_> = tests
            .split(&format!("alertname: {alert}\n"))
            .skip(1)
            .collect();
        let is_silent = |case: &&str| case.trim_start().starts_with("exp_alerts: []");
        assert!(cases.iter().any(is_silent), "{alert} is never silent");
        assert!(!cases.iter().all(is_silent), "{alert} never fires");
    }
}

/// Returns the names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_word(letter));
    let metrics = words.filter(|word| word.starts_with("whatsapp_"));
    metrics.map(str::to_owned).collect()
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_dashboard_has_the_form_that_grafana_imports() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert!(dashboard["title"].is_string() && dashboard["uid"].is_string());
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: its id is taken"
        );
        assert!(
            ["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()),
            "{title}"
        );
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title} has no unit"
        );
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is outside of the grid");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} covers another panel");
            }
        }
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    for expression in expressions(&dashboard) {
        assert_eq!(
            expression.matches('(').count(),
            expression.matches(')').count()
        );
    }
}

#[tokio::test]
async fn every_metric_of_rules_and_dashboard_is_in_a_scrape_of_the_example() {
    let mut program = tokio::process::Command::new(example("onboard"));
    program.args(["send", "--local", "--metrics", "127.0.0.1:0"]);
    let directory = tempfile::tempdir().unwrap();
    program.envs(accept_webhooks().await);
    program.env("SESSION_STORAGE_PATH", directory.path());
    let mut program = Program::start(program);
    let url = program.line_with("metrics: ").await;

    let rules = read("rules.yml");
    let dashboard = serde_json::from_str(&read("dashboard.json")).unwrap();
    let mut wanted = names(&(rules.clone() + &expressions(&dashboard).join("\n")));
    let recorded = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- record: "));
    for name in recorded {
        assert!(wanted.remove(name), "{name}");
    }
    assert!(wanted.len() >= 10, "{wanted:?}");
    until_async("all metrics are scraped", async || {
        let scraped = get(&url, "").await;
        assert!(
            !scraped.contains("628110000041") && !scraped.contains("session-1"),
            "{scraped}"
        );
        let missing: Vec<_> = wanted.difference(&names(&scraped)).cloned().collect();
        println!("not yet in a scrape: {missing:?}");
        missing.is_empty()
    })
    .await;
    let (code, printed) = program.end().await;
    assert_eq!(code, Some(0), "{printed}");
}
