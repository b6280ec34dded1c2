#!/bin/bash
# Installs what the project needs from Debian (12 or 13), as root or with sudo, without a terminal or questions.
#
#   install-deps.sh [build] [runtime] [test] [office] [full]   the named groups (default: build runtime)
#   install-deps.sh --packages NAME...                  just these packages
#   install-deps.sh --list [GROUP...]                   print the packages and stop
#   install-deps.sh --libraries-of PROGRAM...           print the packages of the shared libraries these programs load
#
# When everything is there it asks only dpkg (about 30 ms): no apt-get update, no sudo. The PostgreSQL
# package is kept from creating a cluster of its own: the server runs its own one (DATABASE_URL names another).
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

build=(build-essential cmake ninja-build ccache pkg-config git
    qt6-base-dev qt6-httpserver-dev qt6-websockets-dev qcoro-qt6-dev
    libgl-dev libspdlog-dev libseccomp-dev libpq-dev libssl-dev libcap-dev pybind11-dev python3-dev)
runtime=(python3 python3-venv postgresql libqt6sql6-psql libnss-wrapper ca-certificates curl procps passwd
    poppler-utils tesseract-ocr tesseract-ocr-eng libgomp1
    chromium-headless-shell fontconfig fonts-dejavu-core fonts-noto-core fonts-noto-cjk)
test=(nodejs npm python3-venv runc sqlite3 jq iproute2 strace)
office=(libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui) # view_file: pages of Office documents; 100 MB
full=(mmdebstrap wrk gdb nginx-light)

fail() { echo "install-deps: $*" >&2; exit 1; }

packages=()
list=
case "${1:-}" in
--packages) shift; packages=("$@") ;;
--libraries-of)
    shift
    # By file name: a merged /usr shows other directories than dpkg has on record.
    mapfile -t files < <(ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u | xargs -r readlink -f | sed 's|.*/|*/|')
    dpkg-query -S "${files[@]}" | cut -d: -f1 | sort -u
    exit 0 ;;
*)
    if [ "${1:-}" = --list ]; then list=1; shift; fi
    [ $# -gt 0 ] || set -- build runtime
    for group in "$@"; do
        case "$group" in
        build) packages+=("${build[@]}") ;;
        runtime) packages+=("${runtime[@]}") ;;
        test) packages+=("${test[@]}") ;;
        office) packages+=("${office[@]}") ;;
        full) packages+=("${full[@]}") ;;
        *) fail "unknown group $group (build, runtime, test, office, full)" ;;
        esac
    done ;;
esac
if [ -n "$list" ]; then printf '%s\n' "${packages[@]}"; exit 0; fi
[ "${#packages[@]}" -gt 0 ] || exit 0
command -v dpkg-query >/dev/null || fail "this needs Debian 12 or 13 (no dpkg here); install by hand: ${packages[*]}"

# A Node.js from elsewhere brings npm along and cannot be installed beside Debian's npm.
if command -v npm >/dev/null && command -v node >/dev/null; then
    for i in "${!packages[@]}"; do
        case "${packages[i]}" in nodejs | npm) unset "packages[$i]" ;; esac
    done
    packages=(${packages[@]+"${packages[@]}"})
fi

present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | awk '$1 == "installed" { print $2 }' || true)
missing=()
for package in ${packages[@]+"${packages[@]}"}; do
    case $'\n'"$present"$'\n' in *$'\n'"$package"$'\n'*) ;; *) missing+=("$package") ;; esac
done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
        fail "not root and sudo asks for a password; run as root: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo -n --preserve-env=DEBIAN_FRONTEND,LC_ALL)
fi

conf=/etc/postgresql-common/createcluster.conf
if [[ " ${missing[*]} " == *" postgresql "* && ! -e $conf ]]; then
    ${as_root[@]+"${as_root[@]}"} mkdir -p "${conf%/*}"
    echo 'create_main_cluster = false' | ${as_root[@]+"${as_root[@]}"} tee "$conf" >/dev/null
fi

# nginx is what the benchmark compares with, and starts itself: no service of it.
unit=/etc/systemd/system/nginx.service
if [[ " ${missing[*]} " == *" nginx-light "* && ! -e $unit && ! -L $unit ]]; then
    ${as_root[@]+"${as_root[@]}"} mkdir -p "${unit%/*}"
    ${as_root[@]+"${as_root[@]}"} ln -s /dev/null "$unit"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    ${as_root[@]+"${as_root[@]}"} apt-get -y -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 ||
        { tail -15 "$log" >&2; fail "apt-get $1 failed"; }
}
echo "install-deps: installing ${#missing[@]} packages: ${missing[*]}"
started=$SECONDS
apt update
apt install --no-install-recommends "${missing[@]}"
echo "install-deps: done in $((SECONDS - started)) s"
