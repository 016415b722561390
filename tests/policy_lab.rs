//! The example `policy_lab` as a process: its figures against those of an enumeration and of a closed form,
//! invalid input, seeds, and the files it writes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/example.rs"]
mod example;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use example::example;
use tempfile::TempDir;

static PROGRAM: LazyLock<std::path::PathBuf> = LazyLock::new(|| example("policy_lab"));

/// A policy with jitter.
const JITTERED: &str = r#"mine={"interval": "700ms", "jitter": 0.5, "watch": "poll"}"#;

fn lab(out: &Path, arguments: &[&str]) -> Output {
    let mut lab = Command::new(&*PROGRAM);
    lab.arg("--out").arg(out).args(arguments);
    lab.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The cells of `results.csv` by policy, for one distribution.
fn results(out: &Path, readiness: &str) -> HashMap<String, HashMap<String, String>> {
    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned));
    let header: Vec<_> = lines.next().unwrap().collect();
    let rows = lines.map(|cells| header.iter().cloned().zip(cells).collect());
    let rows = rows.filter(|row: &HashMap<String, String>| row["readiness"] == readiness);
    rows.map(|row| (row["policy"].clone(), row)).collect()
}

/// The nearest-rank quantile of `count` figures, of which the given ones are the smallest.
fn quantile(figures: &[u64], count: usize, percent: usize) -> String {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    let rank = (count * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(String::new(), u64::to_string)
}

#[test]
fn the_figures_of_a_short_list_are_those_of_its_enumeration() {
    let ready = [
        0, 1000, 2499, 2500, 2501, 2999, 3000, 3001, 4500, 4501, 5000, 5001, 6999, 9500, 9501,
        9990, 10_001, 25_000,
    ];
    let folder = TempDir::new().unwrap();
    let mut csv = "\u{feff}# a comment\r\n\r\nsession,\"ready_ms\"\r\n".to_owned();
    csv.extend(ready.map(|at| format!("a,{at}.2\r\n")));
    let file = folder.path().join("few.csv");
    fs::write(&file, csv + "b,never").unwrap();
    let arguments = ["--readiness", file.to_str().unwrap()];
    let output = lab(folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");

    let classic = |looks: u64| (0..looks).map(|n| 2500 + 500 * n).collect::<Vec<u64>>();
    let schedules = [
        ("one look at 3s", vec![3000]),
        ("one look at 5s", vec![5000]),
        ("3 looks", classic(3)),
        ("5 looks", classic(5)),
        ("8 looks", classic(8)),
        ("10 looks", classic(10)),
        // The last one is the fallback's.
        ("classic", classic(16)),
    ];
    let results = results(folder.path(), "few");
    assert_eq!(results.len(), schedules.len() + 2);
    let sessions = ready.len() + 1;
    for (policy, schedule) in schedules {
        let look_of = |ready: &u64| schedule.iter().position(|look| look >= ready);
        let found = ready.iter().filter_map(|at| Some((*at, look_of(at)?)));
        let found: Vec<_> = found.collect();
        let times: Vec<_> = found.iter().map(|(_, look)| schedule[*look]).collect();
        let lags: Vec<_> = found
            .iter()
            .map(|(at, look)| schedule[*look] - at)
            .collect();
        let looks: usize = found.iter().map(|(_, look)| look + 1).sum();
        let looks = looks + (sessions - found.len()) * schedule.len();
        let row = &results[policy];
        for (cell, expected) in [
            ("runs", sessions.to_string()),
            (
                "success",
                format!("{:.6}", found.len() as f64 / sessions as f64),
            ),
            ("time_median_ms", quantile(&times, sessions, 50)),
            ("time_p95_ms", quantile(&times, sessions, 95)),
            ("lag_median_ms", quantile(&lags, lags.len(), 50)),
            ("lag_p95_ms", quantile(&lags, lags.len(), 95)),
            (
                "looks_mean",
                format!("{:.3}", looks as f64 / sessions as f64),
            ),
        ] {
            assert_eq!(row[cell], expected, "{policy}: {cell}");
        }
    }
    // It waits until 10 s: the number comes when it is readable.
    let in_time: Vec<_> = ready.into_iter().filter(|at| *at < 10_000).collect();
    let eager = &results["eager"];
    assert_eq!(eager["time_median_ms"], quantile(&in_time, sessions, 50));
    assert_eq!((&*eager["lag_p95_ms"], &*eager["time_p95_ms"]), ("0", ""));
    let success = format!("{:.6}", in_time.len() as f64 / sessions as f64);
    assert_eq!(eager["success"], success);
    // Wilson's interval of 16 of 19, computed elsewhere.
    assert_eq!(in_time.len(), 16);
    for (cell, expected) in [("success_low", 0.6243), ("success_high", 0.9448)] {
        let end: f64 = eager[cell].parse().unwrap();
        assert!((end - expected).abs() < 1e-4, "{cell}: {end}");
    }
}

#[test]
fn the_published_table_is_reproduced() {
    let out = TempDir::new().unwrap();
    let output = lab(out.path(), &["--samples", "4000"]);
    assert!(output.status.success(), "{output:?}");
    let reference = results(out.path(), "reference");
    for (policy, last_look, published) in [
        ("one look at 3s", 3.0, 0.40),
        ("5 looks", 4.5, 0.70),
        ("10 looks", 7.0, 0.95),
        ("classic", 10.0, 0.999),
    ] {
        // The fit, done by hand.
        let share = 1.0 - (-(last_look / 4.125_f64).powf(2.15)).exp();
        assert!((share - published).abs() < 0.007, "{policy}: {share}");
        let success: f64 = reference[policy]["success"].parse().unwrap();
        let deviation = (share * (1.0 - share) / 4000.0).sqrt();
        assert!(
            (success - share).abs() < 4.0 * deviation,
            "{policy}: {success}, not {share}"
        );
    }
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("assumption: Weibull, shape 2.150, scale 4.125 s"),
        "{stdout}"
    );
    for published in ["40.0", "70.0", "95.0", "99.90"] {
        let has_row = |line: &str| line.contains(&format!(" {published} ┆"));
        assert!(stdout.lines().any(has_row), "{published}: {stdout}");
    }
    // Every measured session is ready early; the first look of `classic` comes at 2.5 s.
    let measured = results(out.path(), "standin");
    assert_eq!(measured["eager"]["success"], "1.000000");
    assert_eq!(measured["classic"]["time_median_ms"], "2500");

    let files = fs::read_dir(out.path())
        .unwrap()
        .map(|file| file.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.sort();
    let plots = [
        "published.svg",
        "reference-lag.svg",
        "reference-time.svg",
        "standin-lag.svg",
        "standin-time.svg",
    ];
    files.retain(|name| !plots.contains(&name.as_str()));
    assert_eq!(files, ["results.csv"]);
    for plot in plots {
        let svg = fs::read_to_string(out.path().join(plot)).unwrap();
        assert!(
            svg.starts_with("<svg width=\"800\"") && svg.ends_with("</svg>\n"),
            "{plot}"
        );
        let label = if plot == "published.svg" {
            "success rate"
        } else {
            "eager"
        };
        assert!(svg.contains(label), "{plot}: {label}");
    }
}

#[test]
fn equal_seeds_give_equal_results() {
    let run = |seed: &str| {
        let out = TempDir::new().unwrap();
        let arguments = [
            "--samples",
            "600",
            "--readiness",
            "reference",
            "--policy",
            JITTERED,
        ];
        let output = lab(out.path(), &[&arguments[..], &["--seed", seed]].concat());
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(out.path().join("results.csv")).unwrap()
    };
    let first = run("7");
    assert!(first.contains("\nreference,mine,600,"), "{first}");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("8"));
}

#[test]
fn invalid_files_are_refused_with_the_line() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("times.csv");
    let path = file.to_str().unwrap();
    for (content, expected) in [
        (&b""[..], ": it has no header line with ready_ms"),
        (b"# nothing\n", ": it has no header line with ready_ms"),
        (b"ready_ms\n", ": it has a header and no times"),
        (b"ms\n5\n", ", line 1: the header has no column ready_ms"),
        (
            b"ready_ms\n5\n\n# six\nsix\n",
            ", line 5: ready_ms is \"six\"",
        ),
        (b"ready_ms\n-1\n", ", line 2: ready_ms is \"-1\""),
        (b"ready_ms\nNaN\n", ", line 2: ready_ms is \"NaN\""),
        (b"ready_ms\ninf\n", ", line 2: ready_ms is \"inf\""),
        (b"ready_ms\n1e300\n", ", line 2: ready_ms is \"1e300\""),
        (b"ready_ms\n86400001\n", ", line 2: ready_ms is \""),
        (b"ready_ms\n\"\"\n", ", line 2: ready_ms is \"\""),
        (
            b"a,ready_ms\nx,1\nx,y,1\n",
            ", line 3: 3 columns, but the header has 2",
        ),
        (b"ready_ms\n1\n\xff\n", ", line 3: it is not UTF-8"),
        (
            b"ready_ms\n\x1b[2J\n",
            ", line 2: ready_ms is \"\\u{1b}[2J\"",
        ),
    ] {
        fs::write(&file, content).unwrap();
        let output = lab(folder.path(), &["--readiness", path]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(&format!("times.csv{expected}")), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
    let large = fs::File::create(&file).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    let output = lab(folder.path(), &["--readiness", path]);
    assert!(
        text(&output.stderr).contains("larger than 16 MiB"),
        "{output:?}"
    );
}

#[test]
fn wrong_use_and_failures_have_their_exit_codes() {
    let folder = TempDir::new().unwrap();
    let few = folder.path().join("few.csv");
    fs::write(&few, "ready_ms\n100\n").unwrap();
    let few = few.to_str().unwrap();
    let named = folder.path().join("reference.csv");
    fs::copy(few, &named).unwrap();
    let twice = format!("{few},{few}");
    for (arguments, expected) in [
        (["--readiness", "missing.csv"], "missing.csv: "),
        (
            ["--readiness", named.to_str().unwrap()],
            "is a built-in name",
        ),
        (["--readiness", &twice], "few-time.svg: rename a file"),
        (["--policy", "mine"], "write NAME=JSON"),
        (["--policy", "a,b={}"], "a name has 1 to 24 letters"),
        (["--policy", "eager={}"], "two policies `eager`"),
        (
            ["--policy", r#"mine={"interval":"1ms"}"#],
            "interval is 1ms",
        ),
        (["--samples", "0"], "0 is not in"),
    ] {
        let output = lab(folder.path(), &arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{error}");
    }
    // A file where the directory should be.
    let output = lab(&named, &["--readiness", few]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stderr).contains("reference.csv: "),
        "{output:?}"
    );
}
