#!/bin/bash
# Builds the virtual environment that sessions run on, for one system Python.
#
#   build-python-env.sh [--python /usr/bin/python3] [--dir DIR] [--mpl-cache DIR] [--retry]
#
#   --python     the interpreter power-kernel embeds; never whichever python3 is first on PATH
#   --dir        where the environment goes (default: .venv of the repository)
#   --mpl-cache  matplotlib's configuration directory, filled here (default: DIR/share/matplotlib)
#   --retry      try the package index again when the environment stands on Debian's packages
#
# Every file is checked against the hashes in python/requirements-<minor>.txt. When the package index
# cannot be reached the environment is made from Debian's Python packages, and what is missing is
# printed and kept in DIR/missing-libraries. Idempotent: an environment built from the same lock, for the
# same interpreter, is left alone at once. Exit code 0 = the environment can be used.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=/usr/bin/python3
dir=$(dirname "$here")/.venv
mpl_cache=
retry=
while [ $# -gt 0 ]; do
    case "$1" in
    --python) python=$2; shift 2 ;;
    --dir) dir=$2; shift 2 ;;
    --mpl-cache) mpl_cache=$2; shift 2 ;;
    --retry) retry=1; shift ;;
    *) echo "build-python-env.sh: unknown option $1" >&2; exit 2 ;;
    esac
done
mpl_cache=${mpl_cache:-$dir/share/matplotlib}
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV MPLBACKEND

say() { echo "python-env: $*"; }
fail() { echo "python-env: $*" >&2; exit 1; }

[ -x "$python" ] || fail "$python is not there; run installer/install-deps.sh first"
version=$("$python" -I -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
lock=$here/python/requirements-${version%.*}.txt
[ -f "$lock" ] || fail "no lock file for Python ${version%.*} (there are: $(cd "$here/python" && ls requirements-3*.txt | tr '\n' ' '))"

# What the environment depends on; the digit is this script's recipe.
want="3 $python $version $(grep -hv "^#" "$lock" "$here/python/matplotlibrc" "$here/python/imports.txt" | sha256sum | cut -d' ' -f1)"
fonts=$(stat -c '%n %Y' /usr/share/fonts /usr/share/fonts/*/* 2>/dev/null | sha256sum | cut -d' ' -f1)

imports() { awk '!/^#/ && NF { print $1 }' "$here/python/imports.txt"; }

missing_libraries() {
    imports | MPLBACKEND=Agg MPLCONFIGDIR=$mpl_cache "$dir/bin/python" -I -W ignore -c '
import importlib, sys
for name in sys.stdin.read().split():
    try:
        importlib.import_module(name)
    except Exception as e:
        print(name, "" if isinstance(e, ModuleNotFoundError) and e.name == name else "(%s: %s)" % (type(e).__name__, e))
'
}

# The lock's files, and nothing else, from whatever index pip is configured with. Five minutes for a stalled
# index are enough: the rest of the machine still gets its environment from Debian.
install_locked() {
    local log=$1
    rm -rf "$dir"
    "$python" -m venv "$dir"
    "$dir/bin/python" -I -m pip install --require-hashes --no-deps --only-binary :all: --no-compile \
        --no-input --disable-pip-version-check --progress-bar off --retries 2 --timeout 20 \
        -r "$lock" >"$log" 2>&1
}

# Errors of the network mean "no index here"; anything else is a fault that must be seen.
network_failed() {
    ! grep -qE 'DO NOT MATCH THE HASHES|No space left|Permission denied' "$1" &&
        grep -qE 'Connection|Retrying|timed out|Timeout|Temporary failure|Name or service|Network is unreachable|No matching distribution|Could not find a version|SSLError|ProxyError|HTTP error' "$1"
}

install_from_debian() {
    local available=() package
    for package in $(awk '!/^#/ && $2 != "-" { print $2 }' "$here/python/imports.txt"); do
        if apt-cache show "$package" >/dev/null 2>&1; then available+=("$package"); fi
    done
    say "the package index cannot be reached; using ${#available[@]} Python packages of Debian"
    "$here/install-deps.sh" --packages "${available[@]}"
    rm -rf "$dir"
    "$python" -m venv --system-site-packages "$dir"
}

warm_fonts() {
    [ -f "$mpl_cache/stamp" ] && [ "$(cat "$mpl_cache/stamp")" = "$want $fonts" ] && return
    mkdir -p "$mpl_cache"
    rm -f "$mpl_cache"/fontlist*.json
    cp "$here/python/matplotlibrc" "$mpl_cache/matplotlibrc"
    MPLBACKEND=Agg MPLCONFIGDIR=$mpl_cache "$dir/bin/python" -I -W ignore -c 'import matplotlib.font_manager' >/dev/null
    chmod -R a+rX "$mpl_cache"
    echo "$want $fonts" >"$mpl_cache/stamp"
}

report_missing() {
    [ -s "$dir/missing-libraries" ] || return 0
    say "WITHOUT THESE LIBRARIES (the package index could not be reached; later: installer/build-python-env.sh --retry):"
    sed 's/^/python-env:   /' "$dir/missing-libraries"
}

mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9

have=$(cat "$dir/stamp" 2>/dev/null || true)
if [ "$have" = "locked $want" ] || { [ "$have" = "debian $want" ] && [ -z "$retry" ]; }; then
    warm_fonts
    report_missing
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing $(grep -c '==' "$lock") locked packages for $python ($version) into $dir"
if install_locked "$log"; then
    kind=locked
elif network_failed "$log"; then
    grep -E 'ERROR|WARNING' "$log" | tail -2 | cut -c1-300 || true
    kind=debian
    install_from_debian
else
    tail -20 "$log" >&2
    fail "pip failed; nothing can run without its environment"
fi
"$dir/bin/python" -I -m compileall -q -j 0 "$dir/lib" >/dev/null || true
warm_fonts
missing_libraries >"$dir/missing-libraries"
[ "$kind" = debian ] || [ ! -s "$dir/missing-libraries" ] || {
    cat "$dir/missing-libraries" >&2
    fail "the locked packages are installed but these do not import"
}
report_missing
chmod -R a+rX "$dir"
echo "$kind $want" >"$dir/stamp"
say "ready: $dir ($(du -sm "$dir" | cut -f1) MB)"
