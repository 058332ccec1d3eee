#!/bin/bash
# needs: SYS_ADMIN
# flags: --cap-add SYS_ADMIN
# the default filter refuses sethostname before any check
. /workloads/common

hostname other && [ "$(hostname)" = other ]
