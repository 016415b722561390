//! The scripts of a look and of a wait, put together from the reader table once.

use std::sync::LazyLock;

use super::readers::READERS;

/// Body of an `execute/sync` script that returns one envelope.
pub(super) static PROBE: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<_> = READERS
        .iter()
        .map(|row| format!("() => {}", row.expression))
        .collect();
    include_str!("probe.js").replace("__ROWS__", &format!("[{}]", rows.join(", ")))
});

/// Body of an `execute/async` script that returns the next envelope with another mark. Arguments:
/// the mark known, the slice's length and the pace of the slow look, both in milliseconds.
pub(super) static WATCH: LazyLock<String> =
    LazyLock::new(|| include_str!("watch.js").replace("__PROBE__", &PROBE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_holds_every_expression() {
        for row in READERS {
            assert!(PROBE.contains(row.expression), "{}", row.name);
        }
        assert!(!WATCH.contains("__ROWS__") && !WATCH.contains("__PROBE__"));
    }
}
