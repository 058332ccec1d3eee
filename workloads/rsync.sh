#!/bin/bash
# needs: CHOWN DAC_OVERRIDE FOWNER
. /workloads/common

rsync -a /home/alice/ /tmp/r/ && [ "$(stat -c %U /tmp/r/.bashrc)" = alice ] || fail owner
