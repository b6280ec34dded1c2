#!/usr/bin/env python3
"""Runs one requirement set: run.py --server PROGRAM --node PROGRAM --suite DIR --requirements 2026-07-28 --out DIR

Fails when any scenario fails, scored or not, except those of SKIPPED; there is no baseline. Standard library only.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

# scenario -> why it does not apply
SKIPPED = {}


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "node", "suite", "requirements", "out"):
        parser.add_argument("--" + name, required=True)
    arguments = parser.parse_args()
    suite, out = pathlib.Path(arguments.suite), pathlib.Path(arguments.out)
    shutil.rmtree(out, ignore_errors=True)
    server = subprocess.Popen([arguments.server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        if not url:
            print("the fixture server did not start")
            return 1
        command = [arguments.node, suite / "node_modules/@modelcontextprotocol/conformance/dist/index.js", "server", "--url", url,
                   "--requirements", arguments.requirements, "-o", out]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
    finally:
        server.stdin.close()  # it ends by itself then
        ended = server.wait(20)
    summary = done.stdout[done.stdout.rfind("=== SUMMARY ==="):]
    scenarios = {name: mark == "✓" for mark, name in re.findall(r"^([✓✗]) (\S+): \d+ passed", summary, re.M)}
    failed = sorted(name for name, passed in scenarios.items() if not passed and name not in SKIPPED)
    stale = sorted(name for name in SKIPPED if scenarios.get(name))
    warnings = 0
    for report in out.rglob("checks.json"):
        for check in json.loads(report.read_text()):
            if check["status"] in ("FAILURE", "WARNING") and not any(name in str(report) for name in SKIPPED):
                warnings += 1
                print(check["status"], check["id"], check.get("errorMessage", ""))
    print(f"{arguments.requirements}: {len(scenarios)} scenarios, {len(failed)} failed, {warnings} failures and warnings, "
          f"server ended with {ended}")
    if failed or stale or warnings or ended != 0 or done.returncode != 0 or len(scenarios) < 30:
        print("failed:", ", ".join(failed), "; pass although skipped:", ", ".join(stale))
        print(summary or done.stdout[-3000:])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
