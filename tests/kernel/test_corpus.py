"""The rows of the language corpus (contract 13.2) that concern the kernel alone."""
import unittest

from base import KernelTest

PRELOADED = ("pd pandas np numpy plt json csv math statistics datetime timedelta timezone date collections itertools functools re "
             "io copy hashlib base64 Path Decimal Fraction dataclass field asdict Dict List Optional Tuple Set Any os glob shutil")


class Corpus(KernelTest):
    def test_preloaded_names(self):
        self.ok("\n".join(PRELOADED.split()))
        self.assertEqual(self.ok("type(datetime).__name__").result, "'module'")
        self.assertEqual(self.ok("x = 1").done["variables"], 1)
        self.assertEqual(self.ok("SANDBOX_DIR == os.getcwd()").result, "True")

    def test_l1_to_l4(self):
        self.ok("@dataclass\nclass P:\n    a: int = 1\nclass Q(P): pass\nQ()")
        self.ok("from datetime import datetime\ndatetime.now()")
        self.ok("import datetime\ndatetime.datetime.now()")
        self.ok("import sys, uuid\nsys.path, uuid.uuid4()")

    def test_l5_to_l10(self):
        self.assertEqual(self.ok("import math; print(math.pi)").stdout, "3.141592653589793\n")
        self.ok("from math import pi  # note\npi")
        self.ok("from math import (\n    pi,\n    e)\nfrom math import sin, \\\n    cos\npi + e + sin(1) + cos(1)")
        self.ok("from math import *\nfrom string import *\ntau, digits")
        self.ok("try:\n    import json\nexcept ImportError:\n    pass\nif True:\n    import csv")
        self.ok("def f():\n    import heapq\n    return heapq\nf()\nassert 'heapq' not in globals()")

    def test_l11_standard_library(self):
        self.ok("import sys, uuid, sqlite3, operator, heapq, logging, pickle, tempfile, asyncio, threading, random, time, secrets\n"
                "import zipfile, tarfile, gzip, xml.etree.ElementTree, urllib.parse, html, string, textwrap, bisect, enum, types\n"
                "import concurrent.futures, multiprocessing, subprocess, contextlib, inspect, traceback, platform, struct, queue")

    def test_l12_text_stays(self):
        text = "from x import y\nimport z\n%matplotlib\n!ls\nwhat?"
        self.assertEqual(self.ok(f"sql = '''{text}'''\nprint(sql)").stdout, text + "\n")
        self.assertEqual(self.ok(f"%time 1\nsql = '''{text}'''\nprint(sql, end='')").stdout.splitlines()[-5:], text.splitlines())

    def test_l13_builtins(self):
        self.ok("exec('a = 1'); eval('a'); compile('1', 'x', 'eval'); __import__('os'); globals(); locals(); delattr; open\n"
                "exit, quit, breakpoint, input")

    def test_l15_endings(self):
        self.assertEqual(self.kernel.run("raise SystemExit").done["status"], "exit")
        self.fails("raise MemoryError", "MemoryError")
        self.fails("def f(n): return f(n + 1)\nf(0)", "RecursionError")
        self.ok("1")

    def test_l16_thousand_runs(self):
        for i in range(1100):
            self.kernel.run(f"with open('f{i % 50}.txt', 'w') as f: f.write('x')\nv = {i}")
        self.assertEqual(self.ok("v").result, "1099")

    def test_l18_names(self):
        self.ok("open('a.txt', 'w').write('hi')")
        self.assertEqual(self.ok("open(os.path.join(SANDBOX_DIR, 'a.txt')).read(), open(f'{os.getcwd()}/a.txt').read()").result,
                         "('hi', 'hi')")
        self.ok("with open('mod_own.py', 'w') as f: f.write('V = 5')\nimport mod_own\nmod_own.V")

    def test_l24_fences_and_prose(self):
        self.assertEqual(self.ok("```python\nprint('in')\n```").stdout, "in\n")
        self.assertEqual(self.ok("```\n1 + 1\n```\n").result, "2")
        self.assertIn("code fence", self.fails("Here it is:\n```python\nx=1\n```", "SyntaxError").done["error"]["hint"])
        self.assertIn("prose", self.fails("I will now load the data and plot it", "SyntaxError").done["error"]["hint"])
        self.ok("n = 0")
        self.fails("n += 1\nundefined_name", "NameError")
        self.assertEqual(self.ok("n").result, "1")

    def test_l25_short_syntax_errors(self):
        for code in ("x =", "print(", "def", "a b", "'"):
            answer = self.kernel.run(code)
            self.assertEqual(answer.done["error"]["name"], "SyntaxError", code)
            self.assertIn("SyntaxError", answer.trace)

    def test_l26_values(self):
        self.ok("import uuid\nRESULT = [float('nan'), date.today(), Decimal('NaN'), uuid.uuid4(), pd.Timestamp.now(), np.float32('inf'),\n"
                "          pd.Series([1, None]), pd.NA, b'x', complex(1, 2), range(3), Path('x'), timedelta(1), {(1, 2): {3}}]")

    def test_windows_line_ends_and_future(self):
        self.assertEqual(self.ok("a = 1\r\nif a:\r\n    b = '''x\r\ny'''\r\nb").result, "'x\\ny'")
        self.ok("from __future__ import annotations\ndef f(a: NotThere): pass")
        self.ok("def g(a: NotThereEither): pass")


if __name__ == "__main__":
    unittest.main()
