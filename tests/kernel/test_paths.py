"""/tmp and /app/sandbox_data/<session> where no mount namespace makes them true (PathMap.cpp)."""
import os
import shutil
import tempfile
import unittest

from base import KernelTest

INSIDE = "/app/sandbox_data/s1"


class Paths(KernelTest):
    def setUp(self):
        self.kernel = self.spawn()

    def spawn(self):
        workspace, scratch = tempfile.mkdtemp(prefix="pk-real-"), tempfile.mkdtemp(prefix="pk-real-")
        for path in (workspace, scratch):
            self.addCleanup(shutil.rmtree, path, True)
        plan = {"tier": "none", "workspace": workspace, "workspaceInside": INSIDE, "scratch": scratch}
        kernel = self.zygote.spawn(plan=plan, cwd=INSIDE, home=INSIDE, tmp="/tmp")
        kernel.workspace, kernel.scratch = workspace, scratch
        return kernel

    def scratch(self):
        return sorted(os.listdir(self.kernel.scratch))

    def test_python_writes_and_reads(self):
        self.ok("open('/tmp/a.txt', 'w').write('x')\nPath('/tmp/b.txt').write_text('y')\nos.makedirs('/tmp/d/e')\n"
                "pd.DataFrame({'v': [1, 2]}).to_csv('/tmp/c.csv')\nplt.plot([1]); plt.savefig('/tmp/p.png'); plt.close()")
        self.assertEqual(self.scratch(), ["a.txt", "b.txt", "c.csv", "d", "p.png"])
        self.assertEqual(self.ok("sorted(os.listdir('/tmp')), sorted(glob.glob('/tmp/*.txt')), [e.name for e in os.scandir('/tmp/d')]").result,
                         "(['a.txt', 'b.txt', 'c.csv', 'd', 'p.png'],\n ['/tmp/a.txt', '/tmp/b.txt'],\n ['e'])")
        self.ok("os.rename('/tmp/a.txt', '/tmp/a2.txt'); shutil.copy2('/tmp/a2.txt', 'here.txt'); shutil.move('/tmp/b.txt', '/tmp/d/b.txt')\n"
                "os.remove('/tmp/a2.txt'); shutil.rmtree('/tmp/d'); os.stat('/tmp/c.csv'); os.utime('/tmp/c.csv'); os.chmod('/tmp/c.csv', 0o600)\n"
                "assert os.path.exists('/tmp/c.csv') and os.access('/tmp/c.csv', os.R_OK) and not os.path.exists('/tmp/a2.txt')\n"
                "assert os.path.realpath('/tmp/c.csv') == '/tmp/c.csv' and shutil.disk_usage('/tmp').total")
        self.assertEqual(self.scratch(), ["c.csv", "p.png"])
        self.assertTrue(os.path.exists(os.path.join(self.kernel.workspace, "here.txt")))

    def test_c_readers(self):
        self.ok("pd.DataFrame({'v': [1, 2]}).to_csv('/tmp/c.csv', index=False)\n"
                "assert pd.read_csv('/tmp/c.csv', engine='c').v.sum() == 3\nassert pd.read_csv('/tmp/c.csv', memory_map=True).v.sum() == 3\n"
                "import sqlite3\nc = sqlite3.connect('/tmp/x.db'); c.execute('pragma journal_mode=wal'); c.execute('create table t(a)')\n"
                "c.execute('insert into t values (5)'); c.commit(); assert c.execute('select a from t').fetchone() == (5,); c.close()\n"
                "from PIL import Image\nImage.new('RGB', (2, 2)).save('/tmp/i.png'); assert Image.open('/tmp/i.png').size == (2, 2)\n"
                "np.save('/tmp/n.npy', np.arange(3)); assert np.load('/tmp/n.npy', mmap_mode='r')[2] == 2\n"
                "np.arange(4.).tofile('/tmp/n.bin'); assert np.fromfile('/tmp/n.bin')[3] == 3\n"
                "import zipfile\nwith zipfile.ZipFile('/tmp/z.zip', 'w') as z: z.write('/tmp/c.csv')\n"
                "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p\n"
                "f = libc.fopen(b'/tmp/from_c.txt', b'w'); libc.fputs(b'c', ctypes.c_void_p(f)); libc.fclose(ctypes.c_void_p(f))")
        self.assertTrue({"c.csv", "x.db", "i.png", "n.npy", "n.bin", "z.zip", "from_c.txt"} <= set(self.scratch()))

    def test_session_directory(self):
        self.assertEqual(self.ok("os.getcwd(), SANDBOX_DIR, str(Path.cwd()), os.path.abspath('x')").result,
                         f"('{INSIDE}',\n '{INSIDE}',\n '{INSIDE}',\n '{INSIDE}/x')")
        self.ok(f"open('{INSIDE}/one.txt', 'w').write('1'); os.makedirs(SANDBOX_DIR + '/sub'); os.chdir('{INSIDE}/sub')\n"
                "open('two.txt', 'w').close(); assert os.getcwd() == SANDBOX_DIR + '/sub'")
        self.assertTrue(os.path.exists(os.path.join(self.kernel.workspace, "sub", "two.txt")))
        self.assertEqual(self.ok("!cat ../one.txt").stdout, "1")

    def test_temporary_files(self):
        self.ok("import tempfile, subprocess\nwith tempfile.NamedTemporaryFile() as f: f.write(b'x')\ntempfile.mkdtemp()\n"
                "subprocess.run('echo x > $TMPDIR/from_shell', shell=True, check=True)")
        self.assertIn("from_shell", self.scratch())

    def test_other_paths_are_untouched(self):
        self.ok("assert os.path.exists('/usr/bin/env') and not os.path.exists('/tmpx')\nopen('/proc/self/stat').read()")


if __name__ == "__main__":
    unittest.main()
