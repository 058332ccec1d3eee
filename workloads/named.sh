#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
. /workloads/common

mkdir -p /run/named; chmod 777 /run/named
named -f -u bind >/dev/null 2>&1 & pid=$!
for _ in {1..40}; do dig +time=1 +tries=1 @127.0.0.1 localhost | grep -q NOERROR && ok=1 && break; [ -d /proc/$pid ] || break; sleep 0.1; done
[ -n "$ok" ] || fail "no answer"
