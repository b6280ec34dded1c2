"""A server that a benchmark starts for itself on loopback, and the memory it takes. Standard library only."""
import json
import os
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request


class BenchServer:
    """Runs from its making until stop(): ready for calls, its first cell has run. Flags are the server's own.

    url, port; listening and seconds: from the start until it listened (None where its log does not say) and was ready.
    """

    def __init__(self, program, python_env, directory, *flags):
        command = [program, "--port", "0", "--host", "127.0.0.1", "--data-dir", directory, "--sandbox-dir", os.path.join(directory, "sandbox"),
                   *(["--python-env", python_env] if python_env else []), *flags]
        begin = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url, self.listening = None, None
        for line in self.process.stdout:
            if "listening url=" in line:
                self.listening = time.monotonic() - begin
            if line.startswith("  URL"):
                self.url = line.split()[1].rstrip("/")
            if "print(6*7)" in line:
                break
        else:
            raise SystemExit("the server did not start")
        self.port = urllib.parse.urlsplit(self.url).port
        self.seconds = time.monotonic() - begin
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def ask(self, path, body=None, timeout=600):
        """POST of JSON, or GET without a body; the answer's JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def stop(self, how=signal.SIGTERM):
        """Seconds until it was gone."""
        begin = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(60)
        return time.monotonic() - begin


def resident_mb(pid):
    """The resident set of one process, MB of a million bytes."""
    with open(f"/proc/{pid}/statm") as facts:
        return int(facts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Growth:
    """Resident set of a process while the block runs: before, most and grown (MB), and its seconds."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()

    def __enter__(self):
        self.before = self.most = resident_mb(self.pid)
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()
        self.begin = time.monotonic()
        return self

    def look(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, resident_mb(self.pid))

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begin
        self.over.set()
        self.thread.join()
        self.most = max(self.most, resident_mb(self.pid))
        self.grown = self.most - self.before
