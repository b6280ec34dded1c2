#!/usr/bin/env bash
# install-npm.sh SOURCE TARGET: the packages locked in SOURCE into TARGET, beside a copy of SOURCE's programs; packages only once.
set -euo pipefail
mkdir -p "$2"
for program in "$1"/*.mjs; do
    [ ! -e "$program" ] || cp "$program" "$2/"
done
stamp="$2/.installed-$(sha256sum "$1/package-lock.json" | cut -c1-16)"
[ -e "$stamp" ] && exit 0
rm -rf "$2/node_modules"
cp "$1/package.json" "$1/package-lock.json" "$2/"
(cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
touch "$stamp"
