import json
import os
import re
import socket
import sys
import tempfile
import time
import unittest

from base import KernelTest
from driver import Frames

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "snapshots"))
import kinds

SNAPSHOT, DATA, END = 6, 23, 24


def take(kernel, **meta):
    """(summary, bytes, milliseconds until the end)"""
    ours, theirs = socket.socketpair()
    begin = time.monotonic()
    kernel.frames.send(SNAPSHOT, {"limit": 1 << 30, **meta}, fds=[theirs.fileno()])
    theirs.close()
    frames, parts = Frames(ours), []
    while True:
        kind, meta, blob = frames.next(100)
        if kind == END:
            ours.close()
            return meta, b"".join(parts), (time.monotonic() - begin) * 1e3
        assert kind == DATA
        parts.append(blob)


def give_back(kernel, data, offset=4096, **meta):
    with tempfile.TemporaryFile() as file:
        file.write(bytes(offset) + data)
        file.flush()
        kernel.runs += 1
        kernel.frames.send(2, {"run": str(kernel.runs), "task": "restore", "offset": offset, "size": len(data), **meta},
                           fds=[file.fileno()])
        got = kernel.finish(100)
    return got.done, json.loads(got.trace) if got.done["status"] == "ok" else None


class Snapshots(KernelTest):
    def test_kinds(self):
        for name, setup, _, _ in kinds.KINDS:
            got = self.kernel.run(setup)
            self.assertEqual(got.done["status"], "ok", (name, got.done, got.trace))
        self.ok("import random")
        for setup, _ in kinds.AROUND:
            self.ok(setup)
        summary, data, ms = take(self.kernel)
        self.assertTrue(summary["ok"], summary)
        fresh = self.zygote.spawn()
        fresh.run("open('lines.txt', 'w').write('one\\ntwo\\n')")
        done, report = give_back(fresh, data)
        self.assertEqual(done["status"], "ok", done)
        missing = {entry["name"]: entry["reason"] for entry in report["missing"]}
        wrong = []
        for name, _, check, outcome in kinds.KINDS:
            if outcome in ("restored", "remark"):
                if name in missing:
                    wrong.append((name, "missing", missing[name]))
                    continue
                got = fresh.run(f"assert {check}")
                if got.done["status"] != "ok":
                    wrong.append((name, got.trace[-300:]))
                if (outcome == "remark") != (name in report["remarks"]):
                    wrong.append((name, "remark", report["remarks"].get(name)))
            elif name not in missing or not re.search(outcome, missing[name]):
                wrong.append((name, "should be missing", missing.get(name)))
        for _, check in kinds.AROUND:
            got = fresh.run(f"assert {check}")
            if got.done["status"] != "ok":
                wrong.append((check, got.trace[-300:]))
        self.assertFalse(wrong, "\n".join(map(str, wrong)))
        self.assertEqual(self.kernel.run("len(text)").done["status"], "ok")
        fresh.stop()
        print(f"{len(kinds.KINDS)} kinds: {len(data) / 1e6:.1f} MB in {ms:.0f} ms")

    def test_one_that_fails_costs_only_what_shares_with_it(self):
        self.ok("open('gone.py', 'w').write('class Gone:\\n    def __init__(self, part): self.part = part\\n')")
        self.ok("import gone\npart = [1]\nbad = gone.Gone([2])\nother = {'x': bad.part}\nfine = ['text', part]")
        summary, data, _ = take(self.kernel)
        self.assertEqual(summary["skipped"], [])
        fresh = self.zygote.spawn()
        done, report = give_back(fresh, data)
        missing = {entry["name"]: entry["reason"] for entry in report["missing"]}
        self.assertEqual(sorted(missing), ["bad", "gone", "other"], missing)
        self.assertIn("No module named 'gone'", missing["bad"])
        self.assertIn("shares objects with 'bad'", missing["other"])
        self.assertEqual(fresh.run("(part, fine, fine[1] is part)").result, "([1], ['text', [1]], True)")
        fresh.stop()

    def test_the_kernel_goes_on_at_once(self):
        self.ok("big = [str(n) for n in range(1_000_000)]")
        ours, theirs = socket.socketpair()
        self.kernel.frames.send(SNAPSHOT, {"limit": 1 << 30}, fds=[theirs.fileno()])
        theirs.close()
        self.assertEqual(self.ok("big.clear(); len(big)").result, "0")
        frames, parts = Frames(ours), []
        while (frame := frames.next(100))[0] == DATA:
            parts.append(frame[2])
        ours.close()
        fresh = self.zygote.spawn()
        self.assertEqual(give_back(fresh, b"".join(parts))[0]["status"], "ok")
        self.assertEqual(fresh.run("(len(big), big[-1])").result, "(1000000, '999999')")
        fresh.stop()

    def test_arrays_are_mapped(self):
        self.ok("frame = pd.DataFrame({'x': np.random.default_rng(0).standard_normal(5_000_000)}); total = frame.x.sum()")
        _, data, wrote = take(self.kernel)
        fresh = self.zygote.spawn()
        begin = time.monotonic()
        done, _ = give_back(fresh, data)
        print(f"40 MB frame: written in {wrote:.0f} ms, restored in {(time.monotonic() - begin) * 1e3:.0f} ms")
        self.assertEqual(fresh.run("(frame.x.sum() == total, frame.x.__setitem__(0, 5.0), frame.x[0])").result, "(np.True_, None, np.float64(5.0))")
        with open(f"/proc/{fresh.pid}/maps") as maps:
            self.assertIn("(deleted)", maps.read())
        fresh.stop()

    def test_a_large_one_is_left_out(self):
        self.ok("small = 1; large = np.random.rand(300_000)")
        summary, data, _ = take(self.kernel, limit=1 << 20)
        self.assertEqual([entry["name"] for entry in summary["skipped"]], ["large"])
        self.assertLess(len(data), 1 << 20)


if __name__ == "__main__":
    unittest.main()
