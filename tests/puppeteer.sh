#!/usr/bin/env bash
# Reads a page that a real Puppeteer drives, and fails if Puppeteer gets an event, or the page keeps a trace, that
# it would not without this crate: tests/puppeteer.sh [RUNS]. Installs puppeteer-core below target/ by npm.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
command -v npm >/dev/null || { echo "npm is missing: apt-get install npm" >&2; exit 1; }
place=${CARGO_TARGET_DIR:-$root/target}/puppeteer
mkdir -p -- "$place"
cp -- "$root/benches/lag/puppeteer.mjs" "$place/"
[ -d "$place/node_modules/puppeteer-core" ] ||
    npm install --prefix "$place" --silent --no-audit --no-fund puppeteer-core@25
runs=${1:-10}
# So many runs are for figures, which a program without optimisation would distort.
profile=$([ "$runs" -ge 20 ] && echo bench || echo dev)
exec cargo bench --manifest-path "$root/Cargo.toml" --locked --quiet --features testkit,cdp --profile "$profile" \
    --bench lag -- --runs "$runs" --spread 3s --puppeteer "$place/puppeteer.mjs"
