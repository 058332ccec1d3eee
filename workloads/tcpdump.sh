#!/bin/bash
# needs: CHOWN NET_RAW SETGID SETUID
. /workloads/common

mkdir -p /srv/cap; tcpdump -Z tcpdump -i lo -U -c 1 -w /srv/cap/x.pcap udp port 9999 2>/tmp/e & pid=$!
for _ in {1..40}; do [ -d /proc/$pid ] || break; echo x >/dev/udp/127.0.0.1/9999; sleep 0.05; done
wait $pid || fail "$(grep -v listening /tmp/e | head -2)"
[ -s /srv/cap/x.pcap ] || fail "nothing captured"
[ "$(stat -c %U /srv/cap/x.pcap)" = tcpdump ] || fail "file is not tcpdump's"
