#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
# not monotone: grows past a set that is stuck
. /workloads/common

dnsmasq --keep-in-foreground --log-facility=- --no-resolv --no-hosts --user=dnsmasq --group=nogroup --address=/peer.test/10.9.8.7 --pid-file=/tmp/d.pid 2>/dev/null & pid=$!
for _ in {1..30}; do a=$(dig +short +time=1 +tries=1 @127.0.0.1 www.peer.test 2>/dev/null); [ "$a" = 10.9.8.7 ] && break; [ -d /proc/$pid ] || break; sleep 0.1; done
[ "$a" = 10.9.8.7 ] || fail "no answer"
[ "$(ps -o user= -p $pid)" = dnsmasq ] || fail "not user dnsmasq"
