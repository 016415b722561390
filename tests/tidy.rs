//! Prose is tested: what README, changelog and module docs promise is what the code has, and imports
//! follow the one direction that the crate's front page states.
//!
//! Everything here reads files as text, so it holds whatever the features.
#![allow(clippy::unwrap_used)] // helpers of tests: clippy spares only the tests themselves

use std::fs;
use std::path::{Path, PathBuf};

use humantime::format_duration;
use whatsapp_phone::RetryPolicy;

/// Most lines of a file that is read in one sitting.
const MAX_LINES: usize = 400;

/// Most lines of the README: everything else is in the guides.
const MAX_README_LINES: usize = 160;

/// Most lines of the example `service`: it shows how little a whole service takes.
const MAX_SERVICE_LINES: usize = 120;

/// The modules, top row first. A file may use its own row and those above it, never those below.
const ROWS: &[&[&str]] = &[
    &["codes", "span", "text"],
    &["phone", "jid", "failure", "tls"],
    &["retry"],
    &["classify"],
    &["metrics"],
    &["link"],
    &["source"],
    &["extract"],
    &["supervisor"],
    &["event"],
    &["store"],
    &["onboard"],
    &["server"],
    &["testkit"],
    &["guide"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a directory, its path as seen from the crate's root.
fn files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{directory}");
    found
}

/// Returns the text between two texts.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).map_or(rest, |(found, _)| found)
}

/// The texts in double quotes that follow this mark.
fn quoted_after<'t>(text: &'t str, mark: &str) -> Vec<&'t str> {
    let parts = text.split(mark).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// The codes of a kind of errors. A constant's value is its name in lower case, as another test checks.
fn codes_in(error: &str) -> Vec<String> {
    let names = between(error, "stable_names!", "\n});")
        .split("= codes::")
        .skip(1);
    let names = names.filter_map(|rest| rest.split(',').next());
    names.map(str::to_lowercase).collect()
}

#[test]
fn every_code_is_the_name_of_its_constant() {
    let codes = read("src/codes.rs");
    let constants: Vec<_> = codes.split("pub const ").skip(1).collect();
    assert!(constants.len() > 20);
    for constant in constants {
        let (name, rest) = constant.split_once(": &str = ").unwrap();
        let value = rest.split('"').nth(1).unwrap();
        assert_eq!(value, name.to_lowercase());
    }
}

/// The lines of one `[section]` of the manifest that set a key.
fn manifest_keys(section: &str) -> Vec<(String, String)> {
    let manifest = read("Cargo.toml");
    let lines = between(&manifest, &format!("[{section}]\n"), "\n[").lines();
    lines
        .filter_map(|line| line.split_once(" = "))
        .filter(|(key, _)| !key.starts_with(['#', ' ']))
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

fn manifest_value(key: &str) -> String {
    let mut keys = manifest_keys("package").into_iter();
    keys.find(|(found, _)| found == key).unwrap().1
}

/// Each must have a row of its own, whose first cell is it in backticks.
fn assert_rows(prose: &str, what: &[impl AsRef<str>]) {
    assert!(!what.is_empty());
    for name in what {
        let name = name.as_ref();
        let has_row = prose
            .lines()
            .any(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(has_row, "no table has a row `{name}`");
    }
}

/// Lists the guides.
fn guides() -> Vec<PathBuf> {
    let mut guides = files("src/guide");
    guides.retain(|path| path.extension() == Some("md".as_ref()));
    guides
}

/// Each must be named in the README or a guide.
fn assert_in_guides(names: &[impl AsRef<str>]) {
    assert!(!names.is_empty());
    let guides: String = guides().iter().map(read).collect();
    let prose = read("README.md") + &guides;
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    for name in names {
        let is_named = prose
            .split(|c| !is_letter(c))
            .any(|word| word == name.as_ref());
        assert!(is_named, "no guide names {}", name.as_ref());
    }
}

/// Returns a file without the marks of its doc comments.
fn docs(path: &str) -> String {
    let code = read(path);
    let lines = code.lines().map(str::trim_start);
    let lines = lines.map(|line| line.trim_start_matches("//! ").trim_start_matches("/// "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= MAX_README_LINES);
    for link in readme.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        if path.starts_with("https://") {
            continue;
        }
        let text = read(path).to_lowercase();
        let heading = format!("# {}\n", anchor.replace('-', " "));
        assert!(
            anchor.is_empty() || text.contains(&heading),
            "README.md: {link}"
        );
    }
}

#[test]
fn every_guide_is_listed() {
    let (readme, index, front_page) = (
        read("README.md"),
        docs("src/guide/mod.rs"),
        docs("src/lib.rs"),
    );
    for path in guides() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("](src/guide/{name}.md) |")),
            "README.md: {name}"
        );
        assert!(
            index.contains(&format!("\n| [`{name}`] | ")),
            "src/guide/mod.rs: {name}"
        );
        assert!(
            front_page.contains(&format!("](guide::{name})")),
            "src/lib.rs: {name}"
        );
    }
}

