//! The scripts of a look and of a wait, put together from the reader table once.

use std::sync::LazyLock;

use super::readers::READERS;

/// Takes the globals out of a page that ChromeDriver has put there.
pub(super) const TIDY: &str = "\
    try {
      for (const name in window) {
        if (name[0] === 'c' && name[1] === 'd' && name[2] === 'c' && name[3] === '_') delete window[name];
      }
    } catch {}\n";

/// The scripts for one kind of page.
#[derive(Debug)]
pub(super) struct Scripts {
    /// Body of an `execute/sync` script that returns one envelope.
    pub(super) probe: LazyLock<String>,
    /// Body of an `execute/async` script that returns the next envelope with another mark.
    /// Arguments: the mark known, the slice's length and the pace of the slow look, both in
    /// milliseconds.
    pub(super) watch: LazyLock<String>,
}

impl Scripts {
    /// For pages of ours, and of callers' sessions.
    pub(super) const PLAIN: &Self = &PLAIN;
    /// For pages where we are guests: they also tidy up.
    pub(super) const TIDY: &Self = &TIDYING;
}

static PLAIN: Scripts = Scripts {
    probe: LazyLock::new(probe),
    watch: LazyLock::new(watch),
};
static TIDYING: Scripts = Scripts {
    probe: LazyLock::new(|| format!("{TIDY}{}", probe())),
    watch: LazyLock::new(|| format!("{TIDY}{}", watch())),
};

fn probe() -> String {
    let rows: Vec<_> = READERS
        .iter()
        .map(|row| format!("() => {}", row.expression))
        .collect();
    include_str!("probe.js").replace("__ROWS__", &format!("[{}]", rows.join(", ")))
}

fn watch() -> String {
    include_str!("watch.js").replace("__PROBE__", &probe())
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
