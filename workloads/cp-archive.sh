#!/bin/bash
# needs: CHOWN FOWNER
. /workloads/common

mkdir -p /tmp/s; cp -a /home/alice/. /tmp/s/ && [ "$(stat -c %U /tmp/s/.bashrc)" = alice ] || fail owner
