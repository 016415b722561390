#!/usr/bin/env bash
# Runs the test programs that start real processes N times over and prints the figures:
#
#     tests/soak.sh N [SUMMARY_FILE [PROGRAM...]]
#
# All of them, unless some are named; `store:keeps_the_contract` are the tests of a program with that in
# their names.
#
# Exit status 1 if any run failed, or if the runs left a file or a process behind. The output of
# failed runs is kept in target/soak/. Four tests run at a time unless RUST_TEST_THREADS says otherwise.
set -euo pipefail

targets=(driver_process webdriver scenarios situations standin contract attach cdp cdp_cost chrome_process push faults bounds grid start addresses doctor supervisor_browsers onboard service store kill delivery receiver server webhook)

if ! [[ "${1:-}" =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: tests/soak.sh N [SUMMARY_FILE [PROGRAM...]]" >&2
    exit 2
fi
rounds=$1
if [ $# -gt 2 ]; then targets=("${@:3}"); fi
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
summary=${2:-/dev/null}

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source-path=SCRIPTDIR source=install.sh
. "$root/tests/install.sh"
install_what_is_missing databases

build=(cargo test --manifest-path "$root/Cargo.toml" --locked --all-features)
for target in "${targets[@]}"; do build+=(--test "${target%%:*}"); done
"${build[@]}" --quiet --no-run

logs=${CARGO_TARGET_DIR:-$root/target}/soak
rm -rf -- "$logs"
mkdir -p -- "$logs"

# All temporary files of the runs go here, so whatever is left in it was left by them. The name is
# short because the browser puts sockets there, whose paths are limited.
scratch=$(mktemp -d /tmp/soak.XXXXXX)
# shellcheck source-path=SCRIPTDIR source=servers.sh
. "$root/tests/servers.sh"
start_servers
trap 'rm -rf -- "$scratch"; stop_servers' EXIT

run() {
    local names=${1#"${1%%:*}"}
    TMPDIR=$scratch cargo test --manifest-path "$root/Cargo.toml" --locked --all-features --quiet \
        --test "${1%%:*}" ${names:+"${names#:}"} -- --nocapture
}

failed=0
for ((round = 1; round <= rounds; round++)); do
    for target in "${targets[@]}"; do
        log=$logs/$target.$round.log
        start=${EPOCHREALTIME/[.,]/}
        if run "$target" >"$log" 2>&1; then
            outcome=passed
        else
            outcome=failed
            failed=$((failed + 1))
        fi
        # Of failed runs too: what was too late must not go missing here.
        grep -oE 'deadline overrun: [0-9.]+ ms' "$log" >>"$logs/overruns" || true
        grep -oE 'killed at [0-9]+ moments.*' "$log" >>"$logs/kills" || true
        if [ "$outcome" = passed ]; then rm -- "$log"; fi
        micros=$((${EPOCHREALTIME/[.,]/} - start))
        echo "$outcome $micros" >>"$logs/$target.times"
        printf 'round %d of %d: %-24s %s\n' "$round" "$rounds" "$target" "$outcome" >&2
    done
done

# Counts the processes that still have our directory in their environment. Crash handlers outlive their browser by a
# moment, on a busy machine by some seconds.
processes_left() {
    local environment count=0
    for environment in /proc/[0-9]*/environ; do
        if grep -qzE "^TMPDIR=$scratch(/|$)" "$environment" 2>/dev/null; then count=$((count + 1)); fi
    done
    echo "$count"
}
for _ in {1..600}; do
    processes=$(processes_left)
    files=$(find "$scratch" -mindepth 1 -maxdepth 1 | wc -l)
    if [ "$processes" -eq 0 ] && [ "$files" -eq 0 ]; then break; fi
    sleep 0.1
done

# Reads "passed|failed microseconds" lines; prints one row of the table.
row() {
    sort -k 2 -n -- "$logs/$1.times" | awk -v name="$1" '
        { seconds[NR] = $2 / 1e6; count[$1]++ }
        END {
            middle = NR % 2 ? seconds[(NR + 1) / 2] : (seconds[NR / 2] + seconds[NR / 2 + 1]) / 2
            printf "%-24s %6d %7d %7d %8.2f %8.2f %8.2f\n",
                name, NR, count["passed"], count["failed"], seconds[1], middle, seconds[NR]
        }'
}

# Reads "deadline overrun: X ms" lines; prints the worst and how many there were.
worst_overrun() {
    awk '
        $3 + 0 > worst { worst = $3 + 0 }
        END {
            if (NR) printf "worst deadline overrun: %.1f ms (%d deadlines)\n", worst, NR
            else print "worst deadline overrun: none was measured"
        }' "$logs/overruns"
}

{
    printf 'date      %s\n' "$(date -u +%Y-%m-%dT%H:%MZ)"
    printf 'machine   %s, %s processors\n' "$(uname -sm)" "$(nproc)"
    printf 'threads   %s\n' "$RUST_TEST_THREADS"
    printf 'browser   %s\n' "$("$(find_browser)" --version 2>/dev/null)"
    printf 'driver    %s\n' "$(chromedriver --version | cut -d ' ' -f 1-2)"
    printf 'databases %s, %s\n' "$(postgres_version)" "$(mariadb_version)"
    printf 'compiler  %s\n\n' "$(rustc --version)"
    printf '%-24s %6s %7s %7s %8s %8s %8s\n' target runs passed failed 'min s' 'median s' 'max s'
    for target in "${targets[@]}"; do row "$target"; done
    printf '\n'
    worst_overrun
    if [ -s "$logs/kills" ]; then
        printf 'killed moments: '
        awk '{ moments += $3; for (i = 4; i <= NF; i++) if ($i ~ /^(missing|twice)=/) { split($i, of, "="); sum[of[1]] += of[2] } }
            END { printf "%d, %d events missing, %d applied twice\n", moments, sum["missing"], sum["twice"] }' "$logs/kills"
    fi
    printf 'left behind: %d processes, %d files\n' "$processes" "$files"
} | tee -- "$summary"

[ "$failed" -eq 0 ] && [ "$processes" -eq 0 ] && [ "$files" -eq 0 ]
