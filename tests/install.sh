# Installs what examples and tests need and do not find: Chromium, ChromeDriver, a C linker; for
# `install_what_is_missing databases` also PostgreSQL, MariaDB and PHP. Rust is left to its own installer: where
# it is missing or too old, it says what to run. To be sourced. Says nothing and changes nothing when all is
# there; prints on standard error, so that the output of the calling script stays its own.
# shellcheck shell=bash

# The first browser that runs. Ubuntu's own package is a stub that only says to install a snap, so
# a file of that name is not enough.
find_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if "$name" --version >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    return 1
}

# "ChromeDriver 156.0.8078.79 (...)" and "Chromium 156.0.8078.79 built on ..." give 156.
major_version() {
    "$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+){3}' | head -n 1 | cut -d . -f 1
}

# The directory of PostgreSQL's programs; Debian keeps `initdb` out of the path.
postgres_programs() {
    local found
    found=$(command -v initdb || find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] && dirname -- "$found"
}

# Debian keeps `mariadbd` in sbin.
mariadb_server() {
    PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mariadbd
}

# Prints the packages that are missing, one a line.
missing_packages() {
    local id=debian
    if [ -r /etc/os-release ]; then
        id=$(. /etc/os-release && printf '%s' "${ID:-debian}")
    fi
    if ! find_browser >/dev/null; then
        if [ "$id" = ubuntu ]; then echo chromium-browser; else echo chromium; fi
    fi
    if ! chromedriver --version >/dev/null 2>&1; then
        if [ "$id" = ubuntu ]; then echo chromium-chromedriver; else echo chromium-driver; fi
    fi
    if ! command -v cc >/dev/null; then
        echo gcc
        echo libc6-dev
    fi
    if [ "${1:-}" = databases ]; then
        if ! postgres_programs >/dev/null; then echo postgresql; fi
        # Without the service that the package mariadb-server starts.
        if ! mariadb_server >/dev/null; then echo mariadb-server-core; fi
        # `mariadb-install-db` calls it, and the package does not depend on it.
        if ! command -v my_print_defaults >/dev/null; then echo mariadb-client-core; fi
        # For their certificate.
        if ! command -v openssl >/dev/null; then echo openssl; fi
        # For the receiver in PHP of the guide.
        if ! command -v php >/dev/null; then echo php-cli; fi
        # For `promtool`, which has no package of its own.
        if ! command -v promtool >/dev/null; then echo prometheus; fi
    fi
}

give_up() {
    cat >&2 <<'HELP'
Please install them by hand:
  a C linker    for instance the package gcc or build-essential
  Chromium      or Chrome, and the ChromeDriver of the same version:
    Debian      apt-get install chromium chromium-driver
    Fedora      dnf install chromium chromedriver
    Arch        pacman -S chromium
    Ubuntu      its packages need snapd; without it, and elsewhere:
                https://googlechromelabs.github.io/chrome-for-testing/
  for the tests PostgreSQL, MariaDB, OpenSSL, PHP and promtool; no service needs to run:
    Debian      apt-get install postgresql mariadb-server-core mariadb-client-core openssl php-cli prometheus
    Fedora      dnf install postgresql-server mariadb-server openssl php-cli golang-github-prometheus
    Arch        pacman -S postgresql mariadb openssl php prometheus
HELP
    exit 1
}

# The `rust-version` of the manifest: the oldest compiler that will do.
oldest_rust() {
    local manifest
    manifest=$(dirname -- "${BASH_SOURCE[0]}")/../Cargo.toml
    sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$manifest"
}

# The compiler's version; nothing where none runs. In the crate's directory, since rustup chooses by
# directory.
rust_version() {
    (
        cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." &&
            cargo --version >/dev/null 2>&1 && rustc --version 2>/dev/null | cut -d ' ' -f 2
    ) || true
}

# Not done here: rustup changes the home directory and the shell's start files.
verify_rust() {
    local oldest found
    oldest=$(oldest_rust)
    found=$(rust_version)
    if [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$oldest" "${found%%-*}" | sort -V | head -n 1)" = "$oldest" ]; then
        return 0
    fi
    {
        echo "Rust $oldest or later is needed, ${found:-none} was found. Please run:"
        if command -v rustup >/dev/null; then
            echo "  rustup update stable && rustup default stable"
        elif [ -z "$found" ] && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
            echo "  . \"${CARGO_HOME:-$HOME/.cargo}/env\""
        else
            if ! command -v curl >/dev/null && command -v apt-get >/dev/null; then
                echo "  apt-get update && apt-get install -y curl ca-certificates    # as root"
            fi
            echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
            echo "  . \"${CARGO_HOME:-\$HOME/.cargo}/env\""
            echo "That is rustup, Rust's own installer (https://rustup.rs). Debian's package rustc is too old."
        fi
        echo "Then run this again."
    } >&2
    exit 1
}

install_what_is_missing() { # [databases]
    local -a packages as_root=()
    verify_rust
    mapfile -t packages < <(missing_packages "$@")
    if [ "${#packages[@]}" -gt 0 ]; then
        echo "Missing: ${packages[*]}" >&2
        command -v apt-get >/dev/null || give_up
        if [ "$(id -u)" -ne 0 ]; then
            if ! command -v sudo >/dev/null; then
                echo "Neither root nor sudo to install them." >&2
                give_up
            fi
            as_root=(sudo)
        fi
        # Through env, since sudo does not pass the caller's variables on. A machine that has just started
        # may be installing its own updates: apt-get waits for them.
        as_root+=(env DEBIAN_FRONTEND=noninteractive)
        echo "Installing: apt-get install --no-install-recommends ${packages[*]}" >&2
        if ! {
            "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq &&
                "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "${packages[@]}"
        } >&2; then
            echo "That did not work." >&2
            give_up
        fi
    fi
    verify_browser
    if [ "${1:-}" = databases ] && ! { postgres_programs && mariadb_server; } >/dev/null; then
        echo "No PostgreSQL (\`initdb\`) or no MariaDB (\`mariadbd\`) was found." >&2
        give_up
    fi
}

# Packages may be stubs, and a driver of another version refuses the browser.
verify_browser() {
    local browser
    if ! browser=$(find_browser); then
        echo "No Chromium or Chrome that runs (\`chromium --version\` fails)." >&2
        give_up
    fi
    if ! chromedriver --version >/dev/null 2>&1; then
        echo "No ChromeDriver that runs (\`chromedriver --version\` fails)." >&2
        give_up
    fi
    if [ "$(major_version "$browser")" != "$(major_version chromedriver)" ]; then
        echo "ChromeDriver and browser differ in version:" >&2
        chromedriver --version >&2
        "$browser" --version >&2
        give_up
    fi
}
