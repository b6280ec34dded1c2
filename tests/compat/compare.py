#!/usr/bin/env python3
"""Runs example scripts in sessions of a server (POWER_URL) and in Jupyter's kernel, and compares every cell.

compare.py --sources DIR --python-env ENV [--results FILE] [--report FILE] [--seconds N] [SCRIPT ...]

Run with the Python of an environment that has ipykernel and jupyter_client; the kernel gets the libraries of ENV. Without
names, those of subset.txt; with POWER_TEST_FULL=1 or --results, all of scripts.txt. --results keeps outcomes from call to call (a
script that is in it is not run again), --seconds ends the call early then. Fails when a script differs that differences.txt does not name, or more than 5 % do.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from jupyter_client.manager import KernelManager

import compare_kernel
import outcome
import scripts

HERE = Path(__file__).parent
URL = os.environ["POWER_URL"]
CELL_LIMIT = 90
SETTINGS = "import pandas\npandas.set_option('display.width', 160)"  # as sessions have it
AT_ONCE = 2
MOST_DIFFERENT = 0.05


class TooSlow(Exception):
    """A cell takes longer than the rule of selection allows."""


def call(method, path, body=None):
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"},
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=3 * CELL_LIMIT) as answer:
        return answer.read()


def in_session(name, cells):
    """Outcomes of the cells in a session of the server."""
    session = "s" + hashlib.sha256(name.encode()).hexdigest()[:16]
    printed = []
    try:
        for code in cells:
            answer = json.loads(call("POST", "/api/execute", {"code": code, "session_id": session, "timeout": 2 * CELL_LIMIT}))
            printed.append(answer["stdout"])
        exported = json.loads(call("POST", f"/api/sessions/{session}/export", {"format": "ipynb"}))
        notebook = json.loads(call("GET", exported["download_url"].removeprefix(URL)))
        ran = notebook["cells"][2:]
        if len(ran) != len(cells):
            raise RuntimeError(f"{name}: {len(cells)} cells, {len(ran)} in the export")
        return [outcome.outcome(cell["outputs"], [f"/app/sandbox_data/{session}"], text) for cell, text in zip(ran, printed)]
    finally:
        call("DELETE", f"/api/sessions/{session}")


def in_jupyter(cells, spec_home, work):
    """Outcomes of the cells in a fresh ipykernel."""
    manager = KernelManager(kernel_name="compat")
    manager.start_kernel(cwd=str(work))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        client.execute_interactive(SETTINGS, timeout=60, store_history=False)
        found = []
        for code in cells:
            outputs = []

            def keep(message):
                kind, content = message["msg_type"], message["content"]
                if kind in ("stream", "display_data", "execute_result", "error"):
                    outputs.append({"output_type": kind, **content})

            try:
                client.execute_interactive(code, timeout=CELL_LIMIT, allow_stdin=False, output_hook=keep)
            except TimeoutError:
                raise TooSlow from None
            found.append(outcome.outcome(outputs, [str(work)]))
        return found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def compare(name, sources, place):
    """{name, cells, differences, wavers, seconds}: `wavers` when two runs in Jupyter differ from one another, which leaves the
    numbers out of the comparison."""
    cells = scripts.cells_of(sources, name)
    started = time.monotonic()

    def jupyter():
        with tempfile.TemporaryDirectory(dir=place) as work:
            return in_jupyter(cells, place, work)

    try:
        theirs = jupyter()
    except TooSlow:
        return {"name": name, "cells": len(cells), "too_slow": True}
    between = time.monotonic()
    ours = in_session(name, cells)
    seconds = [round(between - started, 1), round(time.monotonic() - between, 1)]
    found, wavers = outcome.differences(ours, theirs), False
    if found and all(what == "text" for _, what, _, _ in found):
        wavers = bool(outcome.differences(jupyter(), theirs))
        found = outcome.differences(ours, theirs, numbers_too=not wavers)
    return {"name": name, "cells": len(cells), "errors": sum(1 for cell in theirs if cell["error"]), "differences": found,
            "displays": sum(len(cell["kinds"]) for cell in theirs), "wavers": wavers, "seconds": seconds}


def short(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 300 else text[:150] + " ... " + text[-150:]


def report_of(results, reasons):
    ran = [r for r in results if not r.get("too_slow")]
    differ = [r for r in ran if r["differences"]]
    lines = [f"{len(ran)} scripts, {sum(r['cells'] for r in ran)} cells, {sum(r['displays'] for r in ran)} displays, "
             f"{sum(r['errors'] for r in ran)} cells end with an exception in Jupyter",
             f"{len(differ)} scripts differ ({100 * len(differ) / max(1, len(ran)):.1f} %), "
             f"{sum(r['wavers'] for r in ran)} compared without their numbers (two runs in Jupyter differ)",
             f"seconds: {sum(r['seconds'][0] for r in ran):.0f} in Jupyter (a kernel per script), "
             f"{sum(r['seconds'][1] for r in ran):.0f} in sessions (one per script)"]
    for package in [*scripts.GALLERIES, *scripts.DOCSTRINGS]:
        of = [r for r in ran if r["name"].startswith(package + "/")]
        lines.append(f"  {package:14} {len(of):4} scripts, {sum(bool(r['differences']) for r in of)} differ")
    lines += [f"left out, a cell takes longer than {CELL_LIMIT} s in Jupyter: {r['name']}" for r in results if r.get("too_slow")]
    lines += [f"differs: {r['name']}: {reasons.get(r['name'], 'NOT NAMED in differences.txt')}" for r in differ]
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sources", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--results")
    parser.add_argument("--report")
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    listed = (HERE / "scripts.txt").read_text().split("\n")[:-1]
    if listed != scripts.select(arguments.sources):
        sys.exit("scripts.txt is not what the rule of selection gives; make it with scripts.py")
    reasons = dict(line.split(": ", 1) for line in (HERE / "differences.txt").read_text().splitlines() if line[:1] not in ("", "#"))
    subset = (HERE / "subset.txt").read_text().split("\n")[:-1]
    names = arguments.names or (listed if arguments.results or os.environ.get("POWER_TEST_FULL") else subset)
    results = {}
    if arguments.results and Path(arguments.results).exists():
        results = {r["name"]: r for r in map(json.loads, Path(arguments.results).read_text().splitlines())}
    place = tempfile.mkdtemp(prefix="power-compat-")
    until = time.monotonic() + arguments.seconds

    def one(name):
        if time.monotonic() > until:
            return None
        result = compare(name, arguments.sources, place)
        if arguments.results:
            with open(arguments.results, "a") as file:
                file.write(json.dumps(result) + "\n")
        return result

    try:
        compare_kernel.prepare(arguments.python_env, place)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for result in filter(None, pool.map(one, [name for name in names if name not in results])):
                results[result["name"]] = result
                for number, what, mine, jupyter in result.get("differences", []):
                    print(f"{result['name']} cell {number}: {what}\n  here:    {short(mine)}\n  jupyter: {short(jupyter)}", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    chosen = [results[name] for name in names if name in results]
    lines = report_of(chosen, reasons)
    print("\n".join(lines))
    if arguments.report and len(chosen) == len(names):
        Path(arguments.report).write_text("\n".join(lines) + "\n")
    differ = [r["name"] for r in chosen if r.get("differences")]
    unnamed = [name for name in differ if name not in reasons]
    if unnamed or (names is listed and len(differ) > MOST_DIFFERENT * len(chosen)):
        sys.exit(f"{len(unnamed)} scripts differ that differences.txt does not name: {', '.join(unnamed[:10])}")


if __name__ == "__main__":
    main()
