# Shared by run.sh and test.sh (sourced): a clean environment for building, and the build itself.
export LC_ALL=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV

# build_preset PRESET ROOT DIR [TARGET...]: configures once, then builds; prints only what matters. The checkout may be
# moved or cloned anew: ccache then still hits, because paths are taken relative to it.
build_preset() {
    local preset=$1 root=$2 dir=$3 log
    shift 3
    export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
    mkdir -p "$dir"
    log=$dir/build.log
    if [ ! -f "$dir/build.ninja" ]; then
        (cd "$root" && cmake --preset "$preset" -B "$dir" -DPython3_EXECUTABLE=/usr/bin/python3 -DPYTHON_EXECUTABLE=/usr/bin/python3) >"$log" 2>&1 ||
            { tail -30 "$log" >&2; echo "configuring failed; whole log: $log" >&2; return 1; }
    fi
    ninja -C "$dir" "$@" >"$log" 2>&1 </dev/null ||
        { grep -E -A12 'FAILED|error|undefined reference' "$log" | head -60 >&2; echo "the build failed; whole log: $log" >&2; return 1; }
}

# default_env ROOT: where the Python environment goes. Sessions have a /tmp of their own, so an environment of a checkout
# below /tmp would not be seen by them.
default_env() {
    case "$1/" in
    /tmp/*) echo "/var/tmp/power-interpreter-$(id -u)/env-$(printf %s "$1" | sha256sum | cut -c1-12)" ;;
    *) echo "$1/.venv" ;;
    esac
}

# reachable_by_all DIR: true when any user may enter it and no session's own /tmp hides it.
reachable_by_all() {
    local at=$1
    case "$at/" in /tmp/*) return 1 ;; esac
    while [ "$at" != / ]; do
        [ -n "$(find "$at" -maxdepth 0 -perm -o=x)" ] || return 1
        at=$(dirname "$at")
    done
}
