#!/bin/bash
# Installs what the tests need, builds, and runs everything through CTest.
#
#   ./test.sh [--full] [--no-install] [CTEST ARGUMENTS...]
#
#   --full        also the long versions (tests read POWER_TEST_FULL=1), the doors' tests with sanitizers, and the
#                 benchmarks; writes tests/full-report.txt
#   --no-install  take the machine as it is
#
# Prints the time per label against its budget, then 'N passed, N failed, N skipped'. As root on Debian 12 a skipped
# test fails the run unless tests/expected-skips names it with a reason.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
install=1
full=
args=()
for arg in "$@"; do
    case "$arg" in
    --full) full=1 ;;
    --no-install) install= ;;
    *) args+=("$arg") ;;
    esac
done
. "$root/installer/lib.sh"

export POWER_TEST_COMMIT=${POWER_TEST_COMMIT:-$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)}

# Some tests run the server and its sessions as users without rights, and sessions have a /tmp of their own: a checkout that
# such users cannot reach, or that lies below /tmp, is tested as a copy that they can.
if [ "$(id -u)" = 0 ] && [ -z "${POWER_TEST_COPY:-}" ] && ! reachable_by_all "$root"; then
    places=/var/tmp/power-interpreter-tests
    copy=$places/$(printf %s "$root" | sha256sum | cut -c1-12)
    mkdir -p "$copy"
    chmod 755 "$places" "$copy"
    find "$copy" -mindepth 1 -maxdepth 1 ! -name build ! -name .venv -exec rm -rf {} +
    tar -C "$root" --exclude=./build --exclude=./.venv --exclude=./data -cf - . | tar -C "$copy" --no-same-owner -xf - || exit 1
    ln -sfn "$(dirname "$root")/shared" "$places/shared"
    echo "testing a copy in $copy"
    POWER_TEST_COPY=1 "$copy/test.sh" $([ -n "$install" ] || echo --no-install) ${full:+--full} ${args[@]+"${args[@]}"}
    code=$?
    rm -rf "$root/test-report"
    cp -r "$copy/test-report" "$root/test-report" 2>/dev/null
    [ -z "$full" ] || cp "$copy/tests/full-report.txt" "$root/tests/full-report.txt" 2>/dev/null
    exit $code
fi

preset=dev
[ -z "${CI:-}" ] || preset=ci
dir=$root/build/$preset
export POWER_PYTHON_ENV=${POWER_PYTHON_ENV:-$(default_env "$root")}
[ -z "$full" ] || export POWER_TEST_FULL=1
if [ -n "$install" ]; then
    "$root/installer/install-deps.sh" build runtime test office ${full:+full} || exit 1
    "$root/installer/build-python-env.sh" --dir "$POWER_PYTHON_ENV" || exit 1
fi
started=$SECONDS
build_preset "$preset" "$root" "$dir" || exit 1
echo "built ($preset) in $((SECONDS - started)) s"

report=$root/test-report
rm -rf "$report"
mkdir -p "$report"
(cd "$dir" && ctest --output-on-failure --no-tests=error -j "$(nproc)" --output-junit "$report/ctest.xml" \
    ${args[@]+"${args[@]}"} </dev/null) 2>&1 | tee "$report/ctest.log" | grep -vE '^ *(Start|[0-9]+/[0-9]+ .* Passed )'
code=${PIPESTATUS[0]}
# The machine's own Python: another one may be first on PATH or there may be none of ours yet.
summary() { /usr/bin/python3 -I "$root/installer/test-summary" "$root" "$dir" "$report" "$code"; }
if [ -z "$full" ]; then
    summary
    exit
fi

# What reads hostile bytes, once more with sanitizers: any error they report, leaks included, fails the test.
sanitized=(tst_frame tst_request_head tst_http_guard tst_http_streams tst_mcp tst_mcp_eras tst_mcp_http tst_mcp_fuzz tst_output_merger
           tst_hostile_kernel)
run_sanitized() {
    local names
    names=$(IFS='|'; echo "${sanitized[*]}")
    build_preset asan "$root" "$root/build/asan" "${sanitized[@]}" power-interpreter power-kernel power-init || return 1
    (cd "$root/build/asan" && ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        ctest --output-on-failure --no-tests=error --timeout 900 -R "^($names|client_fuzz)\$" </dev/null)
}
run_sanitized >"$report/sanitized.log" 2>&1 && sanitized_ended="passed" || sanitized_ended="FAILED"
run_benchmarks() {
    /usr/bin/python3 "$root/tests/bench/bench.py" --server "$dir/bin/power-interpreter" --python-env "$POWER_PYTHON_ENV" </dev/null
    /usr/bin/python3 "$root/tests/bench/bench_jobs.py" --server "$dir/bin/power-interpreter" --python-env "$POWER_PYTHON_ENV" </dev/null
    # Beside Jupyter's kernel; its environment was made by the tests.
    "$dir/tests/sessions/jupyter/bin/python" -B "$root/tests/bench/bench_jupyter.py" --server "$dir/bin/power-interpreter" \
        --python-env "$POWER_PYTHON_ENV" </dev/null
    echo
    /usr/bin/python3 "$root/tests/bench/bench_files.py" --server "$dir/bin/power-interpreter" --python-env "$POWER_PYTHON_ENV" </dev/null
    echo
    /usr/bin/python3 "$root/tests/bench/bench_uploads.py" --server "$dir/bin/power-interpreter" --python-env "$POWER_PYTHON_ENV" </dev/null
    echo
    /usr/bin/python3 "$root/tests/bench/bench_datasets.py" --server "$dir/bin/power-interpreter" --python-env "$POWER_PYTHON_ENV" </dev/null
}
run_benchmarks >"$report/bench.txt" 2>&1 || echo "the benchmark failed" >>"$report/bench.txt"
{
    echo "The last run of ./test.sh --full: $(date -u +%F), commit $POWER_TEST_COMMIT,"
    echo "$(nproc) cores, $(awk '/MemTotal/ {printf "%d GiB", $2 / 1048576}' /proc/meminfo), $(. /etc/os-release && echo "$PRETTY_NAME"), preset $preset."
    summary
    ended=$?
    echo
    echo "With AddressSanitizer and UndefinedBehaviorSanitizer: $sanitized_ended"
    grep -E '^ *[0-9]+/[0-9]+ Test|^FAIL|ERROR: |runtime error' "$report/sanitized.log"
    grep -ahE "statuses .* reached" "$report/ctest.log" "$report/sanitized.log" "$root/build/asan/Testing/Temporary/LastTest.log"
    echo
    cat "$report/bench.txt"
} >"$root/tests/full-report.txt"
cat "$root/tests/full-report.txt"
[ "${ended:-1}" = 0 ] && [ "$sanitized_ended" = passed ]
