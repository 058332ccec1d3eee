#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID SYS_CHROOT
# key login of a user and of root
. /workloads/common

mkdir -p /run/sshd
/usr/sbin/sshd -D -e 2>/dev/null & pid=$!
wait_port 22 || fail "does not listen"
login="timeout 8 ssh -i /etc/ssh/test_key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
[ "$($login alice@127.0.0.1 id -un)" = alice ] || fail "login of alice"
[ "$($login root@127.0.0.1 id -un)" = root ] || fail "login of root"
