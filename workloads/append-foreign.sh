#!/bin/bash
# needs: DAC_OVERRIDE
. /workloads/common

echo x >>/home/alice/.secret
