#!/usr/bin/env bash
# Runs three store processes beside an Eloquent process that updates the same rows of MariaDB, first by id, then by
# ranges, and prints the deadlocks of each: tests/eloquent.sh [SECONDS]. Installs Debian's Eloquent if it is
# missing (half a minute).
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
if [ ! -e /usr/share/php/Illuminate/Database/autoload.php ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        php-cli php-mysql php-illuminate-database
fi
# shellcheck source-path=SCRIPTDIR source=servers.sh
. "$root/tests/servers.sh"
start_servers
for mode in id range; do
    cargo bench --manifest-path "$root/Cargo.toml" --locked --quiet --all-features --profile dev \
        --bench store -- crowd "${1:-30}" php "$root/tests/eloquent.php" "$mode"
done
