#!/bin/sh
# Make .venv with the first Python that is new enough: $PYTHON, python3, or python3.11 and later.
set -eu
cd "$(dirname "$0")/.."

for python in ${PYTHON:-python3 python3.11 python3.12 python3.13}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "Phasegate needs Python 3.11 or newer; tried: ${PYTHON:-python3 python3.11 python3.12 python3.13}." >&2
    echo "Install one and name it: make install PYTHON=/path/to/python3.11" >&2
    exit 1
fi

# Debian and Ubuntu ship Python without the module that puts pip into a venv.
if ! "$found" -c 'import ensurepip' 2> /dev/null; then
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    scripts/apt-install.sh "python$version-venv"
fi
exec "$found" -m venv .venv
