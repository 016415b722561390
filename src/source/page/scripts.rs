//! The scripts of a look and of a wait, built once from the reader table and the names of the guards.

use std::sync::{Arc, LazyLock};

use super::overrides::Overrides;
use super::readers::Reader;

/// Removes the hooks of a slice that was cut short.
const UNHOOK: &str = "\
    const unhook = () => {
      try {
        window.localStorage.__proto__.setItem.__whatsappPhoneUndo?.();
      } catch {}
    };\n";

static CLEAN_UP: LazyLock<String> = LazyLock::new(|| bare(include_str!("script/clean_up.js")));
static BUILT_IN: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(&Overrides::default()));

/// The kind of page that a script runs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A page that we opened, or of a caller's session.
    Plain,
    /// A page that another program drives: each script also removes the traces of ChromeDriver.
    Tidy,
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
            names: format!("const NAMES = {};\n", overrides.names()).into(),
            look: look.into(),
            wait: wait.into(),
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
        let clean_up = match kind {
            Kind::Plain => "unhook();",
            Kind::Tidy => "cleanUp();",
        };
        let head = head(kind);
        format!(
            "{}{}{}{head}{clean_up}\n{}",
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
        let head = head(kind);
        format!(
            "{}{}{}{head}{}",
            self.names,
            booted_document(booted),
            wanted(Extra::None),
            self.wait
        )
    }

    /// Returns the body of a script without arguments that only removes our traces.
    pub(crate) fn clean_up(kind: Kind) -> String {
        format!("{}cleanUp();", head(kind))
    }

    /// Returns the body of [`look`](Self::look) that also compiles this row of the table, but does not run it.
    pub(crate) fn compile(kind: Kind, row: &str) -> String {
        format!("{}\n() => {row};\nreturn true;", Self::clean_up(kind))
    }
}

fn head(kind: Kind) -> String {
    let clean_up = match kind {
        Kind::Plain => "const cleanUp = () => {};",
        Kind::Tidy => &CLEAN_UP,
    };
    format!("{UNHOOK}{clean_up}\n")
}

fn booted_document(booted: Option<&str>) -> String {
    let booted = serde_json::json!(booted);
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
        for kind in [Kind::Plain, Kind::Tidy] {
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
