#!/usr/bin/env bash
# Installs the locked Python SDK into the given folder; does nothing when it is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
stamp="$1/.installed-$(sha256sum "$here/requirements.txt" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
rm -rf "$1"
/usr/bin/python3 -m venv "$1"
"$1/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$here/requirements.txt"
touch "$stamp"
