#!/bin/bash
# needs: MKNOD
# flags: --cap-add MKNOD
. /workloads/common

mknod /tmp/null c 1 3
