#!/usr/bin/env bash
# install-python.sh SOURCE TARGET: the packages locked in SOURCE/requirements.txt as a venv TARGET; does nothing when it is there.
set -euo pipefail
stamp="$2/.installed-$(sha256sum "$1/requirements.txt" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
rm -rf "$2"
/usr/bin/python3 -m venv "$2"
"$2/bin/pip" install -q --disable-pip-version-check --require-hashes -r "$1/requirements.txt"
touch "$stamp"
