#!/usr/bin/env python3
"""A loss that nobody has been told of yet is told by the next server.

The kernel dies between two calls and goes on from its checkpoint without the last cell; before anybody calls, the state is
stored, and the server dies. The next answer names the lost cell.
"""
import json
import os
import sys
import time

from rig import Server


def leader_of(session):
    """The kernel that leads a session of its own; a checkpoint of it is in that session."""
    with open(f"/proc/{session.pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[3]) == session.pid


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def stored_loss(server):
    path = server.data + "/data/snapshots/owner/s/latest.snapshot"
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
        facts, _ = json.JSONDecoder().raw_decode(head[head.index(b"\n") + 1:].decode(errors="replace"))
        return facts["about"].get("lost_to", 0)
    except (OSError, ValueError, KeyError):
        return 0


def attempt(server):
    """False when a checkpoint was faster than the kill."""
    before = {process.pid for process in server.role("kernel")}
    taken = server.health()["kernels"]["checkpoints"]["taken"]
    server.out("a = 1", "s")
    # The newest: its init begins as a fork of the zygote as well.
    kernel = max((process for process in server.role("kernel") if process.pid not in before and leader_of(process)),
                 key=lambda process: (int(process.started), process.pid))
    until("a checkpoint", lambda: server.health()["kernels"]["checkpoints"]["taken"] > taken)
    server.out("b = 2", "s")
    os.kill(kernel.pid, 9)
    try:
        until("the loss is stored", lambda: stored_loss(server) == 2, 8)
    except SystemExit:
        return False
    return True


def main():
    with Server(supervised=True) as server:
        for _ in range(5):
            if attempt(server):
                break
            server.call("DELETE", "/api/sessions/s")
        else:
            raise SystemExit("no loss within five attempts:\n" + server.text()[-3000:])
        [victim] = server.role("server")
        os.kill(victim.pid, 9)
        until("the server is back", lambda: server.call("GET", "/health")[0] == 200 and server.role("server"))
        status, answer = until("an answer", lambda: (r := server.run("print('b' in globals(), a)", "s")) and r[0] == 200 and r)
        assert answer["stdout"] == "False 1\n", answer
        restored = answer["kernel_info"]["restored"]
        assert restored and restored["lost_cells"] == [2], answer["kernel_info"]
        print(restored["lost_cells"], answer["kernel_info"]["note"])


if __name__ == "__main__":
    sys.exit(main())
