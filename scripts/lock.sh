#!/bin/sh
# Write constraints.txt: every package that the two requirement files bring along, at the version that installs today.
# Resolved in a venv of its own, so that nothing from a developer's .venv leaks in.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for file in requirements.txt requirements-dev.txt; do
    grep -v '^-c ' "$file" > "$scratch/$file"
done

"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet -r "$scratch/requirements.txt" -r "$scratch/requirements-dev.txt"
"$scratch/venv/bin/pip" check
{
    echo '# Made by make lock, do not edit: every package of requirements.txt and requirements-dev.txt, with all they bring.'
    "$scratch/venv/bin/pip" freeze
} > constraints.txt
