#!/bin/bash
# needs: NET_RAW SETGID SETUID
# passes without SETGID and SETUID too, as root
# flags: --cap-add NET_RAW
. /workloads/common

timeout 5 arping -c 1 -w 1 -I lo 127.0.0.1 >/dev/null 2>&1; [ $? -ne 2 ] && [ $? -ne 126 ] || fail arping; python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'