#[test]
fn the_version_stands_in_the_changelog() {
    let version = manifest_value("version");
    let changelog = read("CHANGELOG.md");
    let is_version = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()) == version;
    let mut words = changelog.split_whitespace();
    assert!(words.any(is_version), "{version} is not in CHANGELOG.md");
    assert!(changelog.contains("\n## [Unreleased]\n"));
}

#[test]
fn the_oldest_compiler_stands_in_the_readme() {
    let says = format!("- Rust {} or later", manifest_value("rust-version"));
    assert!(read("README.md").contains(&says), "{says}");
}

#[test]
fn every_feature_has_its_row() {
    let features = manifest_keys("features").into_iter().map(|(name, _)| name);
    let features: Vec<_> = features.filter(|name| name != "default").collect();
    assert_rows(&read("README.md"), &features);
    let front_page = docs("src/lib.rs");
    for name in features {
        assert!(
            front_page.contains(&format!("`{name}`")),
            "src/lib.rs: {name}"
        );
    }
}

#[test]
fn every_source_driver_has_its_rows() {
    let parent = read("src/source/mod.rs");
    let mut drivers = Vec::new();
    let modules = parent
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    for name in modules.map(|rest| rest.trim_end_matches(';')) {
        let own = |path: &PathBuf| {
            path.starts_with(format!("src/source/{name}"))
                || path.ends_with(format!("source/{name}.rs"))
        };
        let code: String = files("src/source")
            .iter()
            .filter(|path| own(path))
            .map(read)
            .collect();
        let mut types = code.split("pub struct ").skip(1).filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric())?;
            rest[..end]
                .ends_with("Source")
                .then(|| rest[..end].to_owned())
        });
        let source = types
            .next()
            .unwrap_or_else(|| panic!("{name} has no `pub struct ...Source`"));
        // A driver behind a feature cannot be linked to where the feature is off.
        let row = format!("`{name}::{source}`");
        let has_row = |line: &str| line.starts_with("//! |") && line.contains(&row);
        assert!(parent.lines().any(has_row), "src/source/mod.rs: {row}");
        drivers.push(source);
    }
    assert!(parent.contains("//! | [`from_fn`] |"));
    drivers.push("from_fn".to_owned());
    assert_in_guides(&drivers);
}

/// The public types of a directory whose names end so, with the module that they are in.
fn types(directory: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(directory) {
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for rest in read(&path).split("\npub struct ").skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap();
            if rest[..end].ends_with(ending) {
                found.push((module.clone(), rest[..end].to_owned()));
            }
        }
    }
    assert!(!found.is_empty(), "{directory}");
    found
}

