#!/usr/bin/env python3
"""What was acknowledged while the database was away is there when server and database have both been killed and come back."""
import os
import sys
import time

from rig import Server

RECORDS = 10


def main():
    with Server(supervised=True) as server:
        [postgres] = server.role("postgres")
        os.kill(postgres.pid, 9)
        status, answer = server.run("kept = 1; open('kept.txt', 'w').write('kept')", "away")
        assert status == 200 and answer["success"], answer
        # The run is written behind, with the next record at the latest.
        acknowledged = [name for name in (f"away-{n}" for n in range(RECORDS))
                        if server.call("POST", "/api/sessions", {"session_id": name})[0] in (200, 201)]
        [victim] = server.role("server")
        os.kill(victim.pid, 9)
        assert len(acknowledged) == RECORDS, acknowledged
        until, missing = time.monotonic() + 30, set(acknowledged)
        while missing and time.monotonic() < until:
            time.sleep(0.1)
            status, listed = server.call("GET", "/api/sessions")
            if status == 200:
                missing = set(acknowledged) - {session["session_id"] for session in listed["sessions"]}
        assert not missing, f"gone: {sorted(missing)}\n" + server.text()[-3000:]
        runs = server.call("GET", "/api/sessions/away/runs")[1]["runs"]
        assert any("kept.txt" in run["code"] for run in runs), runs
        print(f"{RECORDS} sessions and a run acknowledged without a database: all there after both were killed")


if __name__ == "__main__":
    sys.exit(main())
