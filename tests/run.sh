#!/usr/bin/env bash
# Installs what is missing, then runs every case once, doc tests included. Further arguments go to
# `cargo test`, for instance a part of a test's name.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$root/tests/install.sh"
install_what_is_missing

exec cargo test --manifest-path "$root/Cargo.toml" --locked --workspace --all-features --no-fail-fast "$@"
