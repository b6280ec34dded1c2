#!/bin/bash
# Makes python/requirements-<minor>.txt anew from python/requirements.in, for every Python minor supported.
# A maintainer's tool: needs the package index; run it, read the diff, run ./test.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Local wheel folders would put hashes into the lock that no registry has.
unset PIP_FIND_LINKS UV_FIND_LINKS PYTHONPATH
/usr/bin/python3 -m venv "$work/tool"
PIP_FIND_LINKS='' "$work/tool/bin/pip" --disable-pip-version-check -q install uv
for minor in 3.11 3.13; do
    lock=$here/python/requirements-$minor.txt
    "$work/tool/bin/uv" pip compile -q --generate-hashes --only-binary :all: --python-version "$minor" \
        --python-platform x86_64-manylinux_2_34 --no-emit-index-url --no-header --no-annotate \
        "$here/python/requirements.in" -o "$work/lock"
    {
        echo "# Locked for Python $minor with the hashes of every file of a version; made by installer/lock-python.sh."
        echo "# Change requirements.in and make it anew; never edit by hand."
        cat "$work/lock"
    } >"$lock"
    echo "$lock: $(grep -c == "$lock") packages"
done
