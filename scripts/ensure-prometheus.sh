#!/bin/sh
# Tests and the demo scrape with a real Prometheus: Debian's, found on the PATH, and not the service it would start.
set -eu

command -v prometheus > /dev/null && command -v promtool > /dev/null || exec "$(dirname "$0")/apt-install.sh" prometheus
