#!/bin/bash
# needs: SYS_ADMIN
# flags: --cap-add SYS_ADMIN
. /workloads/common

mkdir -p /mnt/t && mount -t tmpfs none /mnt/t && findmnt /mnt/t >/dev/null
