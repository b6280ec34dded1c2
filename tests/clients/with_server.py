#!/usr/bin/env python3
"""Runs a client program against a server of its own: with_server.py --server PROGRAM [--python-env DIR] -- command ...

The command gets POWER_URL in its environment. The exit code is the command's, or 1 when the server did not start or did
not stop by itself. Standard library only.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--flag", action="append", default=[], help="passed to the server")
    parser.add_argument("--limit", type=int, default=300, help="seconds the command may take")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    data = tempfile.mkdtemp(prefix="power-client-")
    os.chmod(data, 0o755)
    flags = ["--port", "0", "--host", "127.0.0.1", "--data-dir", data, "--sandbox-dir", data + "/sandbox"]
    if arguments.python_env:
        flags += ["--python-env", arguments.python_env]
    server = subprocess.Popen([arguments.server, *flags, *arguments.flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
    lines, ready = [], threading.Event()

    def read():
        for line in server.stdout:
            lines.append(line)
            if "print(6*7)" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    code = 1
    try:
        ready.wait(120)
        url = next((line.split()[1] for line in lines if line.startswith("  URL ")), "")
        if not url:
            print("".join(lines), "the server did not start", sep="\n")
            return 1
        code = subprocess.run(arguments.command, env={**os.environ, "POWER_URL": url}, timeout=arguments.limit).returncode
        if code != 0:
            print("".join(lines[-40:]))
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            if server.wait(30) != 0:
                print("the server ended with", server.returncode)
                code = code or 1
        except subprocess.TimeoutExpired:
            server.kill()
            code = code or 1
        shutil.rmtree(data, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
