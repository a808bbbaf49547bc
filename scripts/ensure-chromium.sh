#!/bin/sh
# The browser tests drive Debian's own chromium, found on the PATH: playwright's download is not needed.
set -eu

command -v chromium > /dev/null || exec "$(dirname "$0")/apt-install.sh" chromium
