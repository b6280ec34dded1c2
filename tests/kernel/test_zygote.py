import os
import subprocess
import tempfile
import unittest

from base import KernelTest
from driver import SpawnError, Zygote


class Kernels(KernelTest):
    def test_descriptors(self):
        code = "import os\nsorted((int(n), os.readlink(f'/proc/self/fd/{n}').split(':')[0]) for n in os.listdir('/proc/self/fd')\n" \
               "       if os.path.exists(f'/proc/self/fd/{n}') or os.path.islink(f'/proc/self/fd/{n}'))"
        found = eval(self.ok(code).result)
        kinds = [kind for number, kind in found if kind != "/proc/self/fd" and not kind.startswith("/proc/")]
        self.assertEqual(kinds, ["/dev/null", "pipe", "pipe", "socket", "pipe", "pipe"])
        self.assertEqual([number for number, _ in found][:4], [0, 1, 2, 3])

    def test_zygote_keeps_no_descriptors(self):
        def held():
            return len(os.listdir(f"/proc/{self.zygote.process.pid}/fd"))

        before = held()
        for _ in range(5):
            self.zygote.spawn().stop()
        self.assertEqual(held(), before)

    def test_random_differs(self):
        other = self.zygote.spawn()
        code = "import duckdb, random\n(random.random(), np.random.rand(), np.random.default_rng().random(), duckdb.sql('select random()').fetchone()[0])"
        mine, theirs = eval(self.ok(code).result), eval(other.run(code).result)
        for a, b in zip(mine, theirs):
            self.assertNotEqual(a, b)
        other.stop()

    def test_two_sessions_are_apart(self):
        other = self.zygote.spawn()
        self.ok("secret = 1\nopen('mine.txt', 'w').close()\nprint('one')")
        answer = other.run("print('secret' in globals(), os.getcwd(), os.listdir())")
        self.assertEqual(answer.stdout, f"False {other.workspace} []\n")
        other.stop()

    def test_process_group_and_environment(self):
        self.assertEqual(self.ok("os.getpgid(0) == os.getpid()").result, "True")
        self.assertEqual(self.ok("os.environ['HOME'] == SANDBOX_DIR == os.getcwd()").result, "True")
        self.assertEqual(self.ok("os.environ['OMP_NUM_THREADS'], 'POWER_PYTHON_ENV' in os.environ").result, "('1', False)")
        self.assertEqual(self.ok("import tempfile\ntempfile.gettempdir()").result, repr(self.kernel.scratch))

    def test_kill_takes_the_group(self):
        self.kernel.run("import subprocess\np = subprocess.Popen(['sleep', '100'])")
        pid = int(self.ok("p.pid").result)
        self.kernel.stop()
        for _ in range(100):
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                        break
            except FileNotFoundError:
                break
            import time
            time.sleep(0.02)
        else:
            self.fail("the subprocess lives on")

    def test_server_gone_ends_the_kernel(self):
        self.kernel.frames.sock.close()
        self.assertEqual(self.zygote.wait_exit(self.kernel.pid)["code"], 0)

    def test_spawn_failure_is_told(self):
        with self.assertRaises(SpawnError) as caught:
            self.zygote.spawn(cwd="/no/such/directory")
        self.assertEqual(caught.exception.args[0]["step"], "chdir")
        self.assertEqual(self.ok("1").result, "1")


class Traces(unittest.TestCase):
    def test_a_start_says_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as said:
            zygote = Zygote(environment={"TMPDIR": place, "HOME": "/proc/nowhere"}, stderr=said)
            self.assertNotIn("error", zygote.ready)
            zygote.close()
            self.assertEqual(os.listdir(place), [])
            said.seek(0)
            self.assertEqual(said.read(), b"")


class Refusal(unittest.TestCase):
    def test_two_tasks(self):
        """An import that starts a thread: the zygote names it and does not serve."""
        with tempfile.TemporaryDirectory() as root:
            subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages", root], check=True)
            site = subprocess.run([f"{root}/bin/python3", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                                  check=True, capture_output=True, text=True).stdout.strip()
            with open(os.path.join(site, "starts_a_thread.py"), "w") as file:
                file.write("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n")
            zygote = Zygote("--import", "starts_a_thread", environment={"POWER_PYTHON_ENV": root})
            self.assertIn("import of starts_a_thread", zygote.ready["error"])
            self.assertEqual(zygote.ready["tasks"], 2)
            self.assertEqual(zygote.process.wait(10), 1)
            zygote.frames.sock.close()

    def test_missing_module_is_reported_only(self):
        zygote = Zygote("--import", "no_such_module_here")
        self.assertIn("no_such_module_here", zygote.ready["missing"])
        self.assertEqual(zygote.ready["tasks"], 1)
        kernel = zygote.spawn()
        zygote.close()  # the server closes: kernels end with it
        with self.assertRaises((EOFError, ConnectionError)):
            kernel.run("1")


if __name__ == "__main__":
    unittest.main()