/// Each has a row in the docs of its parent, is named in a guide, and has a line that runs the contract.
fn assert_drivers(parent: &str, drivers: &[(String, String)], contracts: &[&str]) {
    let docs = read(parent);
    let contracts: String = contracts.iter().map(read).collect();
    for (module, name) in drivers {
        // A private module between the two is left out.
        let ends = [
            format!("{module}::{name}`"),
            format!("webdriver::{name}`"),
            format!("cdp::{name}`"),
            format!("{name}`]"),
        ];
        let has_row = |line: &str| {
            line.starts_with("//! | ") && ends.iter().any(|end| line.contains(end.as_str()))
        };
        assert!(docs.lines().any(has_row), "{parent}: no row for {name}");
        let runs = |line: &str| {
            let call = ["all(&", "keeps_the_contract("];
            call.iter().any(|call| line.contains(call)) && line.contains(name.as_str())
        };
        assert!(contracts.lines().any(runs), "no contract line for {name}");
        assert_in_guides(&[name]);
    }
}

#[test]
fn every_sink_has_its_rows_and_its_contract() {
    let mut sinks = types("src/event", "Sink");
    sinks.extend(types("src/store", "Sink"));
    sinks.extend(types("src/event", "FanOut"));
    assert_drivers(
        "src/event/mod.rs",
        &sinks,
        &["src/testkit/contract/sink.rs"],
    );
}

#[test]
fn every_link_source_has_its_rows_and_its_contract() {
    let mut sources = Vec::new();
    let is_test = |path: &Path| {
        path.iter()
            .any(|part| part == "tests" || part == "tests.rs")
    };
    for path in files("src").iter().filter(|path| !is_test(path)) {
        let stem = path.file_stem().unwrap();
        let module = if stem == "mod" {
            path.parent().unwrap().file_name().unwrap()
        } else {
            stem
        };
        for rest in read(path).split("\nimpl LinkSource for ").skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap();
            let module = module.to_str().unwrap().to_owned();
            sources.push((module, rest[..end].to_owned()));
        }
    }
    assert!(!sources.is_empty());
    assert_drivers("src/link.rs", &sources, &["tests/contract.rs"]);
}

#[test]
fn every_store_has_its_rows_and_its_contract() {
    let mut stores = types("src/store", "Store");
    // Those of the SQL drivers are made by a macro.
    for code in files("src/store/sql").iter().map(read) {
        let Some((_, made)) = code.split_once("\nstore! {") else {
            continue;
        };
        let name = between(made, "", "\n}").lines().last().unwrap_or_default();
        let (name, _) = name.trim().split_once('(').unwrap();
        let module = name.trim_end_matches("Store").to_lowercase();
        stores.push((module, name.to_owned()));
    }
    assert!(stores.len() >= 4, "{stores:?}");
    let contracts = ["src/testkit/contract/store/tests.rs", "tests/store.rs"];
    assert_drivers("src/store/mod.rs", &stores, &contracts);
}

#[test]
fn every_reader_has_its_row() {
    let readers = read("src/source/page/readers.rs");
    let table = between(&readers, " READERS: ", "\n];");
    let names = quoted_after(table, " name: Cow::Borrowed(\"");
    assert_eq!(names.len(), table.matches("        id: ReaderId::").count());
    assert_rows(&read("src/guide/embed.md"), &names);
}

#[test]
fn every_error_code_of_a_store_has_its_row() {
    let error = read("src/store/error.rs");
    let codes = codes_in(&error);
    assert_rows(&read("src/guide/stores.md"), &codes);
}

#[test]
fn every_outcome_has_its_row() {
    let error = read("src/extract/error.rs");
    let codes = codes_in(&error);
    assert_rows(&read("README.md"), &codes);
    // "one of nine codes"
    let counted = ["six", "seven", "eight", "nine", "ten", "eleven", "twelve"][codes.len() - 6];
    assert!(read("README.md").contains(&format!("one of {counted} codes")));
}

