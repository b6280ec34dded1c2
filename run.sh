#!/bin/bash
# One command from a fresh Debian 12 or 13 to a running server:
#
#   ./run.sh [--no-install] [--no-build] [--demo] [FLAGS OF THE SERVER...]
#
# Installs what is missing (apt; Python stack into .venv from hash-locked files), builds, and becomes the server
# in the foreground: signals reach it directly, it stops cleanly on Ctrl-C or SIGTERM. Everything else on the
# command line goes to the server; --demo plays a workflow on real data against one of its own and checks it (--help lists its flags). When nothing changed, a start costs a fraction of a second.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
install=1
build=1
demo=
args=()
while [ $# -gt 0 ]; do
    case "$1" in
    --no-install) install= ;;
    --no-build) build= ;;
    --demo) demo=1 ;;
    *) args+=("$1") ;;
    esac
    shift
done
. "$root/installer/lib.sh"

dir=$root/build/release
env=${POWER_PYTHON_ENV:-$(default_env "$root")}
if [ -n "$install" ]; then
    "$root/installer/install-deps.sh" build runtime
    "$root/installer/build-python-env.sh" --dir "$env"
fi
[ -z "$build" ] || build_preset release "$root" "$dir" power-interpreter power-kernel power-init
cd "$root"
if [ -n "$demo" ]; then
    # A real workflow on public data, against a server of its own; every answer is checked.
    data=$root/build/demo-data
    [ -d "$data/vega_datasets" ] || "$env/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
        --require-hashes --target "$data" -r "$root/tests/demo/requirements.txt"
    exec /usr/bin/python3 "$root/tests/demo/demo.py" --server "$dir/bin/power-interpreter" --python-env "$env" \
        --data "$data/vega_datasets/_data" -- ${args[@]+"${args[@]}"}
fi
exec "$dir/bin/power-interpreter" --python-env "$env" ${args[@]+"${args[@]}"}
