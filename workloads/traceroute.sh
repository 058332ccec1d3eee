#!/bin/bash
# needs: NET_RAW
# flags: --cap-add NET_RAW
. /workloads/common

traceroute -I -m 1 -q 1 -w 1 127.0.0.1 >/dev/null
