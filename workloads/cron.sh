#!/bin/bash
# needs:
. /workloads/common

timeout 1 cron -f; [ $? = 124 ] || fail cron
