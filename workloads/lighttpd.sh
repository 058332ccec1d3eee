#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
. /workloads/common

mkdir -p /run/lighttpd
lighttpd -D -f /etc/lighttpd/lighttpd.conf & pid=$!
wait_port 80 || fail "does not listen"
curl -s -o /dev/null http://127.0.0.1/ || fail "no answer"
ps -o user= -p $pid | grep -q www-data || fail "not www-data"
