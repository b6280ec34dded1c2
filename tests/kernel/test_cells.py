import unittest

from base import KernelTest


class Values(KernelTest):
    def test_last_expression_and_history(self):
        self.assertEqual(self.ok("40 + 2").result, "42")
        self.assertEqual(self.ok("_ + 1").result, "43")
        self.assertEqual(self.ok("__").result, "42")
        self.assertEqual(self.ok("Out[1], In[1]").result, "(42, '40 + 2')")
        self.assertIsNone(self.ok("40 + 2;").result)
        self.assertIsNone(self.ok("None").result)
        self.assertIsNone(self.ok("x = 1").result)

    def test_main_module(self):
        self.ok("import pickle, sys\nclass A:\n    def __init__(self): self.v = 7\na = A()")
        self.assertEqual(self.ok("pickle.loads(pickle.dumps(a)).v, __name__, sys.modules['__main__'].a is a").result,
                         "(7, '__main__', True)")
        self.assertEqual(self.ok("def f():\n    global made\n    made = 3\nf()\nmade").result, "3")
        self.assertIn("return 1 + 1", self.ok("import inspect\ndef g():\n    return 1 + 1\nprint(inspect.getsource(g))").stdout)

    def test_rich_reprs(self):
        answer = self.ok("class R:\n"
                         "    def _repr_html_(self): return '<b>h</b>'\n"
                         "    def _repr_svg_(self): return '<svg/>'\n"
                         "    def _repr_png_(self): return b'\\x89PNG'\n"
                         "    def _repr_markdown_(self): return '*m*'\n"
                         "    def _repr_latex_(self): return '$l$'\n"
                         "    def _repr_json_(self): return {'j': 1}\n"
                         "R()")
        frame = answer.displays("result")[0]
        self.assertEqual([p["mime"] for p in frame["parts"]],
                         ["image/png", "image/svg+xml", "text/html", "text/markdown", "text/latex", "application/json", "text/plain"])
        self.assertEqual(frame["data"]["image/png"], b"\x89PNG")
        self.assertEqual(frame["data"]["application/json"], b'{"j": 1}')

    def test_display_and_pil(self):
        answer = self.ok("from PIL import Image\nim = Image.new('RGB', (4, 4), 'red')\ndisplay(im)\nim")
        self.assertEqual([f["kind"] for f in answer.displays()], ["display", "result"])
        self.assertTrue(answer.displays()[0]["data"]["image/png"].startswith(b"\x89PNG"))
        answer = self.ok("from IPython.display import HTML, Markdown, Image\nimport io\nb = io.BytesIO(); im.save(b, 'png')\n"
                         "display(HTML('<i>x</i>')); display(Markdown('**m**'))\nImage(data=b.getvalue())")
        frames = answer.displays()
        self.assertEqual(frames[0]["data"]["text/html"], b"<i>x</i>")
        self.assertEqual(frames[1]["data"]["text/markdown"], b"**m**")

    def test_display_limit(self):
        answer = self.ok("display({'text/plain': 'x' * 5000}, raw=True)\n1", max_display=1000)
        self.assertEqual(len(answer.displays()), 1)
        self.assertIn("above the limit", answer.done["notes"][0])

    def test_odd_displays_never_break_the_protocol(self):
        answer = self.ok("display({'no mime': 'x', 'a/b c': 'y', 5: 'z', 'ä/ö': 'q', 'text/plain': 'fine'}, raw=True)\n"
                         "globals()[7] = 8\nplt.plot([1]); plt.title('\\ud800'); plt.clf(); display({}, raw=True)")
        self.assertEqual(answer.displays("display")[0]["parts"], [{"mime": "text/plain", "size": 4}])
        self.ok("class L:\n    def _repr_html_(self): return 5\nL()")
        self.ok("class M:\n    def _repr_mimebundle_(self, **k): return {'image/png': 'not base64!', 'text/plain': 'm'}\nM()")

    def test_failing_repr(self):
        answer = self.kernel.run("class B:\n    def __repr__(self): raise ValueError('no')\nB()")
        self.assertIn(answer.done["status"], ("ok", "error"))
        self.assertEqual(self.ok("1 + 1").result, "2")

    def test_context_silent_and_types(self):
        answer = self.ok("total = a + 1\ntotal", context={"a": 41})
        self.assertEqual(answer.result, "42")
        self.assertEqual(answer.done["types"], {"a": "int", "total": "int"})
        count = answer.done["count"]
        answer = self.ok("99", silent=True)
        self.assertEqual(answer.displays(), [])
        self.assertEqual(answer.done["count"], count)

    def test_result_is_json_safe(self):
        answer = self.ok("import uuid\nRESULT = {'nan': float('nan'), 'inf': [np.inf], 'd': date(2024, 2, 29), 'u': uuid.UUID(int=1),\n"
                         " 'dec': Decimal('1.50'), 'np': np.int64(3), 'arr': np.arange(3), 'nat': pd.NaT, 1: (1, 2), 'set': {5},\n"
                         " 'big': 2**80, 'frame': pd.DataFrame({'a': [1, None], 't': pd.to_datetime(['2020-01-01', None])})}")
        self.assertEqual(answer.done["result"], {
            "nan": None, "inf": [None], "d": "2024-02-29", "u": "00000000-0000-0000-0000-000000000001", "dec": "1.50", "np": 3,
            "arr": [0, 1, 2], "nat": None, "1": [1, 2], "set": [5], "big": str(2**80),
            "frame": {"columns": ["a", "t"], "data": [[1.0, "2020-01-01T00:00:00"], [None, None]], "row_count": 2}})
        self.assertNotIn("result", self.ok("1").done)
        deep = self.ok("RESULT = []\nfor _ in range(100): RESULT = [RESULT]")
        self.assertIn("result", deep.done)
        big = self.kernel.run("RESULT = ['x' * 1000] * 500")
        self.assertTrue(big.done["result_in_blob"])
        self.assertEqual(len(__import__("json").loads(big.trace)), 500)
        self.ok("RESULT = []\nRESULT.append(RESULT)")


