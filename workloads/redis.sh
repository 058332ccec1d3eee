#!/bin/bash
# needs:
. /workloads/common

cd /tmp; redis-server --port 6379 --save '' >/dev/null & pid=$!
wait_port 6379 || fail 'does not listen'
[ "$(redis-cli set k v)" = OK ] || fail set
