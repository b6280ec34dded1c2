import os
import time
import unittest

from base import KernelTest

# Code that one SIGINT ends, and how long it may take (seconds).
SOFT = {
    "busy loop": ("while True: pass", 1),
    "except Exception": ("while True:\n    try:\n        y = 1\n    except Exception:\n        pass", 1),
    "sleep": ("import time\ntime.sleep(60)", 1),
    "lock": ("import threading\nl = threading.Lock(); l.acquire(); l.acquire()", 1),
    "queue": ("import queue\nqueue.Queue().get()", 1),
    "thread join": ("import threading, time\nt = threading.Thread(target=time.sleep, args=(3,), daemon=True); t.start(); t.join()", 1),
    "asyncio.run": ("import asyncio\nasyncio.run(asyncio.sleep(60))", 1),
    "await": ("import asyncio\nawait asyncio.sleep(60)", 1.5),
    "regex": ("import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", 1),
    "subprocess": ("import subprocess\nsubprocess.run(['sleep', '60'])", 1.5),
    "os.system": ("import os\nwhile True: os.system('sleep 60')", 1.5),
    "shell escape": ("!sleep 60", 1.5),
    "printing": ("while True: print('x')", 1),
}
# Code that swallows SIGINT and needs the hard interrupt.
HARD = {
    "except: pass": "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except: pass",
    "except BaseException": "while True:\n    try:\n        for i in range(1000): pass\n    except BaseException: pass",
    "suppress": "import contextlib\nwhile True:\n    with contextlib.suppress(BaseException):\n        sum(range(100))",
    "SIG_IGN": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "finally": "def f():\n    while True:\n        try:\n            for i in range(10**7): pass\n        finally:\n            continue\nf()",
    "in a function": "def g():\n    while True:\n        try: len('x')\n        except: pass\ndef h():\n    try: g()\n    except: h()\nh()",
}


class Interrupts(KernelTest):
    def begin(self, code):
        """Starts the cell and returns when it is running: an interrupt between cells is ignored."""
        started = os.path.join(self.kernel.workspace, "started")
        self.ok("x = 42")
        self.kernel.start("open('started', 'w').close()\n" + code)
        while not os.path.exists(started):
            time.sleep(0.01)
        time.sleep(0.1)
        os.remove(started)

    def ended(self, answer):
        self.assertEqual(answer.done["status"], "interrupted", answer.trace)
        self.assertEqual(self.ok("x").result, "42")
        self.assertFalse(self.ok("sum(range(1000))").done["hard"])

    def test_soft(self):
        for name, (code, limit) in SOFT.items():
            with self.subTest(name):
                self.begin(code)
                at = time.monotonic()
                self.kernel.interrupt()
                answer = self.kernel.finish(20)
                self.assertLess(time.monotonic() - at, limit)
                self.ended(answer)

    def test_hard(self):
        for name, code in HARD.items():
            with self.subTest(name):
                for _ in range(5):
                    self.begin(code)
                    self.kernel.interrupt()
                    time.sleep(0.2)
                    at = time.monotonic()
                    self.kernel.interrupt(hard=True)
                    answer = self.kernel.finish(20)
                    self.assertLess(time.monotonic() - at, 1)
                    self.ended(answer)
                    # The soft one ends such a loop too when it strikes between two rounds of it, outside the `try`.
                    if answer.done["hard"]:
                        break
                self.assertTrue(answer.done["hard"])

    def test_ignored_between_cells(self):
        for _ in range(20):
            self.kernel.interrupt()
            self.kernel.interrupt(hard=True)
            self.assertEqual(self.ok("1 + 1").result, "2")

    def test_interrupt_at_any_moment(self):
        """Signals that race with begin and end of short cells never break the protocol."""
        for i in range(60):
            self.kernel.start("y = 0\nfor i in range(20000): y += i\ny")
            time.sleep(0.0002 * (i % 15))
            self.kernel.interrupt(hard=i % 3 == 0)
            answer = self.kernel.finish(10)
            self.assertIn(answer.done["status"], ("ok", "interrupted"))
        self.assertEqual(self.ok("1 + 1").result, "2")

    def test_figures_of_an_interrupted_cell(self):
        self.begin("plt.plot([1, 2]); open('drawn', 'w').close()\nwhile True: pass")
        while not os.path.exists(os.path.join(self.kernel.workspace, "drawn")):
            time.sleep(0.01)
        self.kernel.interrupt()
        answer = self.kernel.finish()
        self.ended(answer)
        self.assertEqual(len(answer.displays("figure")), 1)
        self.assertEqual(self.ok("plt.get_fignums()").result, "[]")

    def test_replaced_handler_is_rearmed(self):
        self.ok("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGUSR2, signal.SIG_IGN);")
        self.begin("while True: pass")
        self.kernel.interrupt()
        self.ended(self.kernel.finish())


if __name__ == "__main__":
    unittest.main()
