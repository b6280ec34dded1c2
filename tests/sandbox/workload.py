"""Runs inside a sandbox and does what ordinary notebooks do; one row per thing. Prints JSON lines like attacks.py."""
import asyncio
import concurrent.futures
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from multiprocessing import shared_memory

TIER = sys.argv[1] if len(sys.argv) > 1 else ""


def square(x):
    return x * x


def child_of_shared_memory(name):
    other = shared_memory.SharedMemory(name=name)
    other.buf[0] = 42
    other.close()


def fork():
    child = os.fork()
    if child == 0:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def subprocess_and_shell():
    assert subprocess.run(["/bin/echo", "a"], capture_output=True, text=True).stdout == "a\n"
    assert subprocess.check_output("seq 3 | sort -r | head -1", shell=True, text=True) == "3\n"
    assert subprocess.check_output([sys.executable, "-c", "print(6*7)"], text=True) == "42\n"


def pool_fork():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def pool_spawn():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def queue_lock_process():
    context = multiprocessing.get_context("fork")
    queue, lock = context.Queue(), context.Lock()
    with lock:
        process = context.Process(target=queue.put, args=("x",))
        process.start()
        assert queue.get(timeout=10) == "x"
    process.join()


def shared_memory_across_processes():
    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    process = multiprocessing.get_context("fork").Process(target=child_of_shared_memory, args=(memory.name,))
    process.start()
    process.join()
    assert process.exitcode == 0 and memory.buf[0] == 42
    memory.close()
    memory.unlink()


def executors():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(square, [3])) == [9]
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        assert list(pool.map(square, [3])) == [9]


def threads():
    done = []
    all_threads = [threading.Thread(target=done.append, args=(i,)) for i in range(8)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join()
    assert len(done) == 8


def asyncio_and_its_subprocess():
    async def main():
        await asyncio.sleep(0.001)
        process = await asyncio.create_subprocess_exec("/bin/echo", "a", stdout=subprocess.PIPE)
        return (await process.communicate())[0]
    assert asyncio.run(main()) == b"a\n"


def sqlite_wal():
    db = sqlite3.connect("x.db")
    assert db.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    db.execute("create table t(a)")
    db.execute("insert into t values (1)")
    db.commit()
    assert db.execute("select * from t").fetchall() == [(1,)]
    db.close()


def archives():
    with open("a.txt", "w") as file:
        file.write("a" * 1000)
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write("a.txt")
    with tarfile.open("a.tar.gz", "w:gz") as archive:
        archive.add("a.txt")
    assert tarfile.open("a.tar.gz").getnames() == ["a.txt"]
    subprocess.run(["tar", "xzf", "a.tar.gz"], check=True)


def temporary_files():
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as directory:
        file.write(b"x")
        open(os.path.join(directory, "y"), "w").close()


def signals():
    seen = []
    for number in (signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, lambda n, f: seen.append(n))
        os.kill(os.getpid(), number)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.signal(signal.SIGALRM, lambda n, f: seen.append(n))
    time.sleep(0.05)
    assert seen == [signal.SIGINT, signal.SIGUSR2, signal.SIGALRM], seen


def socket_pair():
    a, b = socket.socketpair()
    a.send(b"x")
    assert b.recv(1) == b"x"


def own_process_facts():
    assert os.cpu_count() >= 1
    assert "VmRSS" in open("/proc/self/status").read()
    assert "MemTotal" in open("/proc/meminfo").read()


def numpy_and_memmap():
    import numpy as np
    a = np.memmap("m.bin", dtype="float64", mode="w+", shape=(1000, 10))
    a[:] = 1
    a.flush()
    assert np.memmap("m.bin", dtype="float64", mode="r").sum() == 10000
    assert np.allclose(np.linalg.inv(np.eye(50) * 2), np.eye(50) / 2)


def pandas_round_trip():
    import pandas as pd
    df = pd.DataFrame({"a": [1, 2, 3], "b": list("xyx")})
    df.to_csv("d.csv", index=False)
    df.to_pickle("d.pkl")
    assert pd.read_csv("d.csv").groupby("b").a.sum().to_dict() == {"x": 4, "y": 2}


def matplotlib_png():
    import matplotlib.pyplot as plt
    plt.plot([1, 2, 3])
    plt.title("é 中")
    plt.savefig("p.png")
    assert open("p.png", "rb").read(4) == b"\x89PNG"


def time_zones():
    import datetime
    import zoneinfo
    assert datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().seconds == 7200


def http_on_loopback():
    import http.server
    import urllib.request
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=5).read()
    server.shutdown()


def who_am_i():
    import getpass
    assert getpass.getuser() == "sandbox" and os.getcwd().startswith("/app/sandbox_data/")


def loky():
    import joblib
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(square)(i) for i in range(4)) == [0, 1, 4, 9]


everywhere = [fork, subprocess_and_shell, pool_fork, pool_spawn, queue_lock_process, shared_memory_across_processes, executors,
              threads, asyncio_and_its_subprocess, sqlite_wal, archives, temporary_files, signals, socket_pair,
              own_process_facts, numpy_and_memmap, pandas_round_trip, matplotlib_png, time_zones]
in_full = [http_on_loopback, who_am_i]

if __name__ == "__main__":
    if TIER != "full":
        os.environ["JOBLIB_MULTIPROCESSING"] = "0"  # as kernels do: /dev/shm is not the session's own there
    try:
        import joblib  # noqa: F401  only where the stack has it
        everywhere.append(loky)
    except ImportError:
        pass
    for function in everywhere + (in_full if TIER == "full" else []):
        try:
            function()
            outcome = "works"
        except BaseException as problem:
            outcome = f"{type(problem).__name__}: {problem}"
        print(json.dumps([function.__name__, outcome, ["works"], outcome == "works"]), flush=True)
