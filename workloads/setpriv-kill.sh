#!/bin/bash
# needs: KILL SETGID SETUID
. /workloads/common

setpriv --reuid=33 --regid=33 --clear-groups sleep 50 & pid=$!
for _ in {1..50}; do [ "$(ps -o uid= -p $pid | tr -d ' ')" = 33 ] && break; sleep 0.02; done
kill $pid || fail kill
