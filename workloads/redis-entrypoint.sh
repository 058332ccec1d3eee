#!/bin/bash
# needs: CHOWN SETGID SETUID
# as the upstream image does
. /workloads/common

mkdir -p /srv/data && chown redis:redis /srv/data || fail chown
cd /srv/data
setpriv --reuid=redis --regid=redis --clear-groups redis-server --port 6379 --dir /srv/data --save "" >/dev/null & pid=$!
wait_port 6379 || fail "does not listen"
[ "$(redis-cli set k v)" = OK ] && [ "$(redis-cli get k)" = v ] || fail "set and get"
redis-cli save | grep -q OK && [ -s /srv/data/dump.rdb ] || fail save
[ "$(ps -o user= -p $pid)" = redis ] || fail "not user redis"
