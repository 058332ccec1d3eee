#!/bin/bash
# needs: CHOWN FOWNER
. /workloads/common

rsync -a /home/alice/ /tmp/r/ && [ "$(stat -c %U /tmp/r/.bashrc)" = alice ] || fail owner
