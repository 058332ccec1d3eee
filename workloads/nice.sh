#!/bin/bash
# needs: SYS_NICE
# flags: --cap-add SYS_NICE
. /workloads/common

[ "$(nice -n -5 nice)" = -5 ] || fail nice
