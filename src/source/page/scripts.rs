//! The scripts of a look and of a wait, built once from the reader table and the names of the guards.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::envelope::Envelope;
use super::overrides::Overrides;
use super::readers::Reader;

/// Time between two looks within a slice, which find what no event reports.
const PACE: Duration = Duration::from_millis(50);

/// The same if the events of the page's storage and socket are both hooked.
const HOOKED_PACE: Duration = Duration::from_millis(200);

/// Ends a slice of the same page that still runs, and removes its hooks. Other programs' slices continue.
const UNHOOK: &str = "\
    const unhook = () => {
      try {
        window.localStorage.__proto__.setItem.__whatsappPhoneHook?.stop(OWNER);
      } catch {}
    };\n";

static CLEAN_UP: LazyLock<String> = LazyLock::new(|| bare(include_str!("script/clean_up.js")));
static BUILT_IN: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(&Overrides::default()));

/// The kind of page that a script runs in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Each script also removes the traces of ChromeDriver: another program drives the page.
    pub(crate) is_tidy: bool,
    /// Looks run beside a slice, and leave it alone.
    pub(crate) keeps_slice: bool,
}

/// The additional parts of the answer of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    None,
    /// Those that a diagnosis needs.
    Details,
    /// The QR code.
    Qr,
}

/// The scripts of one page. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Scripts {
    overrides: Arc<Overrides>,
    readers: Arc<[Reader]>,
    /// Marks the page's own slice.
    owner: u64,
    /// Declares the names of the guards.
    names: Arc<str>,
    look: Arc<str>,
    wait: Arc<str>,
}

impl Scripts {
    /// Builds the scripts with these overrides, which must be valid.
    pub(crate) fn new(overrides: &Overrides) -> Self {
        let readers: Arc<[Reader]> = overrides.readers().collect();
        let rows: Vec<_> = readers
            .iter()
            .map(|row| format!("() => {}", row.expression))
            .collect();
        let rows = format!("[{}]", rows.join(", "));
        let look = bare(include_str!("script/look.js")).replace("__ROWS__", &rows);
        let wait = bare(include_str!("script/wait.js")).replace("__LOOK__", &look);
        Self {
            overrides: Arc::new(overrides.clone()),
            readers,
            owner: 0,
            names: format!("const NAMES = {};\n", overrides.names()).into(),
            look: look.into(),
            wait: wait.into(),
        }
    }

    /// Returns the scripts of a new page, without overrides.
    pub(crate) fn for_page() -> Self {
        Self {
            owner: fastrand::u64(..),
            ..Self::built_in().clone()
        }
    }

    /// Returns the scripts of the same page with these overrides, which must be valid.
    pub(crate) fn with_overrides(&self, overrides: &Overrides) -> Self {
        Self {
            owner: self.owner,
            ..Self::new(overrides)
        }
    }

    /// Returns the scripts without overrides.
    pub(crate) fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Returns the overrides from which they were built.
    pub(crate) const fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    /// Returns the table whose indices the rows of an envelope have.
    pub(crate) const fn readers(&self) -> &Arc<[Reader]> {
        &self.readers
    }

    /// Returns the body of a script without arguments that returns one envelope. `booted` is the document that
    /// counts as booted even without a boot marker.
    pub(crate) fn look(&self, kind: Kind, booted: Option<&str>, extra: Extra) -> String {
        let unhook = if kind.keeps_slice { "" } else { "unhook();" };
        let head = self.head(kind);
        format!(
            "{}{}{}{head}{unhook}\ncleanUp();\n{}",
            self.names,
            booted_document(booted),
            wanted(extra),
            self.look
        )
    }

    /// Returns the body of an asynchronous script that returns the next envelope with another mark.
    /// Arguments: the known mark; in milliseconds the slice's length, the time between two looks, and the
    /// same if the page's events are hooked.
    pub(crate) fn wait(&self, kind: Kind, booted: Option<&str>) -> String {
        let head = self.head(kind);
        format!(
            "{}{}{}{head}{}",
            self.names,
            booted_document(booted),
            wanted(Extra::None),
            self.wait
        )
    }

    /// Returns the body of a script without arguments that only removes our traces.
    pub(crate) fn clean_up(&self, kind: Kind) -> String {
        format!("{}unhook();\ncleanUp();", self.head(kind))
    }

    /// Returns the body of a script that compiles this row of the table, but does not run it. It also removes
    /// the traces of ChromeDriver.
    pub(crate) fn compile(&self, kind: Kind, row: &str) -> String {
        format!("{}cleanUp();\n() => {row};\nreturn true;", self.head(kind))
    }

    fn head(&self, kind: Kind) -> String {
        let clean_up = match kind.is_tidy {
            true => &**CLEAN_UP,
            false => "const cleanUp = () => {};",
        };
        let owner = self.owner;
        format!("const OWNER = '{owner:x}';\n{UNHOOK}{clean_up}\n")
    }
}

/// Returns the arguments of the [script of a wait](Scripts::wait).
pub(crate) fn wait_arguments(known: &Envelope, length: Duration) -> Vec<Value> {
    let millis = |time: Duration| json!(time.as_secs_f64() * 1000.0);
    let mut arguments = vec![json!(known.mark)];
    arguments.extend([length, PACE, HOOKED_PACE].map(millis));
    arguments
}

fn booted_document(booted: Option<&str>) -> String {
    let booted = json!(booted);
    format!("const bootedDocument = {booted};\n")
}

fn wanted(extra: Extra) -> String {
    let (details, qr) = (extra == Extra::Details, extra == Extra::Qr);
    format!("const wantsDetails = {details};\nconst wantsQr = {qr};\n")
}

/// Removes comment lines and indentation: a script goes over the connection for every command.
fn bare(script: &str) -> String {
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::overrides::Guard;
    use super::*;

    #[test]
    fn the_scripts_hold_every_expression_every_name_and_no_placeholder() {
        let overrides = Overrides::default()
            .guard(Guard::BootMarker, "Debug.BUILD")
            .reader("newer", "require('X').y() // newest");
        let scripts = Scripts::new(&overrides);
        for (is_tidy, keeps_slice) in [(false, false), (false, true), (true, false), (true, true)] {
            let kind = Kind {
                is_tidy,
                keeps_slice,
            };
            let scripts = [
                scripts.look(kind, None, Extra::Details),
                scripts.wait(kind, Some("1764000000123.4")),
            ];
            for script in &scripts {
                for row in overrides.readers() {
                    assert!(script.contains(&*row.expression), "{}", row.name);
                }
                for guard in Guard::ALL {
                    let read = format!("NAMES.{guard}");
                    assert!(script.contains(&read), "{guard}");
                }
                assert!(script.contains(r#""boot_marker":["Debug","BUILD"]"#));
                assert!(script.contains("require('X').y() // newest\n"));
                assert!(!script.contains("__ROWS__") && !script.contains("__LOOK__"));
            }
            assert!(scripts[0].contains("wantsDetails = true;\nconst wantsQr = false;"));
            assert!(scripts[1].contains("wantsDetails = false;\nconst wantsQr = false;"));
            assert!(scripts[0].contains("bootedDocument = null;"));
            assert!(scripts[1].contains("bootedDocument = \"1764000000123.4\";"));
        }
    }
}
