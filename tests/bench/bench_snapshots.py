"""Restarts in figures: 50 sessions across a restart of the server, a 100 MB frame, and warm calls with snapshots on and off.

usage: bench_snapshots.py BIN_DIRECTORY [PYTHON_ENV]
"""
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

from bench_server import BenchServer

BIN, ENV = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.environ.get("POWER_PYTHON_ENV", "")


def begin_server(directory, *flags):
    return BenchServer(os.path.join(BIN, "power-interpreter"), ENV, directory, *flags)


def run(server, code, session):
    return server.ask("/api/execute", {"code": code, "session_id": session, "timeout": 120})


def latency(server, sessions=16, seconds=6.0, think=0.2):
    """p50 and p99 of warm calls that change something, in milliseconds."""
    times, lock = [], threading.Lock()

    def client(number):
        name, end = f"warm{number}", time.monotonic() + seconds
        run(server, "data = list(range(20_000)); n = 0", name)
        while time.monotonic() < end:
            time.sleep(think)
            begin = time.monotonic()
            run(server, "n += 1", name)
            with lock:
                times.append((time.monotonic() - begin) * 1e3)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    return f"p50 {times[len(times) // 2]:.1f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms ({len(times)} calls)"


def stored(directory, sessions):
    place = os.path.join(directory, "snapshots", "owner")
    return all(os.path.exists(os.path.join(place, name, "latest.snapshot")) for name in sessions)


def main():
    directory = tempfile.mkdtemp(prefix="power-bench-")
    os.chmod(directory, 0o711)
    try:
        server = begin_server(directory)
        names = [f"s{number}" for number in range(50)]
        for number, name in enumerate(names):
            run(server, f"x = {number}; frame = pd.DataFrame({{'a': range(1000)}})", name)
        run(server, "big = pd.DataFrame(np.random.default_rng(0).standard_normal((1_250_000, 10)))", "big")
        begin = time.monotonic()
        while not stored(directory, [*names, "big"]) and time.monotonic() - begin < 120:
            time.sleep(0.1)
        print(f"51 sessions on disk {time.monotonic() - begin:.1f} s after the last run")
        server.stop(signal.SIGKILL)
        server = begin_server(directory)
        begin = time.monotonic()
        answers = [run(server, "RESULT = [x, len(frame)]", name) for name in names]
        total = time.monotonic() - begin
        right = sum(answer["result"] == [number, 1000] for number, answer in enumerate(answers))
        print(f"kill -9 and restart ({server.seconds:.1f} s to ready): {right} of 50 sessions answer with their variables, "
              f"{total:.2f} s one after the other ({total * 20:.0f} ms each)")
        begin = time.monotonic()
        answer = run(server, "RESULT = big.shape[0]", "big")
        print(f"100 MB frame: first answer after {(time.monotonic() - begin) * 1e3:.0f} ms, "
              f"restored in {answer['kernel_info']['restored']['ms']} ms")
        print(f"warm calls of 16 sessions, 200 ms think time, snapshots on:  {latency(server)}")
        server.stop()
        server = begin_server(directory, "--snapshot-max-mb", "0")
        print(f"warm calls of 16 sessions, 200 ms think time, snapshots off: {latency(server)}")
        server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
