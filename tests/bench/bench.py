#!/usr/bin/env python3
"""The figures the product is judged by, side by side in one run. Standard library only.

usage: bench.py --server PROGRAM [--python-env DIR] [--sessions 100] [--calls 1000]

Starts a server of its own on loopback, measures, prints one table, stops it. Times are milliseconds seen by a client on
the same two cores; compare ratios, not machines.
"""
import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from bench_server import BenchServer

HEADERS = {"Content-Type": "application/json"}


class Door:
    """One keep-alive connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.connection.connect()
        self.connection.sock.setsockopt(6, 1, 1)  # TCP_NODELAY

    def request(self, method, path, body=None):
        self.connection.request(method, path, body, HEADERS)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def tool(self, name, **arguments):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": name, "arguments": arguments}})
        status, answer = self.request("POST", "/mcp", body)
        result = json.loads(answer)["result"]
        text = "\n".join(b.get("text", "") for b in result["content"])
        if result.get("isError"):
            raise RuntimeError(text)
        return text

    def run(self, session, code):
        return self.tool("execute_code", code=code, session_id=session)


def timed(call, count):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times)


def percentile(times, p):
    return times[min(len(times) - 1, int(len(times) * p / 100))]


def row(label, times):
    print(f"  {label:<58} p50 {percentile(times, 50):8.2f}   p95 {percentile(times, 95):8.2f}   p99 {percentile(times, 99):8.2f} ms")


def available_mb():
    return int(re.search(r"MemAvailable:\s+(\d+)", open("/proc/meminfo").read()).group(1)) / 1024


def settled_available():
    last = available_mb()
    for _ in range(20):
        time.sleep(0.25)
        now = available_mb()
        if abs(now - last) < 1:
            return now
        last = now
    return last


def start(arguments, data, *flags):
    return BenchServer(arguments.server, arguments.python_env, data, "--bench-echo", "true", *flags)


def warm_calls(port, calls):
    print("Warm calls (one keep-alive connection, interleaved)")
    door = Door(port)
    door.run("warm", "1+1")
    echo_body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                            "params": {"name": "execute_code", "arguments": {"code": "1+1", "session_id": "warm"}}})
    echo, execute, ping = [], [], []
    for _ in range(calls):
        echo += timed(lambda: door.request("POST", "/bench/echo", echo_body), 1)
        execute += timed(lambda: door.run("warm", "1+1"), 1)
        ping += timed(lambda: door.request("GET", "/health"), 1)
    row("bare echo route", sorted(echo))
    row("GET /health", sorted(ping))
    row('execute_code("1+1") over /mcp', sorted(execute))


def history(port, arguments, calls):
    """The same calls on this server and on one that keeps no history, in turn."""
    print("Warm calls with and without the run history (two servers, interleaved)")
    data = tempfile.mkdtemp(prefix="power-bench-")
    os.chmod(data, 0o755)
    server = start(arguments, data, "--history-runs", "0")
    try:
        kept, plain = Door(port), Door(server.port)
        kept.run("history", "1+1"), plain.run("history", "1+1")
        times = {kept: [], plain: []}
        for number in range(calls):
            for door in (kept, plain) if number % 2 else (plain, kept):
                times[door] += timed(lambda: door.run("history", "1+1"), 1)
        row("1+1, history kept", sorted(times[kept]))
        row("1+1, no history", sorted(times[plain]))
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


def first_results(port, python, count):
    print("New session to its first pandas result, beside a fresh interpreter")
    door = Door(port)
    code = "pd.DataFrame({'a': [1, 2]}).a.sum()"
    numbers = iter(range(10 ** 6))
    fresh = timed(lambda: door.run(f"fresh-{next(numbers)}", "1+1"), count)
    first = timed(lambda: door.run(f"first-{next(numbers)}", code), count)
    plain = timed(lambda: subprocess.run([python, "-c", "import pandas"], check=True), 5)
    row("new session, 1+1", fresh)
    row("new session, first pandas result", first)
    row('python3 -c "import pandas"', plain)


def memory(port, sessions):
    print(f"Memory of a session: {sessions} sessions, everything counted (MemAvailable)")
    door = Door(port)
    before = settled_available()
    steps = [("fresh", "pass"), ("after one 1+1", "1+1"),
             ("after a groupby", "pd.DataFrame({'k': ['a', 'b'] * 50, 'v': range(100)}).groupby('k').v.sum()"),
             ("after a chart", "plt.plot([1, 2, 3]); plt.show()")]
    for label, code in steps:
        for number in range(sessions):
            door.run(f"memory-{number}", code)
        print(f"  {label:<58} {(before - settled_available()) / sessions:8.2f} MB each")


def crowd(port, sessions, busy, turns=4):
    """In turns with and without the busy ones, as the machine's mood changes by the minute."""
    print(f"{sessions} sessions alive, {busy} of them busy ({turns} turns)")
    door = Door(port)
    alone, crowded, health, ratios = [], [], [], []

    def work(number, stop):
        own = Door(port)
        while not stop.is_set():
            own.run(f"memory-{number}", "import time\nend = time.time() + 0.2\nwhile time.time() < end: sum(range(1000))")

    for _ in range(turns):
        quiet = timed(lambda: door.run("warm", "1+1"), 200)
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(n, stop)) for n in range(busy)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        health += timed(lambda: door.request("GET", "/health"), 200)
        beside = timed(lambda: door.run("warm", "1+1"), 200)
        stop.set()
        for thread in threads:
            thread.join()
        alone += quiet
        crowded += beside
        ratios.append(percentile(beside, 50) / percentile(quiet, 50))
    row("1+1, nobody busy", sorted(alone))
    row(f"1+1, {busy} busy", sorted(crowded))
    print(f"  {'ratio of the p50 in each turn':<58} {'  '.join(f'{ratio:.2f}' for ratio in ratios)}")
    row(f"GET /health, {busy} busy", sorted(health))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--calls", type=int, default=1000)
    arguments = parser.parse_args()
    python = arguments.python_env + "/bin/python" if arguments.python_env else "/usr/bin/python3"
    data = tempfile.mkdtemp(prefix="power-bench-")
    os.chmod(data, 0o755)
    server = start(arguments, data)
    try:
        port = server.port
        print(f"Start: listening after {server.listening * 1000:.0f} ms, first cell done after {server.seconds * 1000:.0f} ms")
        warm_calls(port, arguments.calls)
        history(port, arguments, arguments.calls)
        first_results(port, python, 20)
        memory(port, arguments.sessions)
        crowd(port, arguments.sessions, 10)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
