#!/bin/bash
# needs:
# nothing at all
. /workloads/common

true
