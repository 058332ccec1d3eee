#!/bin/bash
# needs: CHOWN DAC_OVERRIDE FOWNER
. /workloads/common

mkdir -p /tmp/s; cp -a /home/alice/. /tmp/s/ && [ "$(stat -c %U /tmp/s/.bashrc)" = alice ] || fail owner
