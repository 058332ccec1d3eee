#!/bin/bash
# needs: FOWNER
# of a file of somebody else
. /workloads/common

setfacl -m u:33:r /home/alice/.profile && getfacl -p /home/alice/.profile | grep -q 'user:www-data:r'
