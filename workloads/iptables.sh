#!/bin/bash
# needs: NET_ADMIN
# flags: --cap-add NET_ADMIN
. /workloads/common

iptables-legacy -A INPUT -p tcp --dport 99 -j DROP 2>/dev/null || iptables -A INPUT -p tcp --dport 99 -j DROP
