#!/usr/bin/env bash
# Installs Chromium and ChromeDriver if they are missing, then runs the example `extract` with the
# arguments given. Without arguments it brings its own page, driver and browser.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=../tests/install.sh
. "$root/tests/install.sh"
# shellcheck disable=SC2119 # no databases
install_what_is_missing

exec cargo run --manifest-path "$root/Cargo.toml" --locked --quiet \
    --example extract --features testkit,webdriver -- "$@"
