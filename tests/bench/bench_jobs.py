#!/usr/bin/env python3
"""What a job costs beside the same work as a call: queue, kernel, record. Standard library only.

usage: bench_jobs.py --server PROGRAM [--python-env DIR] [--jobs 100]

Milliseconds seen by a client on the same machine, with a server of its own.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime

WORK = "n = 0\nfor i in range(100_000): n += i\nprint(n)"


class Server:
    def __init__(self, arguments, data, *flags):
        command = [arguments.server, "--port", "0", "--host", "127.0.0.1", "--data-dir", data, "--sandbox-dir", os.path.join(data, "sandbox"),
                   "--max-concurrent-jobs", str(os.cpu_count()), *(["--python-env", arguments.python_env] if arguments.python_env else []), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if found := re.match(r"  URL +(\S+)", line):
                self.url = found[1]
            if "print(6*7)" in line:
                break
        else:
            sys.exit("the server did not start")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def row(label, times):
    times = sorted(times)
    print(f"{label:<52}{times[len(times) // 2]:>9.1f}{times[int(len(times) * .95)]:>9.1f}{times[-1]:>9.1f}")


def between(facts, first, second):
    return (datetime.fromisoformat(facts[second].rstrip("Z")) - datetime.fromisoformat(facts[first].rstrip("Z"))).total_seconds() * 1e3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env")
    parser.add_argument("--jobs", type=int, default=100)
    arguments = parser.parse_args()
    data = tempfile.mkdtemp(prefix="bench-jobs-")
    os.chmod(data, 0o755)
    server = Server(arguments, data)
    try:
        call, first = [], []
        for number in range(arguments.jobs):
            begin = time.perf_counter()
            server.ask("/api/execute", {"code": WORK, "session_id": "warm"})
            call.append((time.perf_counter() - begin) * 1e3)
        for number in range(min(20, arguments.jobs)):
            begin = time.perf_counter()
            server.ask("/api/execute", {"code": WORK, "session_id": f"new{number}"})
            first.append((time.perf_counter() - begin) * 1e3)
        submit, queued, ran, visible, whole = [], [], [], [], []
        for number in range(arguments.jobs):
            begin = time.perf_counter()
            job = server.ask("/api/jobs/submit", {"code": WORK, "session_id": "warm"})["job_id"]
            submit.append((time.perf_counter() - begin) * 1e3)
            facts = server.ask(f"/api/jobs/{job}/result?wait=50")
            whole.append((time.perf_counter() - begin) * 1e3)
            assert facts["state"] == "succeeded", facts
            queued.append(between(facts, "submitted_at", "started_at"))
            ran.append(facts["execution_time_ms"])
            visible.append(between(facts, "started_at", "completed_at") - facts["execution_time_ms"])
        begin = time.perf_counter()
        jobs = [server.ask("/api/jobs/submit", {"code": WORK, "session_id": "warm"})["job_id"] for _ in range(arguments.jobs)]
        for job in jobs:
            assert server.ask(f"/api/jobs/{job}/result?wait=50")["state"] == "succeeded"
        crowd = time.perf_counter() - begin
        print(f"{'Jobs, ms (100,000 additions)':<52}{'p50':>9}{'p95':>9}{'most':>9}")
        row("execute_code in a warm session", call)
        row("execute_code in a new session (its kernel is new)", first)
        row("submit_job until it is acknowledged (durable)", submit)
        row("  submitted -> claimed", queued)
        row("  the code itself", ran)
        row("  claimed -> stored, without the code (kernel, files)", visible)
        row("  submit -> result in the client's hands", whole)
        print(f"{arguments.jobs} jobs at once: {arguments.jobs / crowd:.1f} jobs/s")
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
