#!/usr/bin/env bash
# Installs what is missing, starts throwaway database servers, then runs every case once, doc tests included. Further arguments go to
# `cargo test`, for instance a part of a test's name.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$root/tests/install.sh"
install_what_is_missing databases
# shellcheck source-path=SCRIPTDIR source=servers.sh
. "$root/tests/servers.sh"
start_servers

# Most tests wait for browsers and for time: twice the threads take half as long.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
cargo test --manifest-path "$root/Cargo.toml" --locked --workspace --all-features --no-fail-fast "$@"
