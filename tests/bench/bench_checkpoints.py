#!/usr/bin/env python3
"""What checkpoints cost and give: each figure beside a server that takes none. Standard library only.

usage: bench_checkpoints.py --server PROGRAM [--python-env DIR] [--sessions 64] [--seconds 15] [--megabytes 1024]
"""
import argparse
import json
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time

from bench import Door, row, start


class Server:
    def __init__(self, arguments, per_second):
        self.data = tempfile.mkdtemp(prefix="power-bench-")
        os.chmod(self.data, 0o755)
        os.environ["CHECKPOINTS_PER_SECOND"] = str(per_second)
        self.served = start(arguments, self.data)
        self.process, self.port = self.served.process, self.served.port

    def report(self):
        return json.loads(Door(self.port).request("GET", "/health")[1])["kernels"]["checkpoints"]

    def wait_for(self, name, more):
        end = time.monotonic() + 60
        while (now := self.report()[name]) < more and time.monotonic() < end:
            time.sleep(0.02)
        return now >= more

    def close(self):
        self.served.stop()
        shutil.rmtree(self.data, ignore_errors=True)


def crowd(server, sessions, seconds, think):
    """Milliseconds of calls of so many sessions that pause between them."""
    times, lock = [], threading.Lock()
    end = time.monotonic() + seconds + 3

    def work(number):
        door, mine = Door(server.port), []
        door.run(f"crowd-{number}", "d = pd.DataFrame({'k': ['a', 'b'] * 50, 'v': range(100)})")
        time.sleep(random.random() * 3)
        while time.monotonic() < end:
            began = time.perf_counter()
            door.run(f"crowd-{number}", "n = d.v.sum() + 1")
            mine.append((time.perf_counter() - began) * 1000)
            time.sleep(random.uniform(0.5, 1.5) * think)
        with lock:
            times.extend(mine)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(times)


def ends_its_kernel(door, session):
    """Milliseconds of a call whose code ends its own kernel."""
    began = time.perf_counter()
    try:
        door.run(session, "import os\nos._exit(1)")
    except RuntimeError:
        pass  # it says what was lost
    return (time.perf_counter() - began) * 1000


def deaths(server, count):
    """Milliseconds of a call that ends its kernel, of the next one, and (server's clock) from the death to being able to run."""
    door, ends, nexts, back = Door(server.port), [], [], []
    for number in range(count):
        name = f"death-{number}"
        door.run(name, "d = pd.DataFrame({'v': range(1000)})")
        if server.report()["on"]:
            server.wait_for("parked", number + 1)  # this session's copy, and that of each that came back from its own
        ends.append(ends_its_kernel(door, name))
        back.append(server.report()["last_restore_ms"])
        began = time.perf_counter()
        door.run(name, "pd.DataFrame({'v': range(1000)}).v.sum()")
        nexts.append((time.perf_counter() - began) * 1000)
    return sorted(ends), sorted(nexts), sorted(back)


def proportional(server):
    """Megabytes of the server's process tree; shared pages count once."""
    parents, total = {}, 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            pass
    tree = {server.process.pid}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    for pid in tree:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += int(re.search(r"\nPss:\s+(\d+)", file.read()).group(1))
        except OSError:
            pass
    return total / 1024


def memory(server, sessions):
    door = Door(server.port)
    time.sleep(3)  # the others have their copies
    before, taken = proportional(server), server.report()["taken"]
    for number in range(sessions):
        door.run(f"memory-{number}", "n = pd.DataFrame({'k': ['a', 'b'] * 50, 'v': range(100)}).groupby('k').v.sum()")
    if server.report()["on"]:
        server.wait_for("taken", taken + sessions)
    time.sleep(1)
    return (proportional(server) - before) / sessions


FRAMES = {
    "one block": "d = pd.DataFrame(np.full(({rows}, 8), 1.5))",
    "a block per column": "d = pd.DataFrame({{0: np.full({rows}, 1.5)}})\nfor i in range(1, 8): d[i] = np.full({rows}, 1.5)",
}


def big(server, megabytes):
    """Large frames, each in the only session: how long the copy takes, and the way back to it. The copies after the first have the
    price of the unchanged frame: each follows a cell that changes next to nothing."""
    door, rows = Door(server.port), (megabytes << 20) // 64
    for label, code in FRAMES.items():
        name = label.replace(" ", "-")
        prices = []
        for cell in [code.format(rows=rows)] + [f"n = {turn}" for turn in range(5)]:
            taken = server.report()["taken"]
            door.run(name, cell)
            if not server.wait_for("taken", taken + 1):
                raise SystemExit(f"{label}: no copy was made: {server.report()}")
            prices.append(server.report()["last_ms"])
        pages = door.run(name, "print(sum(int(l.split()[1]) for l in open('/proc/self/smaps') if l.startswith('AnonHugePages')) >> 10)").split()[0]
        ended = ends_its_kernel(door, name)
        back = server.report()["last_restore_ms"]
        began = time.perf_counter()
        size = door.run(name, "len(d)")
        print(f"  {megabytes} MB frame, {label} ({pages} MB of it in large pages): the kernel stood still for {prices[0]:.1f} ms, then "
              f"{', '.join(f'{price:.1f}' for price in prices[1:])} ms;\n    a call that ended the kernel was answered after {ended:.1f} ms "
              f"(from the death to being able to run {back:.1f} ms),\n    the next one {(time.perf_counter() - began) * 1000:.1f} ms later with the "
              f"frame ({'complete' if str(rows) in size else 'LOST'})")
        door.tool("delete_session", session_id=name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--megabytes", type=int, default=1024)
    arguments = parser.parse_args()
    for label, per_second in (("without checkpoints", 0), ("with checkpoints, 10 a second in all", 10)):
        server = Server(arguments, per_second)
        try:
            print(label + ":")
            ends, nexts, back = deaths(server, 10)
            row("call that ends its kernel", ends)
            if per_second:
                row("  of it, from the death to being able to run", back)
            row("  the next call", nexts)
            row(f"{arguments.sessions} sessions, 200 ms between calls", crowd(server, arguments.sessions, arguments.seconds, 0.2))
            print(f"    {server.report()}")
            print(f"  {'session after a groupby, everything counted':<58} {memory(server, 30):8.2f} MB each")
        finally:
            server.close()
    server = Server(arguments, 10)  # nobody else asks for copies here
    try:
        big(server, arguments.megabytes)
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
