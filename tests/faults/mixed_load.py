#!/usr/bin/env python3
"""kill -9 of server, zygote, init, kernel and postgres during a mixed load, under `serve --supervise`.

What was acknowledged is there: files, sessions and their runs, datasets with all their rows, and jobs, each of which ends once and in a way it was ordered with;
variables are, or their loss is named in the answer that first misses them. A killed zygote loses no session. The service answers again by itself, and 10 s later nothing is left of the dead.
CI: each is killed once; POWER_TEST_FULL=1: for two minutes.
"""
import json
import os
import random
import sys
import threading
import time

from rig import FULL, Server

ROLES = ("server", "zygote", "init", "kernel", "postgres")
SESSIONS = 3
CELL = """
if 'history' not in globals(): history = []
history.append({n})
with open('file{n}.txt', 'w') as f: f.write('content {n}')
print('#' + ','.join(map(str, history)))
"""


class Client(threading.Thread):
    """One agent: cells one after the other, each with an effect on variables and files; now and then a session with a record."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.name = server, name
        self.on, self.number = True, 0
        self.acknowledged, self.files, self.records = [], [], []
        self.problems, self.losses, self.unanswered = [], [], 0

    def run(self):
        while self.on:
            self.cell()
            if self.number % 7 == 0:
                self.record()
            time.sleep(random.uniform(0.01, 0.1))

    def cell(self):
        self.number += 1
        number = self.number
        status, answer = self.server.run(CELL.format(n=number), self.name, 20)
        if status != 200:
            self.unanswered += 1
            time.sleep(0.1)
            return
        told = json.dumps([answer.get("kernel_info"), answer.get("failure"), answer.get("notes"), answer.get("error_message")])
        if not answer["success"]:
            self.losses.append(told)
            # Gone with the kernel, or gone back to a checkpoint: both say what is lost.
            if not answer.get("kernel_info", {}).get("session_persisted") or (answer.get("failure") or {}).get("lost"):
                self.lost_by_failure = told
            return
        self.files.append(number)
        present = {int(n) for n in answer["stdout"].split("#")[1].strip().split(",")}
        missing = [n for n in self.acknowledged if n not in present]
        if missing:
            info = answer["kernel_info"]
            named = info.get("restored") or info.get("note") or getattr(self, "lost_by_failure", None)
            if named:
                self.losses.append(f"cells {missing}: {json.dumps(named)[:300]}")
            else:
                self.problems.append(f"{self.name}: cells {missing} are missing after {number} and no answer said so: {told[:500]}")
        self.lost_by_failure = None
        self.acknowledged = sorted(present)

    lost_by_failure = None

    def record(self):
        name = f"{self.name}-record-{self.number}"
        status, _ = self.server.call("POST", "/api/sessions", {"session_id": name, "description": f"made after {self.number}"}, 30)
        if status in (200, 201):
            self.records.append(name)


JOB = """
import os, time
with open('ran{n}.txt', 'a') as f: f.write(os.urandom(8).hex() + '\\n')
time.sleep(0.{pause})
print('done {n}')
"""


class Submitter(threading.Thread):
    """Orders jobs, each until it is acknowledged: the key makes one job of several tries. Two of three run again when their server
    is lost, the third ends as interrupted."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.on, self.jobs, self.tries, self.problems = server, True, {}, 0, []

    def run(self):
        number = 0
        while self.on:
            number += 1
            order = {"code": JOB.format(n=number, pause=random.randint(1, 6)), "session_id": "jobs", "idempotency_key": f"job{number}",
                     "timeout": 60, "if_lost": "requeue" if number % 3 else "interrupt"}
            until = time.monotonic() + 60
            while time.monotonic() < until:
                self.tries += 1
                status, answer = self.server.call("POST", "/api/jobs/submit", order, 30)
                if status in (200, 202):
                    self.jobs[number] = answer["job_id"]
                    break
                time.sleep(0.1)
            else:
                self.problems.append(f"job {number} could not be submitted for a minute: {status} {answer}")
            time.sleep(random.uniform(0.3, 0.8))

    def check(self):
        problems, states = [], {}
        _, listed = self.server.call("GET", "/api/jobs?limit=200")
        ids = [job["job_id"] for job in listed.get("jobs", [])]
        for number, job in list(self.jobs.items()):
            _, facts = self.server.call("GET", f"/api/jobs/{job}/status")
            state = facts.get("state")
            states[state] = states.get(state, 0) + 1
            if len(self.jobs) <= 200 and ids.count(job) != 1:
                problems.append(f"job {number} is {ids.count(job)} times in the list")
            ran = len(self.server.out(f"import os\nprint(open('ran{number}.txt').read() if os.path.exists('ran{number}.txt') else '')", "jobs").split())
            if state == "succeeded":
                _, result = self.server.call("GET", f"/api/jobs/{job}/result")
                if f"done {number}" not in json.dumps(result) or not 1 <= ran <= facts["attempts"]:
                    problems.append(f"job {number} succeeded, ran {ran} times in {facts['attempts']} attempts: {json.dumps(result)[:300]}")
            elif state == "failed" and facts.get("cause") in ("signal", "zygote"):  # it was the job's own kernel that was killed
                if ran > facts["attempts"]:
                    problems.append(f"job {number} ran {ran} times in {facts['attempts']} attempts")
            elif state != "interrupted" or number % 3 or ran > 1:
                problems.append(f"job {number} (ran {ran} times) is {json.dumps(facts)[:500]}")
        return problems, states


