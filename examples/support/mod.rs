//! Helpers of the examples: the command line, whose error messages contain no number.

use clap::Parser;
use whatsapp_phone::failure::{ProtocolFailure, Site};

/// The arguments, or the end of the program: after `--help` and `--version` with exit code 0, after
/// wrong use with 2. A value that was refused is printed masked.
pub(crate) fn args<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        eprintln!("{}", masked(error.render().to_string().trim_end()));
        std::process::exit(error.exit_code())
    })
}

/// The text with its long runs of digits masked, line by line.
pub(crate) fn masked(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| ProtocolFailure::new(Site::Unknown, line).to_string());
    lines.collect::<Vec<_>>().join("\n")
}
