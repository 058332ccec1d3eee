#!/bin/bash
# needs: NET_ADMIN
# flags: --cap-add NET_ADMIN
. /workloads/common

nft add table inet t && nft list tables | grep -q 'inet t'
