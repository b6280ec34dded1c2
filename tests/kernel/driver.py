"""Speaks the frames of shared/wire/PROTOCOL.md to a real power-kernel, without the server."""
import array
import atexit
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

RUN, TASK, ANSWER, READY, DISPLAY, DONE, ASK = 1, 2, 3, 16, 17, 18, 19
CHECKPOINT, RESUME, CHECKPOINTED, PARKED, RESUMED = 4, 5, 20, 21, 22
SPAWN, KILL, ADOPT, ZYGOTE_READY, SPAWNED, SPAWN_FAILED, EXITED = 32, 33, 34, 48, 49, 50, 51
MAGIC = 0x31465750
PROGRAM = os.path.join(os.environ.get("POWER_BIN", "."), "power-kernel")
TOKEN = "0123456789abcdef"
MARKER = re.compile(rb"\x1b\]PI;" + TOKEN.encode() + rb";(\d+);([oef])\x07")


def encode(kind, meta, blob=b""):
    text = json.dumps(meta).encode()
    return struct.pack("<IHHII", MAGIC, kind, 0, len(text), len(blob)) + text + blob


class Frames:
    """Blocking reader of one socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def send(self, kind, meta, blob=b"", fds=()):
        data = encode(kind, meta, blob)
        if not fds:
            return self.sock.sendall(data)
        sent = self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        self.sock.sendall(data[sent:])

    def take(self):
        if len(self.buffer) < 16:
            return None
        magic, kind, zero, metas, blobs = struct.unpack("<IHHII", self.buffer[:16])
        assert magic == MAGIC and zero == 0 and metas <= 65536, "not a frame"
        if len(self.buffer) < 16 + metas + blobs:
            return None
        meta = json.loads(self.buffer[16 : 16 + metas])
        blob = self.buffer[16 + metas : 16 + metas + blobs]
        self.buffer = self.buffer[16 + metas + blobs :]
        return kind, meta, blob

    def fill(self):
        part = self.sock.recv(1 << 20)
        if not part:
            raise EOFError("closed")
        self.buffer += part

    def next(self, timeout=20):
        end = time.monotonic() + timeout
        while True:
            frame = self.take()
            if frame:
                return frame
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError("no frame")
            self.fill()


class Zygote:
    def __init__(self, *arguments, environment=None, stderr=None):
        ours, theirs = socket.socketpair()
        self.cache = os.environ.get("POWER_TEST_CACHE") or os.path.join(tempfile.gettempdir(), "power-kernel-test-cache")
        os.makedirs(self.cache, exist_ok=True)
        if os.environ.get("POWER_PYTHON_ENV"):  # the venv with the locked stack, where it is built
            environment = {"POWER_PYTHON_ENV": os.environ["POWER_PYTHON_ENV"], **(environment or {})}
        clean = {"PATH": "/usr/bin:/bin", "MPLCONFIGDIR": self.cache, "LANG": "C.UTF-8", **(environment or {})}
        theirs_fd = theirs.fileno()

        def place():
            os.dup2(theirs_fd, 3)

        self.process = subprocess.Popen(
            [PROGRAM, "zygote", *arguments], env=clean, pass_fds=[3] if theirs_fd == 3 else [3, theirs_fd],
            preexec_fn=place, stdin=subprocess.DEVNULL, stderr=stderr,
        )
        theirs.close()
        self.frames = Frames(ours)
        kind, self.ready, _ = self.frames.next(60)
        assert kind == ZYGOTE_READY
        self.spawned = 0
        self.exits = {}

    def spawn(self, **options):
        return Kernel(self, **options)

    def wait_exit(self, pid, timeout=20):
        while pid not in self.exits:
            kind, meta, _ = self.frames.next(timeout)
            if kind == EXITED:
                self.exits[meta["pid"]] = meta
        return self.exits[pid]

    def close(self):
        self.frames.sock.close()
        self.process.wait(20)


class SpawnError(Exception):
    pass


class Answer:
    """outputs: [(kind, text or meta+parts)] in the merged order; done, trace."""

    def __init__(self, outputs, done, trace):
        self.outputs, self.done, self.trace = outputs, done, trace.decode()

    def text(self, kind):
        return "".join(item for name, item in self.outputs if name == kind)

    @property
    def stdout(self):
        return self.text("stdout")

    @property
    def stderr(self):
        return self.text("stderr")

    def displays(self, kind=None):
        return [item for name, item in self.outputs if name == "frame" and (kind is None or item["kind"] == kind)]

    @property
    def result(self):
        """text/plain of the last expression's value."""
        found = self.displays("result")
        return found[-1]["data"].get("text/plain", b"").decode() if found else None