#[test]
fn every_policy_setting_has_its_numbers() {
    let (eager, classic) = (RetryPolicy::eager(), RetryPolicy::classic());
    let row = |name: &str, of: &dyn Fn(&RetryPolicy) -> String| {
        format!("| `{name}` | {} | {} |", of(&eager), of(&classic))
    };
    let looks = |p: &RetryPolicy| p.attempts().map_or("unlimited".into(), |n| n.to_string());
    let table = docs("src/retry/mod.rs");
    for row in [
        row("initial_delay", &|p| {
            format_duration(p.backoff().initial_delay()).to_string()
        }),
        row("attempts", &looks),
        row("interval", &|p| format_duration(p.interval()).to_string()),
        row("growth", &|p| p.backoff().growth().to_string()),
        row("jitter", &|p| p.backoff().jitter().to_string()),
        row("look_timeout", &|p| {
            format_duration(p.look_timeout()).to_string()
        }),
        row("deadline", &|p| format_duration(p.deadline()).to_string()),
        row("look_mode", &|p| p.look_mode().to_string()),
        row("fallback_after_exhaustion", &|p| {
            p.fallback_after_exhaustion().to_string()
        }),
    ] {
        assert!(table.contains(&row), "{row}");
    }
}

#[test]
fn every_variable_has_its_row() {
    let env = read("src/retry/env.rs");
    assert_rows(
        &docs("src/retry/env.rs"),
        &quoted_after(&env, ": &str = \""),
    );
}

#[test]
fn every_example_has_its_whole_command() {
    let readme = read("README.md");
    let manifest = read("Cargo.toml");
    // Deeper files are shared by the examples.
    let is_example = |path: &&PathBuf| {
        path.parent() == Some("examples".as_ref()) && path.extension() == Some("rs".as_ref())
    };
    for path in files("examples").iter().filter(is_example) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let entry = manifest.split("[[example]]\n").skip(1);
        let entry = entry.map(|entry| entry.split("\n[").next().unwrap_or(entry));
        let mut entry = entry.filter(|entry| entry.contains(&format!("name = \"{name}\"")));
        let features = entry
            .next()
            .filter(|entry| entry.contains("required-features"))
            .map_or("", |entry| between(entry, "required-features = [", "]"));
        let features: Vec<_> = features
            .split(", ")
            .map(|feature| feature.trim_matches('"'))
            .filter(|feature| !["", "supervisor", "webdriver"].contains(feature))
            .collect();
        let mut command = format!("cargo run --example {name}");
        if !features.is_empty() {
            command += &format!(" --features {}", features.join(","));
        }
        let is_described = |line: &str| {
            let rest = line.strip_prefix(&command).map(str::trim_start);
            rest.is_some_and(|rest| {
                rest.starts_with("# ") || (rest.starts_with("-- ") && rest.contains("  # "))
            })
        };
        let has = readme.lines().any(is_described);
        assert!(has, "README.md has no line `{command}` with a comment");
    }
}

#[test]
fn every_module_has_its_row() {
    let front_page = read("src/lib.rs");
    let modules = front_page
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let rows: Vec<_> = ROWS.concat();
    for module in modules {
        assert!(
            rows.contains(&module),
            "give {module} its row in tests/tidy.rs"
        );
        let row = |name: String| front_page.contains(&format!("//! | {name} |"));
        assert!(
            row(format!("[`{module}`]")) || row(format!("`{module}`")),
            "src/lib.rs: no row for {module}"
        );
    }
}

/// The modules of this crate that code names as `crate::x`. Comments do not count.
fn used_modules(code: &str) -> Vec<String> {
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<_> = lines.collect();
    let code = code.join("\n");
    let mut used = Vec::new();
    for (at, mark) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + mark.len()..];
        let word = |text: &str| {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
            text[..end.unwrap_or(text.len())].to_owned()
        };
        match rest.strip_prefix('{') {
            None => used.push(word(rest)),
            Some(list) => used.extend(heads(list).into_iter().map(|head| word(head.trim_start()))),
        }
    }
    used
}

