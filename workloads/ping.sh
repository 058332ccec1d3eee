#!/bin/bash
# needs: NET_RAW
# iputils with its file capability
. /workloads/common

ping -c 1 -W 2 127.0.0.1 >/dev/null
