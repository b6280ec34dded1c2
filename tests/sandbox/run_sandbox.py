"""Drives sandbox_try through one tier: python3 run_sandbox.py <tier> [part ...]; tiers: full container nonroot, and userns
(`full` of a server that is not root); parts: attacks work variants neighbours limits ends bench.

Needs POWER_BIN (power-init) and POWER_TRY (sandbox_try); POWER_PYTHON_ENV names the kernels' environment.
POWER_LANDLOCK caps the Landlock ABI; POWER_BEST is the tier that the probe has to find by itself here. full and container
need root; as root, nonroot and userns become a throwaway user first. Prints the rows that failed, a count, and what the tier does not stop; exit code 1 when any failed, and (all
parts) when a category has no row. Everything it makes or starts ends with it.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import categories

HERE = os.path.dirname(os.path.abspath(__file__))
TRY = os.environ["POWER_TRY"]
PYTHON = "/usr/bin/python3"
STACK = os.environ.get("POWER_PYTHON_ENV") or ""  # the kernels' libraries: a bare system has none of its own
UID, OTHER, THROWAWAY = 70001, 70002, 64200
SECRET = "sk-power-secret-0123456789"
MEGABYTE = 1 << 20
LANDLOCK = int(os.environ.get("POWER_LANDLOCK", "99"))

SERVER = """
import json, os, socket, sys
root = sys.argv[1]
def unix(name, kind):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(name)
    if not name.startswith('\\0'):
        os.chmod(name, 0o777)
    if kind == socket.SOCK_STREAM:
        s.listen(50)
    return s
kept = [unix(root + '/server.sock', socket.SOCK_STREAM), unix(root + '/server.dgram', socket.SOCK_DGRAM),
        unix('\\0power-test-%d' % os.getpid(), socket.SOCK_STREAM), socket.create_server(('127.0.0.1', 0))]