/// The items of a `{a, b::{c, d}}` whose brace has been opened.
fn heads(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(&list[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|head| !head.trim().is_empty());
    heads
}

#[test]
fn uses_are_found_in_whatever_form() {
    let code = "use crate::jid::{Jid, Server};\n//! [x](crate::extract)\nuse crate::{\n    phone::{A, B},\n    retry,\n};\nlet x = crate::failure::clean(y); mycrate::z();";
    assert_eq!(used_modules(code), ["jid", "phone", "retry", "failure"]);
}

#[test]
fn imports_follow_the_direction() {
    let row_of = |module: &str| ROWS.iter().position(|row| row.contains(&module));
    for path in files("src")
        .iter()
        .filter(|path| path.extension() == Some("rs".as_ref()))
    {
        let own = path
            .components()
            .nth(1)
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let own = own.strip_suffix(".rs").unwrap_or(own);
        if own == "lib" {
            continue;
        }
        let own_row = row_of(own).unwrap_or_else(|| panic!("give {own} its row in tests/tidy.rs"));
        for used in used_modules(&read(path)) {
            let path = path.display();
            let row = row_of(&used).unwrap_or_else(|| {
                panic!("{path}: `crate::{used}` is no module; name items by their module")
            });
            assert!(row <= own_row, "{path} uses {used}, which is below {own}");
        }
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    for path in files("src") {
        let lines = read(&path).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
    let service = read("examples/service/main.rs").lines().count();
    assert!(
        service <= MAX_SERVICE_LINES,
        "the example `service` has {service} lines"
    );
}

/// Openers of sentences that stand in for a noun.
const OPENERS: &[&str] = &["What", "Who", "Whoever", "Whose", "Where", "Whatever"];

/// Metaphors and riddles.
const BANNED_WORDS: &[&str] = &[
    "anybody",
    "babble",
    "befalls",
    "bomb",
    "crowd",
    "culprit",
    "dearer",
    "dying",
    "farewell",
    "flight",
    "hopeless",
    "house",
    "judge",
    "judged",
    "judgement",
    "judges",
    "lane",
    "lanes",
    "mistrust",
    "nobody",
    "odd",
    "patience",
    "patient",
    "polite",
    "quietly",
    "rude",
    "somebody",
    "stranger",
    "strangers",
    "told",
    "twin",
    "whoever",
];

/// The marks of the comments of a file; empty for a file of prose.
fn comment_marks(path: &Path) -> Option<&'static [&'static str]> {
    match path.extension()?.to_str()? {
        "rs" => Some(&["//!", "///", "//"]),
        "js" => Some(&["//"]),
        "sql" => Some(&["--"]),
        "sh" => Some(&["#"]),
        "md" => Some(&[]),
        _ => None,
    }
}

/// Returns the prose of a file with the numbers of its lines, without code and without quoted names.
fn prose(path: &Path) -> Vec<(usize, String)> {
    let Some(marks) = comment_marks(path) else {
        return Vec::new();
    };
    let (text, mut is_code, mut prose) = (read(path), false, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let comment = marks.iter().find_map(|mark| line.strip_prefix(mark));
        let Some(line) = comment.or(marks.is_empty().then_some(line)) else {
            is_code = false;
            continue;
        };
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let words: Vec<_> = line.split('`').step_by(2).collect();
            prose.push((number + 1, words.join("`")));
        }
    }
    prose
}

#[test]
fn prose_names_who_acts_and_has_no_metaphors() {
    let mut paths = ["src", "tests", "benches", "examples"].map(files).concat();
    paths.extend(["README.md", "CHANGELOG.md"].map(PathBuf::from));
    let (mut lines, mut found) = (0, Vec::new());
    for path in paths {
        for (number, line) in prose(&path) {
            lines += 1;
            let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric()).collect();
            let banned = words.iter().find(|word| {
                OPENERS.contains(word) || BANNED_WORDS.contains(&word.to_lowercase().as_str())
            });
            found.extend(banned.map(|word| format!("{}:{number}: {word}", path.display())));
        }
    }
    assert!(found.is_empty(), "banned words:\n{}", found.join("\n"));
    assert!(lines > 5000, "{lines}");
}

