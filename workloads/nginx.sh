#!/bin/bash
# needs: CHOWN DAC_OVERRIDE NET_BIND_SERVICE SETGID SETUID
# Debian's configuration: master root, workers www-data
. /workloads/common

echo "hello-$$" >/var/www/html/t.html || fail docroot
nginx -g 'daemon off;' & pid=$!
wait_port 80 || fail "does not listen"
curl -sf http://127.0.0.1/t.html | grep -q "hello-$$" || fail "no page"
ps -o user= -C nginx | grep -q www-data || fail "no worker of www-data"