print(json.dumps([os.getpid(), kept[3].getsockname()[1]]), flush=True)
sys.stdin.read()
"""


class Ground:
    """Directories of two sessions and a running server with a secret, sockets and a port."""

    def __init__(self, tier):
        self.user_namespace = tier == "userns"
        self.tier = "full" if self.user_namespace else tier
        self.own = tier in ("nonroot", "userns")
        self.root = tempfile.mkdtemp(prefix="power-sandbox-", dir="/var/tmp")
        os.chmod(self.root, 0o711)
        for name, uid, mode in (("work", UID, 0o700), ("tmp", UID, 0o700), ("other", OTHER, 0o700), ("elsewhere", 0, 0o1777), ("tools", 0, 0o755)):
            path = os.path.join(self.root, name)
            os.mkdir(path)
            os.chmod(path, mode)
            if not self.own and uid:
                os.chown(path, uid, uid)
        for name in ("readable", "other/private.csv"):
            with open(os.path.join(self.root, name), "w") as file:
                file.write(SECRET)
        shutil.copy("/usr/bin/id", os.path.join(self.root, "tools/id"))
        os.chmod(os.path.join(self.root, "tools/id"), 0o4755)
        self.server = subprocess.Popen([PYTHON, "-c", SERVER, self.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env={"OPENAI_API_KEY": SECRET, "PATH": "/usr/bin"}, text=True)
        self.pid, self.port = json.loads(self.server.stdout.readline())

    def close(self):
        self.server.kill()
        self.server.communicate()
        shutil.rmtree(self.root)

    def plan(self, **changes):
        uid = os.getuid() if self.own else UID
        plan = {"tier": self.tier, "userNamespace": self.user_namespace, "landlockAbi": LANDLOCK, "uid": uid, "gid": os.getgid() if self.own else UID,
                "workspace": self.root + "/work", "workspaceInside": "/app/sandbox_data/it's a test", "scratch": self.root + "/tmp",
                "readOnly": [self.root + "/tools", *([STACK] if STACK else [])], "memoryBytes": 1024 * MEGABYTE, "fileBytes": 64 * MEGABYTE,
                "processes": 64, "openFiles": 256}
        plan.update(changes)
        return json.dumps(plan)

    def targets(self):
        return json.dumps({"tier": self.tier, "server_pid": self.pid, "port": self.port, "secret": SECRET, "unix": self.root + "/server.sock",
                           "unix_datagram": self.root + "/server.dgram", "abstract": f"power-test-{self.pid}", "other": self.root + "/other",
                           "readable": self.root + "/readable", "elsewhere": self.root + "/elsewhere", "setuid": self.root + "/tools/id"})

    def run(self, *program, seconds=60, **changes):
        """Exit code, stdout, stderr of a program in a sandbox of this ground."""
        ran = subprocess.run([TRY, "run", self.plan(**changes), str(seconds), *program], capture_output=True, text=True, timeout=seconds + 20,
                             env={"POWER_BIN": os.environ["POWER_BIN"], "OPENAI_API_KEY": SECRET})
        return ran.returncode, ran.stdout, ran.stderr

    def python(self, code, **changes):
        return self.run(PYTHON, "-c", code, **changes)


def script_rows(ground, name, argument):
    """The rows a script prints inside; the script is copied into the workspace, from where spawn can import it."""
    target = os.path.join(ground.root, "work", name)
    shutil.copy(os.path.join(HERE, name), target)
    os.chmod(target, 0o644)
    python = f"{STACK}/bin/python3" if STACK else PYTHON
    code, out, err = ground.run(python, name, argument)
    rows = [json.loads(line) for line in out.splitlines()]
    rows.append([f"{name} ran to its end", f"exit code {code}: {err[-2000:]}" if code else "0", ["0"], code == 0])
    return rows


def attacks(ground):
    rows = script_rows(ground, "attacks.py", ground.targets())
    alive = ground.server.poll() is None
    stopped = open(f"/proc/{ground.pid}/stat").read().split()[2] if alive else "gone"
    rows.append(["the server was not touched", stopped, ["S", "R"], stopped in "SR"])
    mode = oct(os.stat(ground.root + "/other").st_mode & 0o777)
    rows.append(["the other session's mode is what it was", mode, ["0o700"], mode == "0o700"])
    return rows


def work(ground):
    return script_rows(ground, "workload.py", ground.tier)


def processes_of(uid):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid and open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX":
                found.append(int(pid))
        except OSError:
            pass
    return found


def check(name, good, outcome):
    return [name, str(outcome)[-600:], ["held"], bool(good)]


def limits(ground):
    rows = []
    code, out, err = ground.python("""
kept = []
try:
    while True:
        kept.append(bytearray(16 << 20))
except MemoryError:
    got = len(kept) * 16
    del kept
    print(got, sum(range(1000)))
""")
    words = out.split()
    rows.append(check("memory: MemoryError, then on", code == 0 and len(words) == 2 and 600 < int(words[0]) <= 1024 and words[1] == "499500", (code, out, err)))

    code, out, err = ground.python("""
import os
try:
    with open('big', 'wb') as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    print('open')
except OSError as problem:
    print(problem.errno, os.path.getsize('big') >> 20)
os.unlink('big')
""")
    rows.append(check("file size: EFBIG", out.split() == ["27", "64"], (code, out, err)))

    code, out, err = ground.python("""
import os
kept = []
try:
    while True:
        kept.append(os.dup(0))
except OSError as problem:
    print(problem.errno, len(kept) <= 256)
""")
    rows.append(check("open files: EMFILE", out.split() == ["24", "True"], (code, out, err)))

    # Counted from outside: the bomb leaves its own processes little time to say anything.
    uid = os.getuid() if ground.own else UID
    before = len(processes_of(uid))
    bomb = subprocess.Popen([TRY, "run", ground.plan(), "4", PYTHON, "-c", BOMB], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    most = 0
    while bomb.poll() is None:
        most = max(most, len(processes_of(uid)) - before)
        time.sleep(0.05)
    left = processes_of(uid) if not ground.own else []
    rows.append(check("fork bomb: held at the limit, killed whole", bomb.returncode == 124 and 32 <= most <= 70 and not left,
                      (bomb.returncode, most, left, bomb.stderr.read())))
    if ground.tier == "full":
        code, out, err = ground.python("""
