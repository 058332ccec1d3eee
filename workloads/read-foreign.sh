#!/bin/bash
# needs: DAC_OVERRIDE
# or: DAC_READ_SEARCH
# to read, DAC_READ_SEARCH would do as well
. /workloads/common

cat /home/alice/.secret >/dev/null
