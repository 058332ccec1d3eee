#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID SYS_CHROOT
# anonymous, with its empty directory
. /workloads/common

mkdir -p /var/run/vsftpd/empty /srv/ftp; printf 'listen=YES\nanonymous_enable=YES\nsecure_chroot_dir=/var/run/vsftpd/empty\nseccomp_sandbox=NO\nbackground=NO\nisolate_network=NO\nisolate=NO\n' >/tmp/v.conf
vsftpd /tmp/v.conf & pid=$!
wait_port 21 || fail "does not listen"
curl -sf --max-time 5 ftp://127.0.0.1/ >/dev/null || fail "no listing"
