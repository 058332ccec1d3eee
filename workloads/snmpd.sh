#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
. /workloads/common

snmpd -f -Lf /dev/null -C --rocommunity=public -u Debian-snmp -g Debian-snmp -p /tmp/s.pid udp:127.0.0.1:161 2>/dev/null & pid=$!
for _ in {1..40}; do grep -q ':00A1 ' /proc/net/udp && ok=1 && break; [ -d /proc/$pid ] || break; sleep 0.1; done
[ -n "$ok" ] || fail "not bound"
[ "$(ps -o user= -p $pid)" = Debian-+ ] || [ "$(ps -o uid= -p $pid | tr -d ' ')" != 0 ] || fail "is root"
