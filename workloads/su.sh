#!/bin/bash
# needs: SETGID SETUID
. /workloads/common

[ "$(su -s /bin/sh -c "id -un" nobody)" = nobody ] || fail "not nobody"
