#!/bin/bash
# needs: NET_RAW
# file capability
. /workloads/common

fping -c 1 127.0.0.1 >/dev/null 2>&1
