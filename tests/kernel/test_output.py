import unittest

from base import KernelTest


class Order(KernelTest):
    def test_everything_interleaved(self):
        answer = self.ok(
            "import sys, ctypes, subprocess\nlibc = ctypes.CDLL(None)\n"
            "for i in range(200):\n"
            "    print(f'o{i}')\n"
            "    print(f'e{i}', file=sys.stderr)\n"
            "    display({'text/plain': f'd{i}'}, raw=True)\n"
            "    print(f'p{i}', end='')\n"
            "    libc.printf(b'c%d', i)\n"
            "subprocess.run(['echo', 'sub'])\n"
            "print('end', file=sys.stderr)\n")
        flat = []
        for kind, item in answer.outputs:
            flat.append((kind, item) if kind != "frame" else ("frame", item["data"]["text/plain"].decode()))
        want = []
        for i in range(200):
            first = f"p{i-1}c{i-1}" if i else ""
            want += [("stdout", f"{first}o{i}\n"), ("stderr", f"e{i}\n"), ("frame", f"d{i}")]
        want += [("stdout", "p199c199sub\n"), ("stderr", "end\n")]
        self.assertEqual(flat, want)

    def test_logging_and_warnings_go_to_stderr(self):
        answer = self.ok("import logging, warnings\nlogging.warning('careful')\nwarnings.warn('hot')\nprint('x')")
        self.assertIn("careful", answer.stderr)
        self.assertIn("hot", answer.stderr)
        self.assertEqual(answer.stdout, "x\n")

    def test_big_output_and_unicode(self):
        answer = self.ok("print('ä' * 300000)\nprint('\\ud800 ok')")
        self.assertEqual(answer.stdout, "ä" * 300000 + "\n\\ud800 ok\n")

    def test_threads(self):
        answer = self.ok("import threading, sys\n"
                         "def work(n):\n    for i in range(300): sys.stdout.write(f'{n}:{i}\\n'); sys.stderr.write(f'{n}.{i}\\n')\n"
                         "ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
                         "[t.start() for t in ts]; [t.join() for t in ts];")
        self.assertEqual(len(answer.stdout.splitlines()), 1200)
        self.assertEqual(len(answer.stderr.splitlines()), 1200)

    def test_background_thread_runs_between_cells(self):
        self.ok("import threading, time\nticks = []\n"
                "def tick():\n    for _ in range(200): ticks.append(1); time.sleep(0.005)\n"
                "t = threading.Thread(target=tick, daemon=True); t.start()")
        self.ok("time.sleep(0)")
        import time
        time.sleep(0.3)
        self.assertGreater(int(self.ok("len(ticks)").result), 20)

    def test_descriptor_redirected_by_code(self):
        answer = self.ok("import os, sys\nsaved = os.dup(1)\nf = os.open('cap.txt', os.O_CREAT | os.O_WRONLY)\nos.dup2(f, 1)\n"
                         "print('into file')\nprint('err', file=sys.stderr)\nprint('again')\nos.dup2(saved, 1)\nprint('back')\n"
                         "open('cap.txt').read()")
        self.assertEqual(answer.result, "'into file\\nagain\\n'")
        self.assertEqual(answer.stdout, "back\n")

    def test_forked_process(self):
        answer = self.ok("import os\npid = os.fork()\nif pid == 0:\n    print('child'); display('shown'); os._exit(0)\n"
                         "os.waitpid(pid, 0)\nprint('parent')")
        self.assertIn("child\n'shown'\nparent\n", answer.stdout)
        answer = self.ok("import multiprocessing\ndef square(n): return n * n\n"
                         "with multiprocessing.Pool(2) as p: r = p.map(square, range(4))\nr")
        self.assertEqual(answer.result, "[0, 1, 4, 9]")

    def test_redirect_and_buffer(self):
        answer = self.ok("import contextlib, io, sys\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): print('in')\n"
                         "sys.stdout.buffer.write(b'raw\\n')\nprint(b.getvalue(), sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.fileno())")
        self.assertEqual(answer.stdout, "raw\nin\n utf-8 False 1\n")


if __name__ == "__main__":
    unittest.main()
