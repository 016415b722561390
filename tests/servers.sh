# Throwaway database servers for the tests, in a directory of their own and on free ports; they end with
# the script that sources this and calls `start_servers`, by the trap that it sets on EXIT. Their URLs are
# exported as WHATSAPP_PHONE_TEST_POSTGRES, WHATSAPP_PHONE_TEST_MYSQL and WHATSAPP_PHONE_TEST_MYSQL_ZONED (a
# MariaDB at +07:00 that says it is MySQL 8.0); where those are set already, those servers are used. WHATSAPP_PHONE_TEST_CERTIFICATE names the file of their certificate, for TLS.
# Neither server runs as root, so root gives them to `nobody`.
# shellcheck shell=bash

# shellcheck source-path=SCRIPTDIR source=install.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/install.sh"

servers_directory=
servers_pids=()

postgres_version() { "$(postgres_programs)/postgres" --version | cut -d ' ' -f 1-3; }

mariadb_version() { "$(mariadb_server)" --version | grep -oE '[0-9.]+-MariaDB' | head -n 1; }

as_no_root() {
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups -- "$@"
    fi
    exec "$@"
}

# A certificate for 127.0.0.1 that vouches for itself, with its key.
make_certificate() {
    cat >"$servers_directory/openssl.cnf" <<'CONFIG'
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = 127.0.0.1
[extensions]
subjectAltName = IP:127.0.0.1
CONFIG
    (as_no_root openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2 \
        -config "$servers_directory/openssl.cnf" -keyout "$servers_directory/key.pem" \
        -out "$servers_directory/certificate.pem")
}

# Runs a program that makes a database, as no root, and shows what it said if it fails: name, log, program.
make_database() {
    local name=$1 log=$2
    if (as_no_root "${@:3}") >"$log" 2>&1; then return 0; fi
    echo "$name could not make its database. The end of its log:" >&2
    tail -n 20 -- "$log" >&2
    return 1
}

# Starts a program on ports chosen by chance until it is ready on one: name, log, then a function that
# starts it on a port and one that asks whether it is ready there. Sets `port`. A program that ends gets
# another port; one that is not ready after two minutes is given up.
start_on_a_free_port() {
    local name=$1 log=$2 start=$3 is_ready=$4 pid limit
    for _ in {1..10}; do
        port=$((20000 + RANDOM % 20000))
        "$start" "$port" >"$log" 2>&1 &
        pid=$!
        limit=$((SECONDS + 120))
        while kill -0 "$pid" 2>/dev/null; do
            if "$is_ready" >/dev/null 2>&1; then
                servers_pids+=("$pid")
                return 0
            fi
            if [ "$SECONDS" -ge "$limit" ]; then
                kill -KILL "$pid" 2>/dev/null || true
                echo "$name was not ready after two minutes. The end of its log:" >&2
                tail -n 20 -- "$log" >&2
                return 1
            fi
            sleep 0.1
        done
    done
    echo "$name ended ten times before it was ready. The end of its log:" >&2
    tail -n 20 -- "$log" >&2
    return 1
}

start_postgres() {
    as_no_root "$programs/postgres" -D "$servers_directory/postgres" -p "$1" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 -c ssl=on \
        -c ssl_cert_file="$servers_directory/certificate.pem" -c ssl_key_file="$servers_directory/key.pem"
}

# As it says in its own directory, so that no other server is taken for it.
is_postgres_ready() { grep -q '^ready' "$servers_directory/postgres/postmaster.pid"; }

# A starting server deletes the temporary tables of others in its `tmpdir`, which then fail or crash: each has its own.
start_mariadb() {
    as_no_root "$mariadbd" --no-defaults --datadir="$mariadb" --tmpdir="$mariadb.tmp" --port="$1" \
        --bind-address=127.0.0.1 --socket="$mariadb.sock" --skip-name-resolve \
        --pid-file="$mariadb.pid" --init-file="$servers_directory/users.sql" \
        --max-connections=500 --ssl-cert="$servers_directory/certificate.pem" \
        --ssl-key="$servers_directory/key.pem" "${mariadb_options[@]}"
}

is_mariadb_ready() { grep -q 'ready for connections' "$mariadb.log"; }

# Makes and starts a server: its name, its options. Sets `port`.
make_mariadb() {
    local mariadb=$servers_directory/$1 mariadb_options=("${@:2}")
    make_database MariaDB "$mariadb.install.log" mariadb-install-db --no-defaults \
        --datadir="$mariadb" --skip-test-db --auth-root-authentication-method=normal
    (as_no_root mkdir "$mariadb.tmp")
    start_on_a_free_port MariaDB "$mariadb.log" start_mariadb is_mariadb_ready
}

stop_servers() {
    local pid
    # PostgreSQL takes INT for a quick end, MariaDB ends on TERM.
    for pid in "${servers_pids[@]}"; do
        kill -INT "$pid" 2>/dev/null || true
        kill -TERM "$pid" 2>/dev/null || true
    done
    for pid in "${servers_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    servers_pids=()
    if [ -n "$servers_directory" ]; then rm -rf -- "$servers_directory"; fi
}

start_servers() {
    local programs mariadbd port
    servers_directory=$(mktemp -d /tmp/servers.XXXXXX)
    trap stop_servers EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$(id -u)" -eq 0 ]; then chown nobody "$servers_directory"; fi
    make_certificate 2>"$servers_directory/openssl.log" || { cat "$servers_directory/openssl.log" >&2; return 1; }
    export WHATSAPP_PHONE_TEST_CERTIFICATE=${WHATSAPP_PHONE_TEST_CERTIFICATE:-$servers_directory/certificate.pem}

    if [ -z "${WHATSAPP_PHONE_TEST_POSTGRES:-}" ]; then
        programs=$(postgres_programs)
        make_database PostgreSQL "$servers_directory/initdb.log" "$programs/initdb" --pgdata "$servers_directory/postgres" \
            --username tests --auth trust --encoding UTF8 --locale C --no-sync
        start_on_a_free_port PostgreSQL "$servers_directory/postgres.log" start_postgres is_postgres_ready
        export WHATSAPP_PHONE_TEST_POSTGRES=postgres://tests@127.0.0.1:$port/postgres
    fi
    mariadbd=$(mariadb_server)
    printf '%s\n' "CREATE USER IF NOT EXISTS tests@'%', tests@localhost;" \
        "GRANT ALL ON *.* TO tests@'%', tests@localhost WITH GRANT OPTION;" >"$servers_directory/users.sql"
    if [ -z "${WHATSAPP_PHONE_TEST_MYSQL:-}" ]; then
        make_mariadb mariadb
        export WHATSAPP_PHONE_TEST_MYSQL=mysql://tests@127.0.0.1:$port
    fi
    if [ -z "${WHATSAPP_PHONE_TEST_MYSQL_ZONED:-}" ]; then
        make_mariadb zoned --version=8.0.36 --default-time-zone=+07:00
        export WHATSAPP_PHONE_TEST_MYSQL_ZONED=mysql://tests@127.0.0.1:$port
    fi
}
