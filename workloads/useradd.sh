#!/bin/bash
# needs: CHOWN
. /workloads/common

useradd -m carol && [ -d /home/carol ] && [ "$(stat -c %U /home/carol)" = carol ] || fail "no home"
