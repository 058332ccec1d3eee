#!/bin/bash
# needs:
. /workloads/common

install -d -m 2755 /srv/d && [ -d /srv/d ]
