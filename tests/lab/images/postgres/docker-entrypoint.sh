#!/usr/bin/env bash
# Makes the database cluster at the first start, then becomes the server.
# An initialisation that was cut short starts over: PG_VERSION, by which a finished one is
# known, is moved into place last.
set -euo pipefail

fail() { echo "docker-entrypoint.sh: $1" >&2; exit 1; }

read_password() {
    [[ -z ${POSTGRES_PASSWORD:-} || -z ${POSTGRES_PASSWORD_FILE:-} ]] \
        || fail "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE exclude each other"
    [[ -z ${POSTGRES_PASSWORD_FILE:-} ]] || POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
    [[ -n ${POSTGRES_PASSWORD:-} ]] || fail "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is needed"
}

initialise() {
    local user=${POSTGRES_USER:-postgres} new=$PGDATA/.new
    local database=${POSTGRES_DB:-$user}
    rm -rf "$new"
    initdb --pgdata="$new" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
    printf '\nhost all all all scram-sha-256\n' >> "$new/pg_hba.conf"
    printf "\nlisten_addresses = '*'\n" >> "$new/postgresql.conf"
    if [[ $database != postgres ]]; then
        printf 'CREATE DATABASE "%s"\n' "${database//\"/\"\"}" \
            | postgres --single -D "$new" postgres > /dev/null
    fi
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name .new ! -name lost+found -exec rm -rf {} +
    find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$new/PG_VERSION" "$PGDATA"
    rmdir "$new"
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
[[ ${1:-} == postgres ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
    # As the official image does: the file may be root's alone, so it is read before root is left.
    if [[ ! -s $PGDATA/PG_VERSION ]]; then
        read_password
        export POSTGRES_PASSWORD
        unset POSTGRES_PASSWORD_FILE
    fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    read_password
    initialise
fi
unset POSTGRES_PASSWORD
exec "$@"
