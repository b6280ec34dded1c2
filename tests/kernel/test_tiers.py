"""The same kernel in every tier this machine offers (as root: full, container, nonroot)."""
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from driver import PROGRAM, Kernel, SpawnError, Zygote

UID = 211_042 if os.getuid() == 0 else os.getuid()


class Tiers(unittest.TestCase):
    trees = ("full", "container")

    @classmethod
    def setUpClass(cls):
        cls.zygote = Zygote()

    @classmethod
    def tearDownClass(cls):
        cls.zygote.close()

    def spawn(self, tier, memory=1 << 30, cwd=None):
        probe = json.loads(subprocess.run([PROGRAM, "probe", "--tier", tier], check=True, capture_output=True).stdout)
        self.assertEqual(probe["tier"], tier, probe)
        root = tempfile.mkdtemp(prefix="pk-tier-")
        self.addCleanup(shutil.rmtree, root, True)
        os.chmod(root, 0o711)
        workspace, scratch = os.path.join(root, "ws"), os.path.join(root, "tmp")
        uid = UID if tier != "nonroot" else os.getuid()
        for path in (workspace, scratch):
            os.mkdir(path, 0o700)
            os.chown(path, uid, uid)
        inside = "/app/sandbox_data/s1"
        plan = {"tier": tier, "userNamespace": probe["user_namespace"], "landlockAbi": probe["landlock"], "uid": uid, "gid": uid, "workspace": workspace,
                "workspaceInside": inside, "scratch": scratch, "memoryBytes": memory, "fileBytes": 1 << 28,
                "readOnly": [self.zygote.cache] + [os.environ["POWER_PYTHON_ENV"]] * bool(os.environ.get("POWER_PYTHON_ENV"))}
        kernel = Kernel(self.zygote, plan=plan, cwd=cwd or inside, home=inside, tmp="/tmp")
        self.addCleanup(lambda: kernel.pid in self.zygote.exits or kernel.stop())
        kernel.real, kernel.scratch_directory = workspace, scratch
        return kernel

    def test_a_start_that_fails_ends(self):
        """Its init ends only after the kernel was reaped; the zygote must not wait the other way round."""
        with self.assertRaises(SpawnError):
            self.spawn("full", cwd="/no/such/directory")
        self.assertEqual(self.spawn("full").run("1").result, "1")

    def check(self, tier):
        kernel = self.spawn(tier)

        def ok(code):
            answer = kernel.run(code)
            self.assertEqual(answer.done["status"], "ok", answer.trace)
            return answer

        self.assertEqual(ok("1 + 1").result, "2")
        ok("pd.DataFrame({'a': [1, 2]}).to_csv('t.csv')\nopen('n.txt', 'w').write('x')")
        self.assertEqual(os.stat(os.path.join(kernel.real, "t.csv")).st_uid, UID if tier != "nonroot" else os.getuid())
        self.assertEqual(ok("os.environ.get('JOBLIB_MULTIPROCESSING')").result, None if tier == "full" else "'0'")
        answer = ok("plt.plot([1, 2]); plt.show()\n!echo shell")
        self.assertEqual(answer.displays("figure")[0]["name"], "chart_001.png")
        self.assertTrue(os.path.exists(os.path.join(kernel.real, "chart_001.png")))
        self.assertIn("shell", answer.stdout)
        self.assertEqual(ok("open('/tmp/t.txt', 'w').write('t'); os.getcwd(), SANDBOX_DIR, os.listdir('/tmp')").result,
                         "('/app/sandbox_data/s1', '/app/sandbox_data/s1', ['t.txt'])")
        self.assertEqual(os.listdir(kernel.scratch_directory), ["t.txt"])
        ok("open('/app/sandbox_data/s1/u.txt', 'w').close()")
        self.assertTrue(os.path.exists(os.path.join(kernel.real, "u.txt")))
        answer = kernel.run("import socket\nsocket.create_connection(('93.184.216.34', 80), timeout=5)")
        self.assertIn("fetch_from_url", answer.done["error"]["hint"])
        answer = kernel.run("import urllib.request\nurllib.request.urlopen('http://example.com/')")
        self.assertIn("fetch_from_url", answer.done["error"]["hint"])
        self.assertEqual(kernel.run("open('/etc/shadow')").done["status"], "error")
        self.assertEqual(kernel.run("np.ones(3 << 28)").done["error"]["name"], "MemoryError")
        kernel.start("open('started', 'w').close()\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass")
        while not os.path.exists(os.path.join(kernel.real, "started")):
            time.sleep(0.01)
        kernel.interrupt(hard=True)
        self.assertEqual(kernel.finish().done["status"], "interrupted")
        self.assertEqual(ok("import asyncio\nawait asyncio.sleep(0, 9)").result, "9")
        self.assertEqual(ok("import os\nprint('subprocess', file=open('o', 'w'))\nos.system('cat o')").stdout, "subprocess\n")
        kernel.start("import os\nos._exit(3)")
        self.assertEqual(self.zygote.wait_exit(kernel.pid)["code"], 3)

    def test_full(self):
        self.check("full")

    def test_container(self):
        self.check("container")

    def test_nonroot(self):
        self.check("nonroot")

    def test_tree_dies_with_its_kernel(self):
        for tier in self.trees:
            kernel = self.spawn(tier)
            answer = kernel.run("import subprocess\nsubprocess.Popen(['sleep', '77.5'], start_new_session=True).pid")
            self.assertEqual(answer.done["status"], "ok", answer.trace)
            kernel.start("import os\nos._exit(0)")
            self.zygote.wait_exit(kernel.pid)
            for _ in range(100):
                found = [n for n in os.listdir("/proc") if n.isdigit() and self.command(n) == b"sleep\x0077.5\x00"]
                if not found:
                    break
                time.sleep(0.02)
            self.assertEqual(found, [], tier)

    @staticmethod
    def command(pid):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return file.read()
        except OSError:
            return b""


if __name__ == "__main__":
    unittest.main()
