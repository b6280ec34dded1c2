#!/usr/bin/env bash
# Installs the locked conformance suite into the given folder, once. It needs Node 22: where the machine's is older, one
# comes along from npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
stamp="$1/.installed-$(sha256sum "$here/package-lock.json" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
cp "$here/package.json" "$here/package-lock.json" "$1/"
old=
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 22 ] && old=--omit=optional
(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error $old)
ln -sfn "$(ls "$1"/node_modules/node-linux-*/bin/node 2>/dev/null || command -v node)" "$1/node"
touch "$stamp"