class Storer(threading.Thread):
    """Stores datasets, some of them again and again. Version v of one has 500 + v rows. What was acknowledged is there whole; what was
    tried after it without an answer may be there in its place, also whole."""

    NAMES = 5

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.on, self.stored, self.possible, self.count, self.unanswered = server, True, {}, {}, 0, 0
        self.refusals = []

    def run(self):
        version = 0
        while self.on:
            version += 1
            name = f"set_{version % self.NAMES}"
            text = "id,v,word\n" + "".join(f"{i},{version},w{i}\n" for i in range(500 + version))
            self.possible.setdefault(name, set()).add(version)
            status, answer = self.server.call("POST", "/api/data/load", {"dataset_name": name, "text": text}, 60)
            if status == 200:
                self.stored[name], self.possible[name] = version, set()
                self.count += 1
            elif status in (400, 404, 422):
                self.refusals.append(f"dataset {name} was refused: {status} {json.dumps(answer)[:300]}")
            else:
                self.unanswered += 1
                time.sleep(0.2)
            time.sleep(random.uniform(0.05, 0.3))

    def check(self):
        problems = []
        _, listed = self.server.call("GET", "/api/data/datasets")
        rows = {one["name"]: one["row_count"] for one in listed.get("datasets", []) if one.get("kind") == "persistent"}
        for name, version in self.stored.items():
            allowed = {500 + one for one in {version, *self.possible[name]}}
            if rows.get(name) not in allowed:
                problems.append(f"dataset {name} has {rows.get(name)} rows in the list, acknowledged were {500 + version}, possible {sorted(allowed)}")
                continue
            status, answer = self.server.call("POST", "/api/data/query", {"sql": f"SELECT count(*) AS n, min(v) AS a, max(v) AS b, sum(id) AS s FROM {name}"})
            n = rows[name]
            if status != 200 or answer["data"] != [{"n": n, "a": n - 500, "b": n - 500, "s": n * (n - 1) // 2}]:
                problems.append(f"dataset {name} should have {n} rows: {status} {json.dumps(answer)[:300]}")
        return problems


def check(server, clients):
    problems = []
    status, listed = server.call("GET", "/api/sessions")
    names = {session["session_id"] for session in listed.get("sessions", [])}
    for client in clients:
        problems += [f"{client.name}: the acknowledged session {name} is gone" for name in client.records if name not in names]
        text = server.out(f"import json\nbad = []\nfor n in {client.files!r}:\n    try:\n        if open(f'file{{n}}.txt').read() != f'content {{n}}': bad.append(n)\n"
                          "    except OSError: bad.append(n)\nprint(json.dumps(bad))", client.name)
        if json.loads(text):
            problems.append(f"{client.name}: files of acknowledged cells are wrong or gone: {text}")
        recorded, page = 0, [None]
        while page:
            _, runs = server.call("GET", f"/api/sessions/{client.name}/runs?limit=100&offset={recorded}")
            page = runs.get("runs", [])
            recorded += len(page)
        # Records are written behind, within a quarter of a second: each kill may cost the last few.
        if recorded < 0.8 * len(client.files):
            problems.append(f"{client.name}: {recorded} runs in the history, {len(client.files)} were acknowledged")
    return problems


def zygote_alone(server, clients):
    """No session loses anything with the zygote, even one that started no process since."""
    for client in clients:
        client.cell()
        client.losses.clear()
    [zygote] = server.role("zygote")
    os.kill(zygote.pid, 9)
    for client in clients:
        client.cell()
    return [f"{client.name}: the death of the zygote cost {client.losses}" for client in clients if client.losses]


def main():
    seed = int(time.time())
    random.seed(seed)
    problems, killed = [], {}
    with Server("--job-lease-seconds", "3", supervised=True) as server:
        submitter, storer = Submitter(server), Storer(server)
        clients = [Client(server, f"agent{i}") for i in range(SESSIONS)]
        problems += zygote_alone(server, clients)
        for client in [*clients, submitter, storer]:
            client.start()
        until = time.monotonic() + 120
        rounds = 0
        while time.monotonic() < until if FULL else rounds < 1:
            rounds += 1
            for role in random.sample(ROLES, len(ROLES)):
                time.sleep(random.uniform(0.3, 1.2))
                found = server.role(role)
                patience = time.monotonic() + 15  # while the server comes back there is no kernel to kill
                while not found and time.monotonic() < patience:
                    time.sleep(0.1)
                    found = server.role(role)
                if found:
                    victim = random.choice(found)
                    try:
                        os.kill(victim.pid, 9)
                        killed[role] = killed.get(role, 0) + 1
                    except ProcessLookupError:
                        pass
        last = time.monotonic()
        answered = [len(client.files) for client in clients]  # the clients' own calls: another's would take the word about a loss away
        while any(len(client.files) <= before for client, before in zip(clients, answered)) and time.monotonic() - last < 60:
            time.sleep(0.05)
        problems += [f"{client.name} had no answer within a minute of the last kill"
                     for client, before in zip(clients, answered) if len(client.files) <= before]
        back = time.monotonic() - last
        submitter.on = storer.on = False
        submitter.join(90)
        storer.join(90)
        for client in clients:
            client.on = False
        for client in clients:
            client.join(60)
            client.cell()
        patience = time.monotonic() + 20  # what was written while the database was away follows when it is back
        while (found := check(server, clients)) and time.monotonic() < patience:
            time.sleep(1)
        problems += [problem for client in clients for problem in client.problems] + found
        patience = time.monotonic() + 60
        while (ended := submitter.check())[0] and time.monotonic() < patience:
            time.sleep(1)
        problems += submitter.problems + ended[0]
        problems += storer.refusals + storer.check()
        if not storer.count:
            problems.append("no dataset was acknowledged")
        while server.leftovers() and time.monotonic() - last < max(10, back + 10):
            time.sleep(0.2)
        problems += [f"left over: {p.pid} {p.command[:100]}" for p in server.leftovers()]
        cells = sum(len(client.files) for client in clients)
        losses = [loss for client in clients for loss in client.losses]
        print(f"seed {seed}: killed {killed}; {cells} cells acknowledged, {sum(c.unanswered for c in clients)} calls without an answer, "
              f"{len(losses)} losses named, all sessions answered {back:.1f} s after the last kill; {len(submitter.jobs)} jobs acknowledged "
              f"in {submitter.tries} tries, ended: {ended[1]}; {storer.count} datasets acknowledged, {storer.unanswered} calls without an answer")
        if killed.keys() != set(ROLES):
            problems.append(f"not all roles were found: {killed}")
        if problems:
            print(*problems, sep="\n")
            print("\n".join(losses[:10]))
            print(server.text()[-6000:])
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
