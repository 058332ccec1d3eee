#!/bin/bash
# needs: CHOWN
. /workloads/common

touch /srv/x && chown 5:5 /srv/x
