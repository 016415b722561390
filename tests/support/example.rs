//! The examples, as programs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds an example as the test was built, and returns its program.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "--locked",
        "--offline",
        "--all-features",
    ]);
    build.args(["--example", name, "--manifest-path"]);
    build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // Those that cargo sets for this test would have build scripts of dependencies run again.
    for (name, _) in std::env::vars_os() {
        let own = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
        ];
        if own
            .iter()
            .any(|own| name.to_string_lossy().starts_with(own))
        {
            build.env_remove(name);
        }
    }
    assert!(build.status().unwrap().success());
    // Of `target/debug/deps/service-0123`.
    let this = std::env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(name)
}
