#!/bin/bash
# needs: NET_BIND_SERVICE SETGID SETUID
# passes as root when setuid is refused: only the posture tells
. /workloads/common

. /etc/apache2/envvars
mkdir -p $APACHE_RUN_DIR $APACHE_LOCK_DIR
apache2 -D FOREGROUND & pid=$!
wait_port 80 || fail "does not listen"
curl -sf http://127.0.0.1/ >/dev/null || fail "no page"
