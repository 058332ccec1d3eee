#!/bin/bash
# needs: SETGID SETUID
. /workloads/common

memcached -u memcache -l 127.0.0.1 & pid=$!
wait_port 11211 || fail "does not listen"
printf 'version\r\nquit\r\n' | nc -w 2 127.0.0.1 11211 | grep -q VERSION || fail "no answer"
