//! The scripts of a look and of a wait, put together from the reader table once.

use std::sync::LazyLock;

use super::readers::READERS;

/// Takes out the hooks of a slice that was cut short.
const UNHOOKING: &str = "\
    const unhook = () => {
      try {
        window.localStorage.__proto__.setItem.__whatsappPhoneUndo?.();
      } catch {}
    };\n";

/// Takes out what ChromeDriver has put into a page.
const SWEEPING: &str = include_str!("sweep.js");

/// Where the page is ours, what the driver leaves there is nobody's business.
const LEAVING: &str = "const sweep = () => {};\n";

/// The scripts for one kind of page.
#[derive(Debug)]
pub(super) struct Scripts {
    /// Body of an `execute/sync` script that returns one envelope.
    pub(super) probe: LazyLock<String>,
    /// Body of an `execute/async` script that returns the next envelope with another mark.
    /// Arguments: the mark known; in milliseconds the slice's length, the pace of the slow look, and
    /// its pace where the page's events are heard.
    pub(super) watch: LazyLock<String>,
    /// Body of an `execute/sync` script that does nothing but tidy up.
    pub(super) tidy: LazyLock<String>,
}

impl Scripts {
    /// For pages of ours, and of callers' sessions.
    pub(super) const PLAIN: &Self = &PLAIN;
    /// For pages where we are guests: they also tidy up.
    pub(super) const TIDY: &Self = &TIDYING;
}

static PLAIN: Scripts = Scripts {
    probe: LazyLock::new(|| format!("{UNHOOKING}unhook();\n{}", probe())),
    watch: LazyLock::new(|| format!("{LEAVING}{}", watch())),
    tidy: LazyLock::new(String::new),
};
static TIDYING: Scripts = Scripts {
    probe: LazyLock::new(|| format!("{}sweep();\n{}", sweeping(), probe())),
    watch: LazyLock::new(|| format!("{}{}", sweeping(), watch())),
    tidy: LazyLock::new(|| format!("{}sweep();", sweeping())),
};

fn sweeping() -> String {
    format!("{UNHOOKING}{}\n", bare(SWEEPING))
}

fn probe() -> String {
    let rows: Vec<_> = READERS
        .iter()
        .map(|row| format!("() => {}", row.expression))
        .collect();
    bare(include_str!("probe.js")).replace("__ROWS__", &format!("[{}]", rows.join(", ")))
}

fn watch() -> String {
    bare(include_str!("watch.js")).replace("__PROBE__", &probe())
}

/// Without comment lines and indentation: a script goes over the wire for every command.
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
    fn the_script_holds_every_expression() {
        for row in READERS {
            assert!(
                Scripts::PLAIN.probe.contains(row.expression),
                "{}",
                row.name
            );
        }
        for script in [&Scripts::PLAIN.watch, &Scripts::TIDY.watch] {
            assert!(!script.contains("__ROWS__") && !script.contains("__PROBE__"));
        }
    }
}
