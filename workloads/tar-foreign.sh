#!/bin/bash
# needs: CHOWN FOWNER
. /workloads/common

tar -xpf - -C /srv <<<"$(base64 -d <<<x 2>/dev/null)" 2>/dev/null; mkdir -p /tmp/t && cd /tmp/t && perl -e 'sub h{my($n,$m,$d)=@_;my $h=pack("a100a8a8a8a12a12a8a1a100a6a2a32a32a8a8a155x12",$n,sprintf("%07o",$m),sprintf("%07o",33),sprintf("%07o",33),sprintf("%011o",length $d),sprintf("%011o",1),"        ","0","","ustar","00","","","0000000","0000000","");my $s=unpack("%32C*",$h);substr($h,148,8)=sprintf("%06o\0 ",$s);$h.$d.("\0"x((512-length($d)%512)%512))} print h("a",0644,"one").h("b",04755,"two").("\0"x1024)' >/tmp/t.tar
tar --same-owner -xpf /tmp/t.tar -C /srv || fail tar
[ "$(stat -c %u:%a /srv/b)" = 33:4755 ] || fail "owner or mode"