#[test]
fn names_of_functions_are_no_questions_and_no_riddles() {
    // A user of Unix.
    let allowed = ["run_as_nobody"];
    let (mut names, mut found) = (0, Vec::new());
    for path in ["src", "tests", "benches", "examples"].map(files).concat() {
        if path.extension() != Some("rs".as_ref()) {
            continue;
        }
        for line in read(&path).lines() {
            let Some((before, rest)) = line.split_once("fn ") else {
                continue;
            };
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            if !before
                .trim_start()
                .chars()
                .all(|c| c.is_alphabetic() || " ()".contains(c))
                || allowed.contains(&name)
            {
                continue;
            }
            names += 1;
            let opener = name.split('_').next().unwrap();
            let asks =
                name.contains('_') && OPENERS.iter().any(|word| word.to_lowercase() == opener);
            let is_riddle = name.split('_').any(|word| BANNED_WORDS.contains(&word));
            if asks || is_riddle {
                found.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "banned names:\n{}", found.join("\n"));
    assert!(names > 1000, "{names}");
}

/// The files under `tests/` to which the rules below do not apply: these rules, the helpers themselves, and a
/// store, which keeps a deadline.
const OWN_RULES: &[&str] = &["tidy", "support/time", "foreign_store"];

/// The code of the tests, cut before each `#[test]` or `#[tokio::test]`: where it is, and its text.
fn tests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files("tests") {
        let stem = path.strip_prefix("tests").unwrap().with_extension("");
        let is_rust = path.extension() == Some("rs".as_ref());
        if !is_rust || OWN_RULES.iter().any(|own| stem.starts_with(own)) {
            continue;
        }
        let code = read(&path).replace("\n#[tokio::test", "\n#[test");
        for part in code.split("\n#[test") {
            let mut lines = part.lines();
            let name = lines.find(|line| line.contains("fn ")).unwrap_or("");
            found.push((format!("{}: {name}", path.display()), part.to_owned()));
        }
    }
    assert!(found.len() > 50);
    found
}

/// A busy machine stops any process for seconds, so a test in real time asserts nothing near a bound. Its
/// waiting goes through `tests/support/time.rs`, whose limit is 30 s or more.
#[test]
fn tests_in_real_time_wait_for_conditions() {
    let in_real_time = |code: &str| !code.starts_with("(start_paused = true");
    for (place, code) in tests().iter().filter(|(_, code)| in_real_time(code)) {
        // Options of the crate and of a database are no waiting of a test's.
        let own = [
            "call_timeout(",
            "start_timeout(",
            "attempt_timeout(",
            "look_timeout(",
            "busy_timeout(",
            "elapsed() < LIMIT",
        ];
        let code = own
            .iter()
            .fold(code.clone(), |code, own| code.replace(own, ""));
        for (banned, instead) in [
            (
                "elapsed() <",
                "print it, and test the bound under paused time",
            ),
            (
                "timeout(",
                "within_limit, or cancel_after for what must not end",
            ),
            ("time::sleep", "until or until_async"),
            ("DriverProcess::start()", "support::driver"),
            ("RetryPolicy::eager()", "support::policy"),
        ] {
            assert!(!code.contains(banned), "{place} has `{banned}`: {instead}");
        }
    }
}

#[test]
fn no_test_skips_its_assertion() {
    for (place, code) in tests() {
        for line in code.lines() {
            let passes_over = line.contains("if let Ok(")
                || (line.contains("while ") && line.ends_with("{}"))
                || (line.contains("read") && line.contains(".unwrap_or_default()"));
            assert!(!passes_over, "{place}: it may assert nothing: {line}");
        }
    }
}
