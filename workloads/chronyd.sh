#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
. /workloads/common

mkdir -p /run/chrony /var/lib/chrony; printf 'local stratum 10\nallow 127.0.0.1\nbindcmdaddress /\ncmdport 0\n' >/tmp/c.conf
chronyd -x -d -u _chrony -f /tmp/c.conf >/dev/null 2>&1 & pid=$!
ntp() { perl -MIO::Socket::INET -e 'my $s=IO::Socket::INET->new(PeerAddr=>"127.0.0.1",PeerPort=>123,Proto=>"udp") or exit 1; $s->send("\x23"."\0"x47); local $SIG{ALRM}=sub{exit 1}; alarm 1; $s->recv(my $r,48); exit(length $r==48?0:1)'; }
for _ in {1..30}; do ntp 2>/dev/null && ok=1 && break; [ -d /proc/$pid ] || break; sleep 0.1; done
[ -n "$ok" ] || fail "no answer"
