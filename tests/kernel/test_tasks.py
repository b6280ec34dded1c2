import json
import os
import time
import unittest

from base import KernelTest


class Tasks(KernelTest):
    def answer(self, name, **arguments):
        got = self.kernel.task(name, **arguments)
        self.assertEqual(got.done["status"], "ok", got.done)
        return json.loads(got.trace)

    def test_frames(self):
        self.ok("df = pd.DataFrame({'a': [1, 2], 'b': ['x', None]})\nother = 5")
        self.assertEqual(self.answer("frames"), {"frames": [
            {"name": "df", "kind": "pandas", "shape": [2, 2], "columns": [{"name": "a", "dtype": "int64"}, {"name": "b", "dtype": "object"}]}]})

    def test_unknown_task(self):
        self.assertIn("no task", self.kernel.task("dance").done["error"]["value"])

    def test_query(self):
        self.ok("import duckdb")
        threads = len(os.listdir(f"/proc/{self.kernel.pid}/task"))  # the import itself may start one
        self.ok("df = pd.DataFrame({'a': range(10), 'f': [float('nan')] + [1.5] * 9, 'd': pd.date_range('2024-01-01', periods=10)})")
        got = self.answer("query", sql="select a, f, d from df order by a", limit=2)
        self.assertEqual(got, {"columns": ["a", "f", "d"], "row_count": 2, "has_more": True, "engine": "duckdb", "frames": ["df"], "datasets": [],
                               "data": [[0, None, "2024-01-01T00:00:00"], [1, 1.5, "2024-01-02T00:00:00"]]})
        got = self.answer("query", sql="select a from df order by a", limit=5, offset=8)
        self.assertEqual((got["data"], got["has_more"]), ([[8], [9]], False))
        self.assertEqual(self.answer("query", sql="select count(*) c from df", limit=1)["data"], [[10]])
        error = self.kernel.task("query", sql="select nope from df").done["error"]
        self.assertEqual(error["name"], "BinderException")
        self.assertEqual(len(os.listdir(f"/proc/{self.kernel.pid}/task")), threads)

    def test_query_is_interrupted(self):
        self.ok("import duckdb")
        self.kernel.runs += 1
        self.kernel.frames.send(2, {"run": str(self.kernel.runs), "task": "query",
                                    "sql": "select count(*) from range(100000000) a, range(100000) b"})
        time.sleep(0.5)
        self.kernel.interrupt()
        self.assertEqual(self.kernel.finish(10).done["status"], "interrupted")
        self.assertEqual(self.ok("1").result, "1")


if __name__ == "__main__":
    unittest.main()
