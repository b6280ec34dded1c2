#!/usr/bin/env bash
# Installs the locked tokenizer into the given folder, beside a copy of the bench; packages only once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cp "$here/tokens.mjs" "$1/"
stamp="$1/.installed-$(sha256sum "$here/package-lock.json" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
cp "$here/package.json" "$here/package-lock.json" "$1/"
(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
touch "$stamp"
