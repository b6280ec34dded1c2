#!/usr/bin/env python3
"""What a job costs beside the same work as a call: queue, kernel, record. Standard library only.

usage: bench_jobs.py --server PROGRAM [--python-env DIR] [--jobs 100]

Milliseconds seen by a client on the same machine, with a server of its own.
"""
import argparse
import os
import shutil
import tempfile
import time
from datetime import datetime

from bench_server import BenchServer

WORK = "n = 0\nfor i in range(100_000): n += i\nprint(n)"


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
    server = BenchServer(arguments.server, arguments.python_env, data, "--max-concurrent-jobs", str(os.cpu_count()))
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
