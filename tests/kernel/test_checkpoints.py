"""Checkpoints: the copy of a kernel, its wait, and how it becomes the kernel; in every tier this machine offers."""
import glob
import os
import re
import signal
import time
import unittest

import test_tiers

FULL = bool(os.environ.get("POWER_TEST_FULL"))
ROWS = os.path.join(os.path.dirname(__file__), "..", "corpus", "rows")


class Checkpoints(unittest.TestCase):
    setUpClass, tearDownClass, spawn = (test_tiers.Tiers.__dict__[name] for name in ("setUpClass", "tearDownClass", "spawn"))

    def ok(self, kernel, code):
        answer = kernel.run(code, timeout=100)
        self.assertEqual(answer.done["status"], "ok", answer.trace)
        return answer

    def end(self, kernel):
        os.kill(kernel.pid, signal.SIGKILL)
        return self.zygote.wait_exit(kernel.pid)

    def parked(self, kernel):
        meta, parked = kernel.checkpoint()
        self.assertTrue(meta["ok"], meta)
        self.addCleanup(parked.sock.close)
        return parked

    @staticmethod
    def computed(kernel):
        """Nanoseconds that the kernel has had a processor: what counts on a busy machine."""
        with open(f"/proc/{kernel.pid}/schedstat") as file:
            return int(file.read().split()[0])

    def check(self, tier):
        kernel = self.spawn(tier)
        self.ok(kernel, "x = [1]\nf = open('f.txt', 'w')\nf.write('one')\nf.flush()\nnp.random.seed(1)")
        self.ok(kernel, "import asyncio\nawait asyncio.sleep(0.01)")
        first = self.parked(kernel)
        after = self.ok(kernel, "np.random.rand()").result
        self.ok(kernel, "x.append(2); y = 3; f.write('two'); f.flush()\nimport subprocess\np = subprocess.Popen(['sleep', '77.7'])")
        self.end(kernel)
        started = time.monotonic()
        meta = kernel.resume(first, ["np.random.rand()", "x.append(2); y = 3; f.write('two')"])
        print(f"{tier}: resumed in {(time.monotonic() - started) * 1e3:.1f} ms")
        self.assertEqual((meta["gone"], meta["older"], meta["count"]), (["y"], ["x", "f"], 2))
        self.assertEqual(self.ok(kernel, "np.random.rand()").result, after)
        self.assertEqual(self.ok(kernel, "x").result, "[1]")
        self.ok(kernel, "f.write('TWO!'); f.close()")
        self.assertEqual(self.ok(kernel, "open('f.txt').read()").result, "'oneTWO!'")
        self.assertEqual(self.ok(kernel, "await asyncio.sleep(0.01, 5)").result, "5")
        self.assertEqual(self.ok(kernel, "import threading\nt = threading.Thread(target=print, args=['thread'])\nt.start(); t.join()").stdout, "thread\n")
        self.assertEqual(self.ok(kernel, "!echo sub").stdout, "sub\n")
        for _ in range(100):
            if not [n for n in os.listdir("/proc") if n.isdigit() and test_tiers.Tiers.command(n) == b"sleep\x0077.7\x00"]:
                break
            time.sleep(0.02)
        else:
            self.fail("the subprocess lives")
        # interrupts reach the new kernel
        kernel.start("open('started', 'w').close()\nwhile True: pass")
        while not os.path.exists(os.path.join(kernel.real, "started")):
            time.sleep(0.01)
        kernel.interrupt()
        self.assertEqual(kernel.finish().done["status"], "interrupted")
        # once more, from a copy of the copy; then both die
        second = self.parked(kernel)
        kernel.start("import os\nos._exit(3)")
        self.assertEqual(self.zygote.wait_exit(kernel.pid)["code"], 3)
        kernel.resume(second)
        self.assertEqual(self.ok(kernel, "x").result, "[1]")
        third = self.parked(kernel)
        self.ok(kernel, "import subprocess; q = subprocess.Popen(['sleep', '88.8'])")
        kernel.stop()
        self.zygote.wait_exit(third.pid)

    def test_full(self):
        self.check("full")

    def test_container(self):
        self.check("container")

    def test_nonroot(self):
        self.check("nonroot")

    def test_children_and_pipes_are_the_kernels_own(self):
        kernel = self.spawn("full")
        self.ok(kernel, "import subprocess\np = subprocess.Popen(['cat'], stdin=-1, stdout=-1)")
        self.parked(kernel)
        self.assertEqual(self.ok(kernel, "p.communicate(b'in')[0]").result, "b'in'")
        self.assertEqual(kernel.run("import os\nos.wait()").done["error"]["name"], "ChildProcessError")

    def test_threads_are_told(self):
        kernel = self.spawn("full")
        self.ok(kernel, "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, name='worker').start()")
        meta, parked = kernel.checkpoint()
        self.assertIsNone(parked)
        self.assertIn("worker", meta["reason"])
        self.ok(kernel, "stop.set()")
        until = time.monotonic() + 10  # the thread ends in its own time
        while parked is None and time.monotonic() < until:
            time.sleep(0.01)
            meta, parked = kernel.checkpoint()
        self.assertTrue(meta["ok"], meta)
        self.addCleanup(parked.sock.close)

    def test_openmp_pools_are_stopped(self):
        kernel = self.spawn("full")
        code = ("import threadpoolctl, sklearn.ensemble\nX = np.random.rand(300, 4)\n"
                "with threadpoolctl.threadpool_limits(2):\n    m = sklearn.ensemble.HistGradientBoostingClassifier(max_iter=2).fit(X, X[:, 0] > .5)")
        self.ok(kernel, code)
        parked = self.parked(kernel)
        self.ok(kernel, code)
        self.end(kernel)
        kernel.resume(parked)
        self.ok(kernel, code)

    def test_libraries_with_threads(self):
        """Each leaves a state that can be checkpointed, and works in the copy."""
        cells = (
            "pd.DataFrame({'a': range(1000)}).to_parquet('t.parquet')\nassert len(pd.read_parquet('t.parquet')) == 1000",
            "import duckdb\nassert duckdb.sql('select sum(a) from t').fetchone() == (499500,)\n"
            "c = duckdb.connect()\nassert c.execute('select sum(range) from range(1000000)').fetchone() == (499999500000,)\nc.close()",
            "from sklearn.ensemble import RandomForestClassifier\nX = np.random.rand(500, 4)\n"
            "RandomForestClassifier(n_estimators=10).fit(X, X[:, 0] > .5)",
            "import statsmodels.api as sm\nsm.OLS(X[:, 0], X[:, 1:]).fit().params.shape",
            "%timeit -n 10 -r 2 1 + 1",
            "plt.plot([1, 2]); plt.show()",
            "import scipy.linalg\nscipy.linalg.eigh(X.T @ X)[0].shape",
            "from tqdm import tqdm\nfor _ in tqdm(range(10)): pass",
        )
        kernel = self.spawn("full")
        self.ok(kernel, "t = pd.DataFrame({'a': range(1000)})")
        for code in cells:
            self.ok(kernel, code)
            parked = self.parked(kernel)
        self.end(kernel)
        kernel.resume(parked)
        for code in cells:
            self.ok(kernel, code)

    def test_the_price_of_a_big_frame(self):
        kernel = self.spawn("full", memory=3 << 30)
        megabytes = 1024 if FULL else 256
        rows = megabytes << 17 >> 3
        for name, code in (("one block", f"d = pd.DataFrame(np.full(({rows}, 8), 1.5))"),
                           ("a block per column", f"del d\nd = pd.DataFrame({{0: np.full({rows}, 1.5)}})\nfor i in range(1, 8): d[i] = np.full({rows}, 1.5)")):
            self.ok(kernel, code)
            wall, computed = [], []
            for _ in range(5):
                before = self.computed(kernel)
                meta, parked = kernel.checkpoint()
                self.addCleanup(parked.sock.close)
                wall.append(round(meta["us"] / 1000, 1))
                computed.append(round((self.computed(kernel) - before) / 1e6, 1))
            print(f"{megabytes} MB, {name}: the kernel stood still for {sorted(wall)} ms, {sorted(computed)} ms of a processor")
        self.end(kernel)
        started = time.monotonic()
        kernel.resume(parked)
        print(f"resumed in {(time.monotonic() - started) * 1e3:.1f} ms")
        self.assertEqual(self.ok(kernel, "len(d)").result, str(rows))

    def test_cells_of_the_corpus(self):
        """At least 95 of 100 end in a state that can be checkpointed."""
        left_out = ("L22",) if FULL else ("L14", "L22", "M02")  # endless on purpose; heavy imports
        cells, skips = 0, []
        for path in sorted(glob.glob(os.path.join(ROWS, "*.py"))):
            name = os.path.basename(path)
            if name.startswith(left_out):
                continue
            kernel = self.spawn("full", memory=4 << 30)
            with open(path) as file:
                codes = [code for code in re.split(r"(?m)^# %%.*\n", file.read()) if code.strip()]
            for code in codes:
                kernel.run(code, timeout=100)
                meta, parked = kernel.checkpoint()
                cells += 1
                if parked:
                    parked.sock.close()
                else:
                    skips.append((name, meta["reason"]))
            kernel.stop()
        print(f"{cells} cells of the corpus, not to be checkpointed: {skips or 'none'}")
        self.assertGreater(cells, 50)
        self.assertLessEqual(len(skips), cells * 0.05)


if __name__ == "__main__":
    unittest.main()
