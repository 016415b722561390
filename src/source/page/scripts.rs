//! The scripts of a look and of a wait, built from the reader table once.

use std::sync::LazyLock;

use super::readers::READERS;

/// Removes the hooks of a slice that was cut short.
const UNHOOK: &str = "\
    const unhook = () => {
      try {
        window.localStorage.__proto__.setItem.__whatsappPhoneUndo?.();
      } catch {}
    };\n";

static LOOK: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<_> = READERS
        .iter()
        .map(|row| format!("() => {}", row.expression))
        .collect();
    bare(include_str!("script/look.js")).replace("__ROWS__", &format!("[{}]", rows.join(", ")))
});
static WAIT: LazyLock<String> =
    LazyLock::new(|| bare(include_str!("script/wait.js")).replace("__LOOK__", &LOOK));
static CLEAN_UP: LazyLock<String> = LazyLock::new(|| bare(include_str!("script/clean_up.js")));

/// The scripts for one kind of page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scripts {
    /// For pages that we opened, and for a caller's session.
    Plain,
    /// For pages that somebody else drives: each script also removes the traces of ChromeDriver.
    Tidy,
}

impl Scripts {
    /// Body of a script without arguments that returns one envelope. `booted` is the document that
    /// counts as booted even without a boot marker.
    pub(crate) fn look(self, booted: Option<f64>) -> String {
        let clean_up = match self {
            Self::Plain => "unhook();",
            Self::Tidy => "cleanUp();",
        };
        format!("{}{clean_up}\n{}", self.head(booted), *LOOK)
    }

    /// Body of an asynchronous script that returns the next envelope with another mark. Arguments: the
    /// known mark; in milliseconds the slice's length, the time between two looks, and the same if
    /// the page's events are hooked.
    pub(crate) fn wait(self, booted: Option<f64>) -> String {
        format!("{}{}", self.head(booted), *WAIT)
    }

    /// Body of a script without arguments that only removes our traces.
    pub(crate) fn clean_up(self) -> String {
        format!("{}cleanUp();", self.head(None))
    }

    fn head(self, booted: Option<f64>) -> String {
        let clean_up = match self {
            Self::Plain => "const cleanUp = () => {};",
            Self::Tidy => &CLEAN_UP,
        };
        let booted = booted.map_or("null".into(), |document| document.to_string());
        format!("const bootedDocument = {booted};\n{UNHOOK}{clean_up}\n")
    }
}

/// Without comment lines and indentation: a script goes over the connection for every command.
fn bare(script: &str) -> String {
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_hold_every_expression_and_no_placeholder() {
        for kind in [Scripts::Plain, Scripts::Tidy] {
            let scripts = [kind.look(None), kind.wait(Some(1_764_000_000_123.4))];
            for script in &scripts {
                for row in READERS {
                    assert!(script.contains(row.expression), "{}", row.name);
                }
                assert!(!script.contains("__ROWS__") && !script.contains("__LOOK__"));
            }
            assert!(scripts[0].contains("bootedDocument = null;"));
            assert!(scripts[1].contains("bootedDocument = 1764000000123.4;"));
        }
    }
}
