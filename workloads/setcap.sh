#!/bin/bash
# needs: SETFCAP
. /workloads/common

cp /bin/true /tmp/t && setcap cap_net_raw+ep /tmp/t && getcap /tmp/t | grep -q net_raw
