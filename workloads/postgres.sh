#!/bin/bash
# needs: CHOWN FOWNER SETGID SETUID
# entrypoint style: initdb, server, query
. /workloads/common

bin=$(ls -d /usr/lib/postgresql/*/bin)
mkdir -p /srv/pg /run/postgresql && chown postgres:postgres /srv/pg /run/postgresql && chmod 700 /srv/pg || fail "data directory"
as="setpriv --reuid=postgres --regid=postgres --clear-groups"
$as $bin/initdb -D /srv/pg --no-sync >/dev/null || fail initdb
$as $bin/postgres -D /srv/pg >/dev/null 2>&1 & pid=$!
wait_port 5432 || fail "does not listen"
[ "$($as psql -h 127.0.0.1 -Atc 'select 6*7' postgres)" = 42 ] || fail query
