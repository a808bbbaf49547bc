#!/bin/sh
# Install Debian packages when we may; otherwise say exactly what to install. Usage: apt-install.sh PACKAGE...
set -eu

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
    echo "Missing: $*" >&2
    echo "Install it, on Debian or Ubuntu with: sudo apt-get install --no-install-recommends $*" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends "$@"