try:
    with open('/dev/shm/big', 'wb') as file:
        for _ in range(63):
            file.write(bytes(1 << 20))
        with open('/dev/shm/big2', 'wb') as other:
            for _ in range(63):
                other.write(bytes(1 << 20))
    print('open')
except OSError as problem:
    print(problem.errno)
""")
        rows.append(check("/dev/shm: ENOSPC", out.split() == ["28"], (code, out, err)))
    return rows


BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
DAEMONS = """
import os, time, signal
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
open(f'/dev/shm/power-left-{os.getuid()}', 'w').close()
time.sleep(0.3)
print('ready', flush=True)
"""


def ends(ground):
    """Nothing is left of a tree, however it ended."""
    rows = []
    uid = os.getuid() if ground.own else UID

    def left():
        return [pid for pid in processes_of(uid) if pid not in (os.getpid(), ground.pid)]

    if ground.tier != "nonroot":
        code, out, err = ground.python(DAEMONS)
        rows.append(check("daemons die with their kernel", code == 0 and out == "ready\n" and not left(), (code, out, err, left())))
        rows.append(check("what they owned in /dev/shm is gone", not os.path.exists(f"/dev/shm/power-left-{uid}"), os.listdir("/dev/shm")))
        # the one who started the kernel dies without a word: in full its init sees the lifeline close, else the start-up sweep
        starter = subprocess.Popen([TRY, "run", ground.plan(), "60", PYTHON, "-c", DAEMONS + "time.sleep(600)"], stdout=subprocess.PIPE, text=True)
        ready = starter.stdout.readline()
        before = len(left())
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        if ground.tier == "container":
            subprocess.run([TRY, "sweep", str(uid)], check=True)
        end = time.monotonic() + 5
        while left() and time.monotonic() < end:
            time.sleep(0.02)
        rows.append(check("a dead server leaves nothing", ready == "ready\n" and before >= 6 and not left(), (ready, before, left())))
    else:
        code, out, err = ground.python(DAEMONS + "time.sleep(600)", seconds=2)
        os.unlink(f"/dev/shm/power-left-{uid}")
        rows.append(check("daemons die with their kernel", code == 124 and out == "ready\n" and not left(), (code, out, err, left())))
    code, out, err = ground.python("import ctypes; ctypes.string_at(0)")
    rows.append(check("a segfault is told by its signal", code == 128 + signal.SIGSEGV, (code, err)))
    return rows


KEEPS = """
import fcntl, os, time
from multiprocessing import get_context, shared_memory
block = shared_memory.SharedMemory(create=True, size=4096, name='power-test-block')
open('/dev/shm/power-test-file', 'w').write('private')
open('/dev/shm/power-test-given', 'w').write('for whoever knows the name')
os.chmod('/dev/shm/power-test-given', 0o666)
lock_on = os.open('/usr/bin/id', os.O_RDONLY)
fcntl.flock(lock_on, fcntl.LOCK_EX)
lock = get_context('fork').Lock()
print('ready', flush=True)
until = time.monotonic() + 60
while not os.path.exists('stop') and time.monotonic() < until:
    time.sleep(0.02)
held = open('/dev/shm/power-test-file').read() == 'private' and bytes(block.buf[:4]) == bytes(4)
block.close()
block.unlink()
os.unlink('/dev/shm/power-test-file')
os.unlink('/dev/shm/power-test-given')
print('unchanged' if held else 'changed')
"""
PRIES = """
import errno, fcntl, json, os
def tried(function, *arguments):
    try:
        result = function(*arguments)
        return result if isinstance(result, str) else 'open'
    except OSError as problem:
        return errno.errorcode[problem.errno]
