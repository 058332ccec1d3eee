#!/bin/bash
# needs: NET_ADMIN
# flags: --cap-add NET_ADMIN
# netlink refuses in its answer, not in the system call
. /workloads/common

ip link add v0 type veth peer name v1 && ip addr add 10.1.1.1/24 dev v0 && ip link set v0 up
