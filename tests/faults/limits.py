#!/usr/bin/env python3
"""Every limit on its own ends in a typed cause with figures and a next step; all of them at once leave server and neighbours
responsive. One server; each attack in a session of its own."""
import concurrent.futures
import sys
import threading
import time

from rig import FULL, Server

FLAGS = ("--max-memory-mb", "400", "--max-session-processes", "24", "--max-session-disk-mb", "60", "--max-run-output-mb", "4",
         "--total-memory-mb", "3000")
# name: (code, causes, what `limit` says, seconds)
ATTACKS = {
    "memory": ("blocks = []\nwhile True: blocks.append(bytearray(b'x' * (8 << 20)))", ("memory_limit",), "MB", 30),
    "memory of numpy": ("import numpy as np\nkept = [np.ones(1 << 20) for _ in range(8)]\nbig = np.ones(1 << 30)", ("memory_limit",), "MB", 30),
    "memory of many": ("import os, time\nfor i in range(8):\n    if os.fork() == 0:\n        b = bytearray(b'x' * (100 << 20)); time.sleep(60); os._exit(0)\n"
                       "time.sleep(60)", ("memory_limit",), "400 MB", 30),
    "processes": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", ("process_limit",), "24", 30),
    "threads": ("import threading, time\nfor i in range(100): threading.Thread(target=time.sleep, args=(5,), daemon=True).start()",
                ("process_limit",), "processes and threads", 30),
    "disk": ("for n in range(20):\n    with open(f'big{n}', 'wb') as f:\n        for i in range(20): f.write(b'x' * 1000000)\nimport time; time.sleep(60)",
             ("disk_limit",), "60 MB", 30),
    "one file": ("with open('big', 'wb') as f:\n    for i in range(100): f.write(b'x' * 1000000)", ("disk_limit",), "MB per file", 30),
    "open files": ("kept = []\nwhile True: kept.append(open('/dev/null'))", ("open_files_limit",), "open files", 30),
    "output": ("while True: print('x' * 100000)", ("output_limit",), "MB", 30),
    "wall clock": ("while True: pass", ("timeout",), "3 s", 3),
    "wall clock in C": ("sum(range(10**12))", ("timeout",), "3 s", 3),
    "system call": ("import socket\nsocket.socket(socket.AF_PACKET, 3)",
                    ("refused_by_sandbox",), "", 30),
    "package": ("import torch", ("missing_package",), "", 30),
}
SPINNERS = "import time\nuntil = time.monotonic() + {}\nwhile time.monotonic() < until: pass"


def attack(server, name):
    code, causes, limit, seconds = ATTACKS[name]
    status, answer = server.run(code, name.replace(" ", "-"), seconds)
    failure = answer.get("failure", {}) if status == 200 else {}
    good = (failure.get("cause") in causes and limit in failure.get("limit", "") and len(failure.get("next_step", "")) > 20)
    if limit and causes[0] in ("memory_limit", "output_limit", "disk_limit") and limit != "MB per file":
        good = good and bool(failure.get("peak"))
    if name == "memory":
        good = good and "blocks" in failure["peak"]
    if name == "memory of numpy":
        good = good and "kept" in failure["peak"]
    return None if good else f"{name}: {status} {failure or answer}"


class Neighbour(threading.Thread):
    """An agent with short cells, and somebody who asks for /health; how long both take."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.on, self.cells, self.healths, self.errors = server, True, [], [], []

    def run(self):
        while self.on:
            begun = time.monotonic()
            status, answer = self.server.run("1+1", "neighbour")
            self.cells.append(time.monotonic() - begun)
            if status != 200 or answer.get("result") not in (2, "2"):
                self.errors.append((status, answer))
            begun = time.monotonic()
            self.server.health()
            self.healths.append(time.monotonic() - begun)
            time.sleep(0.02)


def shown(times):
    times = sorted(times)
    return f"p50 {times[len(times) // 2] * 1e3:.0f} ms, p99 {times[len(times) * 99 // 100] * 1e3:.0f} ms, longest {times[-1] * 1e3:.0f} ms"


def main():
    problems = []
    with Server(*FLAGS) as server:
        for name in ATTACKS:  # alone: each with its own cause
            problem = attack(server, name)
            problems += [problem] if problem else []
        neighbour = Neighbour(server)
        server.out("here = 1", "neighbour")
        neighbour.start()
        names = [name for name in ATTACKS for _ in range(2 if FULL else 1)]
        with concurrent.futures.ThreadPoolExecutor(len(names) + 2) as pool:
            spinners = [pool.submit(server.run, SPINNERS.format(6), f"spinner{i}", 20) for i in range(2)]
            found = list(pool.map(lambda name: attack(server, name), names))
            [spinner.result() for spinner in spinners]
        neighbour.on = False
        neighbour.join(30)
        # Together some of them end for another's reason (the budget of all, a deadline): what counts is that they end.
        print(f"all {len(names)} at once: the neighbour's 1+1 {shown(neighbour.cells)}; /health {shown(neighbour.healths)}; "
              f"{sum(map(bool, found))} ended for another reason than alone")
        problems += [str(error)[:300] for error in neighbour.errors]
        if sorted(neighbour.cells)[len(neighbour.cells) // 2] > 1 or max(neighbour.healths) > 5:
            problems.append("the neighbour had to wait too long")
        if server.out("print(here)", "neighbour") != "1\n":
            problems.append("the neighbour lost its variables")
    print(*problems, sep="\n")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