found = {'list': tried(lambda: 'open' if os.listdir('/dev/shm') else 'empty')}
for name in ('power-test-file', 'power-test-block'):
    path = '/dev/shm/' + name
    found['read ' + name] = tried(lambda: open(path).read(1) and None)
    found['write ' + name] = tried(lambda: os.write(os.open(path, os.O_WRONLY), b'x') and None)
    found['empty ' + name] = tried(os.truncate, path, 0)
    found['remove ' + name] = tried(os.unlink, path)
    found['rename ' + name] = tried(os.rename, path, path + '-mine')
    found['link ' + name] = tried(os.link, path, 'link')
    found['mode ' + name] = tried(os.chmod, path, 0o666)
agreed = {'a file given away in /dev/shm': tried(lambda: open('/dev/shm/power-test-given').read()),
          'a lock on a file of the system': tried(lambda: fcntl.flock(os.open('/usr/bin/id', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB))}
print(json.dumps([found, agreed]))
"""
# What sessions that work together can tell one another, and how; LEFT_OPEN says it, and this says when it is no longer true.
TOLD = {"full": ("ENOENT", "EAGAIN"), "container": ("for whoever knows the name", "EAGAIN")}


def neighbours(ground):
    """What a session keeps in /dev/shm is not there for another one, or does not open to it."""
    if ground.own:
        return []  # one user for all sessions: a private /dev/shm (userns, as in full), or none at all (nonroot: see LEFT_OPEN)
    keeper = subprocess.Popen([TRY, "run", ground.plan(), "90", PYTHON, "-c", KEEPS], stdout=subprocess.PIPE, text=True)
    ready = keeper.stdout.readline()
    code, out, err = ground.python(PRIES, uid=OTHER, gid=OTHER, workspace=ground.root + "/other", scratch="" if ground.tier == "full" else ground.root + "/other")
    stop = os.path.join(ground.root, "work", "stop")  # in the keeper's workspace
    with open(stop, "w"):
        pass
    held = keeper.communicate(timeout=90)[0]
    os.unlink(stop)
    rows = [check("/dev/shm of another session: it keeps what it was", ready == "ready\n" and held == "unchanged\n", (ready, held, code, err))]
    refusals = ("ENOENT",) if ground.tier == "full" else ("EACCES", "EPERM", "EXDEV")
    found, agreed = json.loads(out or '[{"none": ""}, {}]')
    rows.append(check("sessions that work together: as LEFT_OPEN says", tuple(agreed.values()) == TOLD[ground.tier], (agreed, err)))
    for name, outcome in found.items():
        rows.append(check(f"/dev/shm of another session: {name}", outcome in refusals or (name == "list" and outcome == "empty"), outcome))
    return rows


def variants(ground):
    """What workers ask for beside a session's plan, and how a failure reads."""
    rows = []
    full = ground.tier == "full"
    code, out, err = ground.python(f"""
import errno, socket
def tried(f, *a):
    try:
        f(*a)
        return 'open'
    except OSError as problem:
        return errno.errorcode[problem.errno]
unix = socket.socket(socket.AF_UNIX)
print(tried(socket.socketpair), tried(socket.socket, socket.AF_NETLINK, 3), tried(socket.socket, socket.AF_INET), tried(unix.connect, chr(0) + 'power-test-{ground.pid}'))
""", allowUnixSockets=True)
    wanted = ["open", "EAFNOSUPPORT", "open" if full else "EAFNOSUPPORT", "ECONNREFUSED" if full else "EPERM"]
    rows.append(check("unix sockets on request, others still not", out.split() == wanted, (code, out, err)))

    readable, writable = ("/opt/tools", "/out/dir") if full else (ground.root + "/tools", ground.root + "/elsewhere")
    code, out, err = ground.python(f"""
import os
open('{writable}/result', 'w').write('x')
print(os.listdir('{readable}'))
try:
    open('{readable}/x', 'w')
except OSError:
    print('held')
""", readOnly=[], binds=[{"source": ground.root + "/elsewhere", "target": writable, "writable": True},
                         {"source": ground.root + "/tools", "target": readable, "writable": False}])
    rows.append(check("binds, writable and not", out == "['id']\nheld\n" and os.path.exists(ground.root + "/elsewhere/result"), (code, out, err)))

    if full:
        code, out, err = ground.python("open('/tmp/x', 'w').write('x'); print(open('/proc/mounts').read().count(' /tmp tmpfs '))", scratch="")
        rows.append(check("/tmp of its own without a scratch", out == "1\n", (code, out, err)))
    code, out, err = ground.run("/bin/true", workspace=ground.root + "/none")
    rows.append(check("a failure names the step and the path", code == 99 and ground.root + "/none" in err and "No such file" in err, (code, err)))
    return rows


def bench(ground):
    ran = subprocess.run([TRY, "bench", ground.plan(), "200"], capture_output=True, text=True, env={"POWER_BIN": os.environ["POWER_BIN"]})
    print(ran.stdout + ran.stderr)
    return [check("bench", ran.returncode == 0, ran.stderr)]


def probed(tier, user_namespace):
    def answer(*arguments):
        return json.loads(subprocess.run([TRY, "probe", *arguments], capture_output=True, text=True).stdout)

    forced = answer(tier, str(LANDLOCK))
    rows = [check("the probe finds it possible", forced["tier"] == tier and forced["user_namespace"] == user_namespace, forced)]
    if "POWER_BEST" in os.environ:
        free = answer()
        rows.append(check("the probe finds the best by itself", free["tier"] == os.environ["POWER_BEST"], free))
    return rows


def without_user_namespaces():
    """Where a user may not make user namespaces (as in every chroot) the probe falls back to nonroot, and below its ABI to nothing."""
    def answer(*arguments):
        enter = f'mount --rbind / /mnt && exec chroot --userspec={THROWAWAY}:{THROWAWAY} /mnt "$@"'
        ran = subprocess.run(["unshare", "-m", "sh", "-c", enter, "sh", TRY, "probe", *arguments], capture_output=True, text=True)
        return json.loads(ran.stdout or "{}")

    best, old = answer(), answer("nonroot", "2")
    return [check("no user namespaces: nonroot", best.get("tier") == "nonroot" and "user and pid namespace" in best["reason"], best),
            check("no user namespaces, Landlock 2: nothing", old.get("tier") == "none", old)]


def main():
    tier = sys.argv[1]
    parts = sys.argv[2:] or ["attacks", "work", "variants", "neighbours", "limits", "ends"]
    forbidden = without_user_namespaces() if tier == "nonroot" and os.getuid() == 0 else []
    if tier in ("nonroot", "userns") and os.getuid() == 0:
        os.setgroups([])
        os.setresgid(THROWAWAY, THROWAWAY, THROWAWAY)
        os.setresuid(THROWAWAY, THROWAWAY, THROWAWAY)
    ground = Ground(tier)
    failed = count = 0
    held = []
    try:
        rows = forbidden + probed(ground.tier, ground.user_namespace)
        for part in parts:
            found = globals()[part](ground)
            rows += found
            if part == "attacks":
                rows += [check("every attack belongs to a category", not unsorted, unsorted)
                         for unsorted in [categories.homeless([row[0] for row in found[:-3]])]]
        if not sys.argv[2:]:
            lacking = categories.missing([row[0] for row in rows])
            rows.append(check("every category is covered", not lacking, lacking))
        for name, outcome, wanted, good in rows:
            count += 1
            if good:
                held.append(name)
            else:
                failed += 1
                print(f"FAILED {tier}: {name}: {outcome} (wanted: {' or '.join(wanted)})")
    finally:
        ground.close()
    print(f"{tier}: {count - failed} of {count} rows held")
    if not sys.argv[2:]:
        print(*(f"  {line}" for line in categories.summary(held)), sep="\n")
    print(*(f"  not stopped: {line}" for line in categories.LEFT_OPEN[tier] + categories.ALWAYS), sep="\n")
    sys.exit(1 if failed or count < 2 else 0)


if __name__ == "__main__":
    main()