class Ipython(KernelTest):
    def test_magics(self):
        self.assertIn("Wall time", self.ok("%time sum(range(10))").stdout)
        self.assertIn("loops", self.ok("x = 1\n%timeit -n 10 -r 1 x + 1").stdout)
        self.assertEqual(self.ok("%%capture out\nprint('hidden')").stdout, "")
        self.assertEqual(self.ok("print(out.stdout)").stdout, "hidden\n\n")
        self.ok("%matplotlib inline")
        self.assertIn("Nothing can be installed", self.kernel.run("%pip install nothing").trace)
        self.assertEqual(self.ok("get_ipython().run_line_magic('who_ls', '')").displays("result") != [], True)

    def test_shell(self):
        self.assertEqual(self.ok("name = 'abc'\n!echo {name}").stdout, "abc\n")
        self.assertEqual(self.ok("lines = !printf 'a\\nb\\n'\nlist(lines)").result, "['a', 'b']")
        self.assertEqual(self.ok("%%bash\necho from bash").stdout, "from bash\n")

    def test_question_mark(self):
        text = self.ok("len?").stdout
        self.assertIn("Return the number of items", text)
        self.assertNotIn("\x1b", text)

    def test_await(self):
        self.assertEqual(self.ok("import asyncio\nawait asyncio.sleep(0.01)\nawait asyncio.sleep(0, 'v')").result, "'v'")
        self.ok("task = asyncio.get_event_loop().create_task(asyncio.sleep(0, 5))")
        self.assertEqual(self.ok("await task").result, "5")
        self.assertEqual(self.ok("asyncio.run(asyncio.sleep(0, 6))").result, "6")
        self.assertEqual(self.ok("async def gen():\n    yield 1\nasync for v in gen():\n    print(v)").stdout, "1\n")


