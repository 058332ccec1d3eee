#!/bin/bash
# needs: CHOWN SETGID SETUID
# installs with SETGID and SETUID alone, but then downloads as root instead of _apt
. /workloads/common

mkdir -p /tmp/d/DEBIAN
printf 'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n' >/tmp/d/DEBIAN/control
dpkg-deb --root-owner-group -b /tmp/d /tmp/x.deb >/dev/null || fail build
apt-get install -y /tmp/x.deb >/dev/null 2>&1 || fail install
dpkg -s x >/dev/null
