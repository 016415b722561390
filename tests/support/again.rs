//! This test program, started again: a process reads its trusted certificates from its environment, once.

use std::process::Stdio;

use tokio::process::Command;

use super::time::within_limit;

/// The beginning of the line with the result.
const RESULT: &str = "result: ";

/// Prints the result of the started program.
pub(crate) fn print_result(result: &str) {
    println!("\n{RESULT}{result}");
}

/// Runs one test of this program with these variables, and returns the result that it has printed.
pub(crate) async fn run_again(test: &str, variables: &[(&str, &str)]) -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--nocapture"]);
    program.envs(variables.iter().copied());
    program.stderr(Stdio::null()).kill_on_drop(true);
    let ended = within_limit(test, program.output()).await.unwrap();
    let output = String::from_utf8(ended.stdout).unwrap();
    let result = output.lines().find_map(|line| line.strip_prefix(RESULT));
    result
        .unwrap_or_else(|| panic!("no result: {output}"))
        .to_owned()
}
