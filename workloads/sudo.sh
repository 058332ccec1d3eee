#!/bin/bash
# needs: SETGID SETUID
. /workloads/common

[ "$(sudo -u nobody id -un)" = nobody ] || fail "not nobody"