class Kernel:
    def __init__(self, zygote, plan=None, **kernel):
        self.zygote = zygote
        self.workspace = tempfile.mkdtemp(prefix="pk-ws-")
        self.scratch = tempfile.mkdtemp(prefix="pk-tmp-")
        atexit.register(shutil.rmtree, self.workspace, True)
        atexit.register(shutil.rmtree, self.scratch, True)
        ours, theirs = socket.socketpair()
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        life_read, self.lifeline = os.pipe()
        zygote.spawned += 1
        plan = plan or {"tier": "none", "workspace": self.workspace, "workspaceInside": self.workspace, "scratch": self.scratch}
        info = {"session": "test", "token": TOKEN, "cwd": self.workspace, "home": self.workspace, "tmp": self.scratch,
                "run_as": "kernel", **kernel}
        started = time.monotonic()
        zygote.frames.send(SPAWN, {"spawn": zygote.spawned, "plan": plan, "kernel": info},
                           fds=[theirs.fileno(), out_write, err_write, life_read])
        theirs.close()
        for descriptor in (out_write, err_write, life_read):
            os.close(descriptor)
        while True:
            kind, meta, _ = zygote.frames.next()
            if kind == EXITED:
                zygote.exits[meta["pid"]] = meta
            elif kind == SPAWN_FAILED:
                raise SpawnError(meta)
            else:
                break
        self.spawned, self.pid = meta, meta["pid"]
        self.frames = Frames(ours)
        self.pipes = {out_read: b"", err_read: b""}
        self.out, self.err = out_read, err_read
        self.runs = 0
        self.asked = []
        self.reply = lambda meta, blob: (False, "no browser here", b"")  # None: no answer
        kind, self.ready, _ = self.frames.next()
        assert kind == READY
        self.ready_seconds = time.monotonic() - started

    def start(self, code, **options):
        self.runs += 1
        self.frames.send(RUN, {"run": str(self.runs), "files": True, "max_display": 32 << 20, **options}, code.encode())

    def run(self, code, timeout=30, **options):
        self.start(code, **options)
        return self.finish(timeout)

    def task(self, name, timeout=30, **arguments):
        self.runs += 1
        self.frames.send(TASK, {"run": str(self.runs), "task": name, **arguments})
        return self.finish(timeout)

    def finish(self, timeout=30):
        """Reads until Done, then both pipes up to its markers; merges by epoch."""
        end = time.monotonic() + timeout
        frames, done, trace = [], None, b""
        while done is None or not self.drained(done["epoch"]):
            waiting = [*self.pipes] + ([self.frames.sock] if done is None else [])
            ready = select.select(waiting, [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                raise TimeoutError("the run did not end")
            for item in ready:
                if item is self.frames.sock:
                    self.frames.fill()
                    while (frame := self.frames.take()) is not None:
                        kind, meta, blob = frame
                        assert meta["run"] == str(self.runs), meta
                        if kind == ASK:
                            self.asked.append((meta, blob))
                            if (reply := self.reply(meta, blob)) is not None:
                                self.frames.send(ANSWER, {"ask": meta["ask"], "ok": reply[0], "error": reply[1]}, reply[2])
                        if kind == DISPLAY:
                            meta["data"], at = {}, 0
                            for part in meta["parts"]:
                                meta["data"][part["mime"]] = blob[at : at + part["size"]]
                                at += part["size"]
                            frames.append(meta)
                        elif kind == DONE:
                            done, trace = meta, blob
                else:
                    part = os.read(item, 1 << 20)
                    if not part:
                        raise EOFError("pipe closed")
                    self.pipes[item] += part
        return Answer(self.merge(frames, done["epoch"]), done, trace)

    def end_marker(self, epoch):
        return b"\x1b]PI;" + TOKEN.encode() + b";%d;f\x07" % epoch

    def drained(self, epoch):
        return all(self.end_marker(epoch) in data for data in self.pipes.values())

    def merge(self, frames, last):
        pieces = []  # (epoch, rank, arrival, kind, item)
        for descriptor, kind, letter in ((self.out, "stdout", b"o"), (self.err, "stderr", b"e")):
            before, after = self.pipes[descriptor].split(self.end_marker(last), 1)
            self.pipes[descriptor] = after
            parts = MARKER.split(before)
            epoch, active = 0, b"f"
            for i in range(0, len(parts), 3):
                if parts[i]:
                    pieces.append((epoch, 0 if active == letter else 1, len(pieces), kind, parts[i].decode("utf-8", "replace")))
                if i + 2 < len(parts):
                    epoch, active = int(parts[i + 1]), parts[i + 2]
        for meta in frames:
            pieces.append((meta["epoch"], 0, len(pieces), "frame", meta))
        merged = []
        for _, _, _, kind, item in sorted(pieces, key=lambda p: p[:3]):
            if merged and kind != "frame" and merged[-1][0] == kind:
                merged[-1] = (kind, merged[-1][1] + item)
            else:
                merged.append((kind, item))
        return merged

    def checkpoint(self):
        """(Checkpointed meta, parked copy or None)."""
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.frames.send(CHECKPOINT, {}, fds=[theirs.fileno()])
        theirs.close()
        kind, meta, _ = self.frames.next()
        assert kind == CHECKPOINTED, kind
        if not meta["ok"]:
            return meta, None
        data, notes, _, _ = ours.recvmsg(4096, socket.CMSG_SPACE(12))
        parked = Frames(ours)
        parked.buffer = data
        assert parked.next()[0] == PARKED
        parked.pid = struct.unpack("iII", notes[0][2])[0]
        self.zygote.frames.send(ADOPT, {"pid": self.pid, "checkpoint": parked.pid})
        return meta, parked

    def resume(self, parked, lost=()):
        """The copy becomes this kernel."""
        codes = [code.encode() for code in lost]
        parked.send(RESUME, {"sizes": [len(code) for code in codes]}, b"".join(codes))
        kind, meta, _ = parked.next()
        assert kind == RESUMED
        for descriptor in self.pipes:
            self.pipes[descriptor] = b""
            while select.select([descriptor], [], [], 0)[0]:
                os.read(descriptor, 1 << 20)
        self.frames.sock.close()
        self.frames, self.pid = parked, parked.pid
        return meta

    def interrupt(self, hard=False):
        if hard:
            os.kill(self.pid, signal.SIGUSR2)
        else:
            os.killpg(self.pid, signal.SIGINT)

    def stop(self):
        self.zygote.frames.send(KILL, {"pid": self.pid, "init_pid": 0, "uid": 0, "tier": "none"})
        status = self.zygote.wait_exit(self.pid)
        self.frames.sock.close()
        for descriptor in (self.out, self.err, self.lifeline):
            os.close(descriptor)
        return status
