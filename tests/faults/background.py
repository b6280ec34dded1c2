#!/usr/bin/env python3
"""Threads and subprocesses that outlive their cell: allowed; what they print belongs to their session, comes with its next answer and
with no other's; they are gone when the session is. Then kernels that leave: for memory that others need, and (POWER_TEST_FULL=1) idle
ones; both come back with their variables."""
import json
import sys
import time

from rig import FULL, Server, processes

THREAD = """
import threading, time, subprocess
def later():
    time.sleep(0.4)
    print('late words of {who}')
    open('late.txt', 'w').write('{who}')
threading.Thread(target=later, daemon=True).start()
child = subprocess.Popen(['sh', '-c', 'sleep 0.4; echo late child of {who}; touch child.txt; sleep {mark}'])
print('now')
"""


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def has_file(server, session, path):
    return path in json.dumps(server.call("GET", f"/api/files?session_id={session}")[1])


def saved(server, session, megabytes):
    """Its variables are in a snapshot, and the server has seen how much memory they take."""
    stored = any("snapshot_written" in line and f"session={session}" in line for line in server.text().splitlines())
    return stored and server.call("GET", f"/api/sessions/{session}")[1].get("memory_mb", 0) >= megabytes


def background(server):
    problems = []
    marks = {"one": "70081.5", "two": "70082.5"}
    for who, mark in marks.items():
        first = server.out(THREAD.format(who=who, mark=mark), who)
        if first != "now\n":
            problems.append(f"{who}: {first!r}")
    server.out("1", "bystander")
    for who in marks:
        if not wait_for(lambda: has_file(server, who, "late.txt") and has_file(server, who, "child.txt"), 20):
            problems.append(f"{who}: thread and subprocess did not go on after the cell")
    for who in marks:
        other = "two" if who == "one" else "one"
        text = server.out("print('next')", who)
        if f"late words of {who}" not in text or f"late child of {who}" not in text:
            problems.append(f"{who}: output of the background is not with the next answer: {text!r}")
        if other in text:
            problems.append(f"{who}: has output of {other}: {text!r}")
    if "late" in server.out("print(1)", "bystander"):
        problems.append("a bystander got somebody's output")

    def living(mark):
        return [p for p in processes().values() if p.command.strip().endswith(f"sleep {mark}") or p.command.split()[-1:] == [mark]]

    if not living(marks["one"]) or not living(marks["two"]):
        problems.append("the subprocesses should live until their session ends")
    server.call("DELETE", "/api/sessions/one")
    if not wait_for(lambda: not living(marks["one"]), 10):
        problems.append("a subprocess outlived its deleted session")
    if not living(marks["two"]):
        problems.append("a deleted session took another's subprocess along")
    return problems


def memory_budget():
    """A new session's need ends the longest unused kernel, whose variables come back."""
    problems = []
    with Server("--total-memory-mb", "270", "--max-memory-mb", "260", "--log-level", "DEBUG") as server:
        for name in ("old", "newer"):
            server.out("import numpy as np\nname = %r\nkept = np.full(14_500_000, 7, dtype='int64')\nprint(len(kept))" % name, name)
            if not wait_for(lambda: saved(server, name, 100), 30):
                problems.append(f"{name}: no snapshot of it")
        answer = None
        for _ in range(40):
            status, answer = server.run("import numpy as np\nmine = np.ones(2_000_000)\nprint(len(mine))", "third")
            if status == 200 and answer["success"]:
                break
            time.sleep(0.5)
        if not (answer and answer.get("success")):
            problems.append(f"no room was made for a third session: {answer}")
        server.call("DELETE", "/api/sessions/third")
        for _ in range(40):
            status, answer = server.run("print(name, int(kept.sum()))", "old")
            if status == 200 and answer["success"]:
                break
            time.sleep(0.5)
        if not (answer and answer.get("success") and answer["stdout"] == "old 101500000\n"):
            problems.append(f"the evicted session did not come back: {answer}")
        elif not answer["kernel_info"]["restored"] and not answer["kernel_info"]["note"]:
            problems.append(f"the eviction was not told: {answer['kernel_info']}")
    return problems


def idle():
    problems = []
    with Server("--session-idle-minutes", "1") as server:
        server.out("name = 'rested'", "resting")
        if not wait_for(lambda: not [s for s in server.call("GET", "/api/sessions")[1]["sessions"]
                                     if s["session_id"] == "resting" and s["is_active"]], 150):
            problems.append("an idle kernel was not retired")
        status, answer = server.run("print(name)", "resting")
        if answer.get("stdout") != "rested\n" or "idle" not in str(answer["kernel_info"]).lower() + str(answer.get("notes")).lower():
            problems.append(f"the idle session did not come back with a word about it: {answer}")
    return problems


def main():
    with Server() as server:
        problems = background(server)
    problems += memory_budget()
    if FULL:
        problems += idle()
    print(*problems or ["background output and evictions: as they should be"], sep="\n")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
