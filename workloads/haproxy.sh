#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID SYS_CHROOT
. /workloads/common

cat >/tmp/h.cfg <<C
global
  chroot /var/lib/haproxy
  user haproxy
  group haproxy
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f
  bind :80
  http-request return status 200 content-type text/plain string ok
C
haproxy -W -db -f /tmp/h.cfg & pid=$!
wait_port 80 || fail "does not listen"
curl -sf http://127.0.0.1/ | grep -q ok || fail "no answer"
