#!/usr/bin/env python3
"""The same work here and in Jupyter's kernel, interleaved in one run: session start, first pandas result, warm calls, memory of an
idle session, many sessions at once, a 1 GB frame copied and gone back to, and a restart.

usage: bench_jupyter.py --server PROGRAM [--python-env DIR] [--rounds 10] [--at-once 100] [--kernels 10]

Run with the Python of an environment with ipykernel and jupyter_client (tests/sessions). Jupyter's calls travel over its own
channels, those of the server over HTTP. What Jupyter has no way to do is said.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time

from jupyter_client.manager import KernelManager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "compat"))
import compare_kernel

from bench import Door, row, settled_available, start

FIRST = "import pandas as pd\npd.DataFrame({'a': [1, 2, 2]}).groupby('a').size().sum()"


class Kernel:
    """A fresh ipykernel, ready for a cell."""

    def __init__(self, place):
        self.manager = KernelManager(kernel_name="compat")
        self.manager.start_kernel(cwd=place)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, code):
        self.client.execute_interactive(code, timeout=120, allow_stdin=False, output_hook=lambda message: None)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def milliseconds(call):
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def starts(port, place, rounds):
    ours, theirs, first, their_first = [], [], [], []
    door = Door(port)
    for n in range(rounds):
        ours.append(milliseconds(lambda: door.run(f"start-{n}", "1+1")))
        first.append(milliseconds(lambda: door.run(f"first-{n}", FIRST)))
        kernels = []

        def begin(code):
            kernels.append(Kernel(place))
            kernels[-1].run(code)

        theirs.append(milliseconds(lambda: begin("1+1")))
        their_first.append(milliseconds(lambda: begin(FIRST)))
        for kernel in kernels:
            kernel.close()
    for label, times in (("new session, 1+1", ours), ("  Jupyter: new kernel, 1+1", theirs),
                         ("new session, first pandas result", first), ("  Jupyter: new kernel, first pandas result", their_first)):
        row(label, sorted(times))


def warm(port, place):
    kernel, door = Kernel(place), Door(port)
    door.run("warm", "1+1")
    kernel.run("1+1")
    ours, theirs = [], []
    for _ in range(200):
        ours.append(milliseconds(lambda: door.run("warm", "1+1")))
        theirs.append(milliseconds(lambda: kernel.run("1+1")))
    row("warm 1+1 (HTTP, MCP)", sorted(ours))
    row("  Jupyter: warm 1+1 (its channels)", sorted(theirs))
    kernel.close()


def at_once(port, place, sessions, kernels):
    def together(count, work):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    doors = [Door(port) for _ in range(sessions)]
    before = settled_available()
    rounds = [together(sessions, lambda n, r=r: doors[n].run(f"once-{r}-{n}", "1+1")) for r in range(4)]
    took = " ".join(f"{each:.2f}" for each in rounds)
    print(f"  {sessions} new sessions at once, {len(rounds)} times, those before stay: all answered 1+1 after {took} s")
    print(f"  {'an idle session, everything counted':<58} {(before - settled_available()) / sessions / len(rounds):8.2f} MB")
    for r in range(len(rounds)):
        for n in range(sessions):
            doors[0].tool("delete_session", session_id=f"once-{r}-{n}")
    before, made = settled_available(), [None] * kernels

    def begin(n):
        made[n] = Kernel(place)
        made[n].run("1+1")

    took = together(kernels, begin)
    print(f"  Jupyter: {kernels} new kernels at once: all answered 1+1 after {took:.2f} s")
    print(f"  {'Jupyter: an idle kernel, everything counted':<58} {(before - settled_available()) / kernels:8.2f} MB")
    for kernel in made:
        kernel.close()


def checkpoints(port):
    door = Door(port)

    def report():
        return json.loads(door.request("GET", "/health")[1])["kernels"]["checkpoints"]

    def grown(name, code):
        taken = report()["taken"]
        door.run(name, code)
        end = time.monotonic() + 60
        while report()["taken"] <= taken and time.monotonic() < end:
            time.sleep(0.02)
        return report()["last_ms"]

    time.sleep(3)  # other sessions have theirs
    rows = (1 << 30) // 64
    block = grown("big", f"d = pd.DataFrame(np.full(({rows}, 8), 1.5))")
    columns = grown("columns", f"d = pd.DataFrame({{0: np.full({rows}, 1.5)}})\nfor i in range(1, 8): d[i] = np.full({rows}, 1.5)")
    print(f"  checkpoint of a 1 GB frame: the kernel stood still for {block:.1f} ms (one block), {columns:.1f} ms (a block per column)")
    for name in ("big", "columns"):
        try:
            door.run(name, "import os\nos._exit(1)")
        except RuntimeError:
            pass  # it says what was lost
        began = time.perf_counter()
        size = door.run(name, "len(d)")
        print(f"  {name}: killed; the next call is answered {(time.perf_counter() - began) * 1000:.1f} ms after the answer to that, "
              f"{'with the whole frame' if str(rows) in size else 'frame lost: ' + size[:80]}")
    print("  Jupyter has neither: a kernel that dies has lost its variables")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--kernels", type=int, default=10)
    arguments = parser.parse_args()
    data, place = tempfile.mkdtemp(prefix="power-bench-"), tempfile.mkdtemp(prefix="power-bench-jupyter-")
    os.chmod(data, 0o755)
    compare_kernel.prepare(arguments.python_env, place)
    server = start(arguments, data)
    try:
        starts(server.port, place, arguments.rounds)
        warm(server.port, place)
        at_once(server.port, place, arguments.at_once, arguments.kernels)
        checkpoints(server.port)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