class Errors(KernelTest):
    def test_traceback(self):
        self.ok("def inner(n):\n    return 1 / n\n")
        answer = self.fails("x = 5\ninner(0)", "ZeroDivisionError")
        self.assertEqual(answer.done["error"]["line"], 2)
        lines = [line for line in answer.trace.splitlines() if line.strip("~^ ")]  # newer Pythons mark the place in more lines
        self.assertEqual(lines[1:5], ['  File "<cell 2>", line 2, in <module>', "    inner(0)",
                                      '  File "<cell 1>", line 2, in inner', "    return 1 / n"])
        self.assertNotIn("<power/", answer.trace)
        answer = self.fails("pd.DataFrame({'a': [1]})['b']", "KeyError")
        self.assertLess(len(answer.trace.splitlines()), 25)
        self.assertIn("<cell 3>", answer.trace)

    def test_chained(self):
        answer = self.fails("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('outer') from e", "ValueError")
        self.assertIn("KeyError: 'k'", answer.trace)
        self.assertIn("direct cause", answer.trace)

    def test_syntax_error(self):
        answer = self.fails("print('a'\n", "SyntaxError")
        self.assertNotIn("Traceback", answer.trace)
        self.fails("x = = 2", "SyntaxError")
        self.fails("return 5", "SyntaxError")
        self.fails("if True:\nprint(1)", "IndentationError")
        self.assertEqual(self.ok("    y = 1\n    y + 1").result, "2")
        self.assertEqual(self.ok(">>> 1 + 2\n").result, "3")

    def test_input_and_breakpoint(self):
        self.assertIn("nobody is at a keyboard", self.fails("input('name? ')", "EOFError").trace)
        self.fails("import getpass\ngetpass.getpass()", "EOFError")
        self.assertIn("Print what you want to see", self.fails("breakpoint()", "RuntimeError").trace)
        self.assertEqual(self.ok("import sys\nsys.stdin.read()").result, "''")

    def test_exits(self):
        for code, number in (("exit()", 0), ("quit(2)", 2), ("raise SystemExit", 0), ("import sys; sys.exit('bad')", 1)):
            answer = self.kernel.run("keep = 1\n" + code)
            self.assertEqual((answer.done["status"], answer.done["code"]), ("exit", number), code)
        self.assertEqual(answer.stderr, "bad\n")
        self.assertEqual(self.ok("keep").result, "1")
        self.ok("print('still here')")

    def test_real_death(self):
        self.kernel.start("import os\nos._exit(7)")
        self.assertEqual(self.zygote.wait_exit(self.kernel.pid)["code"], 7)

    def test_segfault(self):
        self.kernel.start("import ctypes\nctypes.string_at(0)")
        self.assertEqual(self.zygote.wait_exit(self.kernel.pid)["signal"], 11)

    def test_hints(self):
        self.assertIn("Pillow", self.fails("import cv2", "ModuleNotFoundError").done["error"]["hint"])
        self.assertIn("prose", self.fails("Please make a chart of the sales data", "SyntaxError").done["error"]["hint"])
        self.ok("open('there.csv', 'w').close()")
        self.assertIn("there.csv", self.fails("open('x.csv')", "FileNotFoundError").done["error"]["hint"])
        for code in ("import errno\nraise OSError(errno.EAFNOSUPPORT, 'Address family not supported')",
                     "import urllib.error\nraise urllib.error.URLError(OSError(97, 'no'))",
                     "import socket\nraise socket.gaierror(-3, 'Temporary failure in name resolution')"):
            self.assertIn("fetch_from_url", self.kernel.run(code).done["error"]["hint"], code)

    def test_odd_exceptions(self):
        self.fails("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E")
        self.fails("raise Exception('x' * 100000)", "Exception")
        self.fails("raise Exception(chr(0xd800) + '\\x00' * 9000)", "Exception")
        self.fails("def f(): f()\nf()", "RecursionError")
        self.fails("raise BaseException('b')", "BaseException")
        self.assertEqual(self.ok("1").result, "1")

    def test_endless_message(self):
        """Shown shortened, without working through its megabytes (which once took longer than the cell was allowed)."""
        for text in ("'x' * 30_000_000", "'x y\\n' * 7_000_000"):
            answer = self.kernel.run(f"raise ValueError({text})", 20)
            self.assertEqual(answer.done["status"], "error")
            self.assertLess(len(answer.trace), 250_000)
            self.assertIn("shortened", answer.trace)

    def test_lost_streams_come_back(self):
        self.ok("import sys\nsys.stdout.close(); sys.stdout = None")
        self.assertEqual(self.ok("print('back')").stdout, "back\n")

    def test_wide_frames_are_wrapped(self):
        text = self.ok("print(pd.DataFrame([range(100000, 100019)], columns=[f'column_{i:02}' for i in range(19)]))").stdout
        self.assertIn("column_18", text)
        self.assertNotIn("...", text)


if __name__ == "__main__":
    unittest.main()
