#!/usr/bin/env bash
# Runs three store processes beside an Eloquent process that updates the same rows of MariaDB, first by id, then by
# ranges, and prints the deadlocks of each: tests/eloquent.sh [SECONDS]. Fails if an event fails, if the server
# restarts, or if a deadlock is reported while Eloquent locks by id. Installs Debian's Eloquent if it is missing
# (half a minute).
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
if [ ! -e /usr/share/php/Illuminate/Database/autoload.php ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        php-cli php-mysql php-illuminate-database
fi
# shellcheck source-path=SCRIPTDIR source=servers.sh
. "$root/tests/servers.sh"
start_servers

# The printed figures must have this many lines like that: mode, count, pattern.
expect() {
    [ "$(grep -cE -- "$3" <<<"$printed")" -eq "$2" ] || {
        echo "beside Eloquent by $1: not $2 lines like '$3'" >&2
        exit 1
    }
}

for mode in id range; do
    printed=$(cargo bench --manifest-path "$root/Cargo.toml" --locked --quiet --all-features --profile dev \
        --bench store -- processes "${1:-30}" php "$root/tests/eloquent.php" "$mode")
    printf '%s\n' "$printed"
    expect "$mode" 3 '^[1-9][0-9]* applied, [0-9]+ refused, 0 failed;'
    expect "$mode" 1 '; the server has not restarted$'
    expect "$mode" 1 "^Eloquent by $mode: [1-9][0-9]* updates, "
    if [ "$mode" = id ]; then
        expect id 1 '^deadlocks: 0;'
        expect id 1 ' 0 deadlocks lost,'
    fi
done
