"""A server of its own for a test, its calls, and the processes behind it. Standard library only; Linux."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = os.environ["POWER_BIN"]
ENV = os.environ.get("POWER_PYTHON_ENV", "")
FULL = bool(os.environ.get("POWER_TEST_FULL"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Process:
    """One process, told from a later one with the same pid by its start time."""

    def __init__(self, pid):
        self.pid = pid
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        self.state, self.parent, self.started = fields[0], int(fields[1]), fields[19]
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self.command = file.read().replace(b"\0", b" ").decode(errors="replace")

    def lives(self):
        try:
            now = Process(self.pid)
        except OSError:
            return False
        return now.started == self.started and now.state not in "ZX"


def processes():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = Process(int(name))
            except OSError:
                pass
    return found


class Server:
    """Started at once; `with` ends it and removes its data."""

    def __init__(self, *flags, supervised=False):
        self.data = tempfile.mkdtemp(prefix="power-faults-")
        os.chmod(self.data, 0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(self.data, "log"), "w+")
        command = [os.path.join(BIN, "power-interpreter"), "--port", str(self.port), "--host", "127.0.0.1", "--data-dir", self.data + "/data",
                   "--sandbox-dir", self.data + "/sandbox", *(["--python-env", ENV] if ENV else []), *(["--supervise"] if supervised else []), *flags]
        os.makedirs(self.data + "/data")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        self.supervised = supervised
        self.seen = {}
        if not self.answers(120):
            raise SystemExit("the server did not start:\n" + self.text()[-4000:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.log.close()
            shutil.rmtree(self.data, ignore_errors=True)

    def text(self):
        with open(os.path.join(self.data, "log")) as file:
            return file.read()

    # -- calls

    def call(self, method, path, body=None, timeout=60):
        """(status, JSON); (0, reason) when there was no answer."""
        request = urllib.request.Request(self.url + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")
        except (OSError, ValueError, urllib.error.URLError) as error:
            return 0, str(error)

    def run(self, code, session="default", timeout=60):
        return self.call("POST", "/api/execute", {"code": code, "session_id": session, "timeout": timeout}, timeout + 30)

    def out(self, code, session="default", timeout=60):
        """stdout of a cell that must not fail."""
        status, answer = self.run(code, session, timeout)
        assert status == 200 and answer["success"], (code, status, answer)
        return answer["stdout"]

    def answers(self, seconds, session="first"):
        """A cell can be run, within so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            status, answer = self.run("1", session, 20)
            if status == 200 and answer["success"]:
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.1)
        return False

    def health(self):
        return self.call("GET", "/health")[1]

    # -- processes

    def family(self):
        """{pid: Process} of everything below the server; all are remembered in `seen`, with the server of that moment."""
        everything = processes()
        family = {}
        for pid, process in everything.items():
            above, steps = pid, 0
            while above in everything and steps < 50:
                if above == self.process.pid:
                    family[pid] = process
                    break
                above, steps = everything[above].parent, steps + 1
        server = self.server_of(family)
        for process in family.values() if server else ():
            self.seen.setdefault((process.pid, process.started), (process, (server.pid, server.started)))
        return family

    def server_of(self, family):
        """The server's own process: the supervisor's child, or what was started."""
        if not self.supervised:
            return family.get(self.process.pid)
        return next((p for p in family.values() if p.parent == self.process.pid and "power-interpreter" in p.command), None)

    def role(self, name):
        """Processes in a role: server, zygote, init, kernel, postgres."""
        family = self.family()
        if name == "postgres":
            found = []
            for root, _, files in os.walk(self.data + "/data/postgres"):
                if "postmaster.pid" in files:
                    with open(os.path.join(root, "postmaster.pid")) as file:
                        pid = int(file.readline())
                    found += [process for process in [processes().get(pid)] if process and "postgres" in process.command]
            return found
        server = self.server_of(family)
        if name == "server" or server is None:
            return [server] if server else []
        mine = [p for p, owner in self.seen.values() if owner == (server.pid, server.started) and p.lives()]  # orphans of a zygote too
        zygotes = [p for p in mine if " zygote" in p.command and p.parent == server.pid]
        if name == "zygote":
            return zygotes
        if name == "init":
            return [p for p in mine if p.command.startswith("power-init")]
        return [p for p in mine if "power-kernel" in p.command and p not in zygotes]

    def leftovers(self):
        """Processes that live although the server they were seen below does not (its database aside)."""
        server = self.server_of(self.family())
        now = (server.pid, server.started) if server else None
        return [p for p, owner in self.seen.values() if owner != now and "postgres" not in p.command and p.pid != self.process.pid and p.lives()]
