"""`full` of a server that is not root: the zygote is a throwaway user's, its kernels stand in user namespaces."""
import os
import shutil
import signal
import tempfile
import time
import unittest

if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(64211, 64211, 64211)
    os.setresuid(64211, 64211, 64211)
os.environ["POWER_TEST_CACHE"] = tempfile.mkdtemp(prefix="pk-cache-")

import test_tiers


def living(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class UserNamespaces(test_tiers.Tiers):
    trees = ("full",)
    test_container = test_nonroot = None  # those are test_tiers.py's

    def setUp(self):
        self.kernel = self.spawn("full")
        self.init = self.kernel.spawned["init_pid"]

    def result(self, code, kernel=None):
        answer = (kernel or self.kernel).run(code)
        self.assertEqual(answer.done["status"], "ok", answer.trace)
        return answer.result

    def end(self, code):
        self.kernel.start(code)
        return self.zygote.wait_exit(self.kernel.pid)

    def gone(self):
        for _ in range(200):
            if not living(self.init) and not living(self.kernel.pid):
                return
            time.sleep(0.01)
        self.fail("init or kernel lives on")

    def test_both_are_the_zygotes_children(self):
        for pid in (self.init, self.kernel.pid):
            with open(f"/proc/{pid}/status") as status:
                self.assertIn(f"\nPPid:\t{self.zygote.process.pid}\n", status.read())
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/user"), os.readlink("/proc/self/ns/user"))
        self.assertEqual(self.result("import os\nos.getpid(), os.getppid()"), "(2, 0)")
        with open(f"/proc/{self.init}/status") as status:
            self.assertIn("\nCapEff:\t0000000000000000\n", status.read())

    def test_no_capability_is_left(self):
        self.assertEqual(self.result("[line.split()[1].strip('0') for line in open('/proc/self/status') if line.startswith('Cap')]"),
                         "['', '', '', '', '']")

    def test_exit_status(self):
        self.assertEqual(self.end("import os\nos._exit(7)")["code"], 7)
        self.gone()

    def test_segfault(self):
        self.assertEqual(self.end("import ctypes\nctypes.string_at(0)")["signal"], signal.SIGSEGV)
        self.gone()

    def test_kill(self):
        self.kernel.start("import subprocess\nfor i in range(5): subprocess.Popen(['sleep', '600'], start_new_session=True)\nwhile True: pass")
        time.sleep(0.2)
        self.assertEqual(self.kernel.stop()["signal"], signal.SIGKILL)
        self.gone()

    def test_killed_init_takes_the_kernel(self):
        os.kill(self.init, signal.SIGKILL)
        self.assertEqual(self.zygote.wait_exit(self.kernel.pid)["signal"], signal.SIGKILL)

    def test_lifeline(self):
        os.close(self.kernel.lifeline)
        self.assertEqual(self.zygote.wait_exit(self.kernel.pid)["signal"], signal.SIGKILL)
        self.gone()

    def test_memory_bomb(self):
        answer = self.kernel.run("kept = []\nwhile True: kept.append(bytearray(16 << 20))")
        self.assertEqual(answer.done["error"]["name"], "MemoryError")
        self.assertEqual(self.result("del kept\n1 + 1"), "2")

    def test_process_limit_is_the_sessions_own(self):
        code = "import os, time\npids = []\ntry:\n    while True:\n        pid = os.fork()\n        if pid == 0:\n            time.sleep(600)\n" \
               "        pids.append(pid)\nexcept BlockingIOError:\n    pass\nlen(pids)"
        other = self.spawn("full")
        for kernel in (self.kernel, other):  # the second has its own count, though the user is the same
            count = int(self.result(code, kernel))
            self.assertGreaterEqual(count, 60)
            self.assertLessEqual(count, 63)

    def test_sessions_do_not_reach_each_other(self):
        other = self.spawn("full")
        self.result("open('secret.txt', 'w').write('x')", other)
        self.assertEqual(self.result("import os\nos.listdir('/app/sandbox_data'), sorted(p for p in os.listdir('/proc') if p.isdigit())"),
                         "(['s1'], ['2'])")
        self.assertEqual(self.result("os.path.exists(%r)" % other.real), "False")
        self.kernel.run("try:\n    os.kill(-1, 9)\nexcept ProcessLookupError: pass")
        self.assertEqual(self.result("1", other), "1")

    def test_threads_and_fork_handlers(self):
        self.assertEqual(self.result("import threading\nt = threading.Thread(target=lambda: None)\nt.start(); t.join()\n"
                                     "float((np.ones((300, 300)) @ np.ones((300, 300)))[0, 0])"), "300.0")
        self.assertEqual(self.result("import multiprocessing as m\nwith m.get_context('fork').Pool(2) as p: r = p.map(abs, [-1, -2])\nr"), "[1, 2]")


if __name__ == "__main__":
    try:
        unittest.main()
    finally:
        shutil.rmtree(os.environ["POWER_TEST_CACHE"], True)
