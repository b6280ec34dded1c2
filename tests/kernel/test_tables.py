"""Files and datasets as frames, and SQL over both, in a kernel; the test is the server that has the datasets."""
import json
import os
import time
import unittest

from base import KernelTest

COLUMNS = [{"name": "Region", "type": "text"}, {"name": "amount", "type": "numeric"}, {"name": "n", "type": "bigint"},
           {"name": "day", "type": "date"}, {"name": "at", "type": "timestamp with time zone"}, {"name": "ok", "type": "boolean"},
           {"name": "more", "type": "jsonb"}]
ROWS = '''Region,amount,n,day,at,ok,more
north,10.50,1,2024-01-31,2024-01-31 10:00:00+00,t,"{""a"": [1]}"
"",20,,,,,
south,0.25,3,2024-02-29,2024-02-29 11:30:00.5+01,f,[]
'''


class Tables(KernelTest):
    def setUp(self):
        super().setUp()
        self.calls = []
        self.kernel.reply = self.reply
        self.answers = {}  # tool -> value

    def reply(self, meta, blob):
        if meta["what"] != "call":
            return None
        values = json.loads(blob)
        self.calls.append((meta["tool"], values))
        if meta["tool"] == "":
            return True, "", b'{"value": [{"name": "store", "about": "", "parameters": []}, {"name": "_rows", "about": "", "parameters": []}]}'
        if meta["tool"] in self.answers:
            return True, "", json.dumps({"value": self.answers[meta["tool"]]}).encode()
        if meta["tool"] == "_tables":
            found = {name: {"name": "sales", "columns": COLUMNS} for name in values["names"] if name.lower() == "sales"}
            return True, "", json.dumps({"value": {"found": found, "names": ["sales"]}}).encode()
        if meta["tool"] == "_rows":
            if values["name"] != "sales":
                return False, f"There is no dataset {values['name']!r}.", b""
            names = values.get("columns") or [column["name"] for column in COLUMNS]
            path = os.path.join(self.kernel.scratch, "rows.csv")
            with open(path, "w") as file:
                file.write({1: {"Region": 'Region\nnorth\n""\nsouth\n', "n": "n\n1\n\n3\n"}.get(names[0])}.get(len(names), ROWS))
            self.file = path
            columns = [column for column in COLUMNS if column["name"] in names]
            return True, "", json.dumps({"value": {"file": path, "columns": columns, "rows": 3}}).encode()
        return False, "not here", b""

    def put(self, name, text):
        with open(os.path.join(self.kernel.workspace, name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def query(self, sql, **more):
        got = self.kernel.task("query", sql=sql, limit=10, **more)
        self.assertEqual(got.done["status"], "ok", got.done)
        return json.loads(got.trace)

    def threads(self):
        return len(os.listdir(f"/proc/{self.kernel.pid}/task"))

    # -- files -------------------------------------------------------------------------------------------------

    def test_load(self):
        self.put("data.csv", "id,code,n,day,at,ok\n1,007,5,2024-01-31,2024-01-31 10:00,true\n2,08,,,,\n")
        self.ok("import power\ndf = power.load('data.csv')")
        self.assertEqual(self.ok("str({name: str(kind) for name, kind in df.dtypes.items()})").result.strip('"'),
                         str({"id": "int64", "code": "object", "n": "Int64", "day": "datetime64[ns]", "at": "datetime64[ns]", "ok": "boolean"}))
        self.assertEqual(self.ok("df.code.tolist(), int(df.n.sum()), df.day[0].year").result, "(['007', '08'], 5, 2024)")
        self.assertEqual(self.threads(), 1)

    def test_load_dataset_tells_facts(self):
        self.put("data.csv", "id,text\n" + "".join(f"{i},{'x' * 400 if i == 0 else i}\n" for i in range(1000)))
        got = self.ok("d = __import__('power_kernel.tableload', fromlist=['x']).load_dataset('data.csv')")
        facts = got.done["result"]
        self.assertEqual((facts["format"], facts["row_count"], facts["column_count"]), ("csv", 1000, 2))
        self.assertEqual(facts["columns"], [{"name": "id", "dtype": "int64", "nullable": False}, {"name": "text", "dtype": "object", "nullable": False}])
        self.assertEqual(len(facts["preview"]), 5)
        self.assertEqual(len(facts["preview"][0]["text"]), 301)
        self.assertGreater(facts["size_mb"], 0)
        self.assertEqual(self.ok("len(d)").result, "1000")

    def test_parquet_keeps_what_pandas_knows(self):
        self.ok("f = pd.DataFrame({'c': pd.Categorical(['a', 'b']), 'i': pd.array([1, None], 'Int32')}, index=pd.Index([5, 6], name='key'))\n"
                "f.to_parquet('f.parquet')\nimport power\ng = power.load('f.parquet')\npd.testing.assert_frame_equal(f, g)")
        self.assertEqual(self.ok("g.index.name").result, "'key'")

    def test_json_columns_are_objects(self):
        self.put("j.json", '[{"a": {"b": 1}, "l": [1, {"x": null}]}, {"l": null}]')
        self.ok("import power\nj = power.load('j.json')")
        self.assertEqual(self.ok("list(j.columns), j.l[0], j.l[1]").result, "(['a.b', 'l'], [1, {'x': None}], None)")

    def test_errors_say_what_to_do(self):
        self.put("broken.xlsx", b"PK\x03\x04nothing")
        self.assertIn("Save it again", self.fails("import power\npower.load('broken.xlsx')", "TableError").done["error"]["value"])
        self.assertIn("no file 'x.csv'", self.fails("power.load('x.csv')", "FileNotFoundError").done["error"]["value"])
        self.assertIn("There is no dataset 'nothing'", self.fails("power.load('nothing')", "Refused").done["error"]["value"])

    def test_loading_is_interrupted(self):
        self.put("big.csv", "a,b\n" + "1,2\n" * 5_000_000)
        self.kernel.start("import power\nbig = power.load('big.csv')")
        time.sleep(0.3)
        self.kernel.interrupt()
        self.assertEqual(self.kernel.finish(10).done["status"], "interrupted")
        self.assertEqual(self.ok("'big' in globals()").result, "False")

    def test_a_checkpoint_is_possible_after_loading(self):
        self.put("data.csv", "a,b\n" + "1,x\n" * 10_000)
        self.ok("import power\nd = power.load('data.csv')\nq = power.query('select count(*) as c from d')")
        self.assertEqual(self.ok("int(q.c[0])").result, "10000")
        self.assertEqual(self.threads(), 1)

    # -- datasets ----------------------------------------------------------------------------------------------

    def test_load_a_dataset(self):
        self.ok("import power\ns = power.load('sales')")
        self.assertFalse(os.path.exists(self.file))
        self.assertEqual(self.ok("str({name: str(kind) for name, kind in s.dtypes.items()})").result.strip('"'),
                         str({"Region": "object", "amount": "object", "n": "Int64", "day": "datetime64[ns]", "at": "datetime64[ns, UTC]",
                              "ok": "boolean", "more": "object"}))
        self.assertEqual(self.ok("s.Region.tolist(), str(sum(s.amount)), s['at'][2].hour, s.more[0], s.more[1]").result,
                         "(['north', '', 'south'], '30.75', 10, {'a': [1]}, None)")

    def test_datasets_alone_are_for_postgresql(self):
        self.assertEqual(self.query("select * from sales"), {"engine": "postgresql"})
        self.assertEqual(self.calls, [("_tables", {"names": ["sales"]})])
        self.assertEqual(self.query("select a::regclass from sales"), {"engine": "postgresql"})  # does not parse here
        self.assertEqual(self.query("with t as (select * from sales) select * from t"), {"engine": "postgresql"})
        self.assertEqual(self.calls[-1], ("_tables", {"names": ["sales"]}))  # t is no table to ask for

    def test_what_datasets_alone_are_is_seen_by_duckdb_where_the_text_does_not_tell(self):
        self.put("f.csv", "n\n1\n")
        self.ok("df = pd.DataFrame({'n': [1]})\nDay = pd.DataFrame({'n': [2]})")
        for sql in ("select count(*) as c from sales, df where df.n = sales.n", "select count(*) as c from sales join 'f.csv' as f using (n)",
                    "select count(*) - 1 as c from sales s where exists (table \"DAY\")"):
            got = self.query(sql)
            self.assertEqual((got["engine"], got["datasets"]), ("duckdb", ["sales"]), sql)
        for sql in ("select 'df' from sales", "select extract(year from day) from sales, sales as t where t.n > 1.5"):
            self.assertEqual(self.query(sql), {"engine": "postgresql"}, sql)

    def test_join(self):
        self.ok("df = pd.DataFrame({'region': ['north', 'south'], 'factor': [2, 4]})")
        got = self.query("select s.*, factor from sales s join df on s.Region = df.region order by factor")
        self.assertEqual(got["engine"], "duckdb")
        self.assertEqual((got["frames"], got["datasets"]), (["df"], ["sales"]))
        self.assertEqual(got["data"][1], ["south", "0.25", 3, "2024-02-29", "2024-02-29T10:30:00.500000+00:00", False, "[]", 4])
        self.assertFalse(os.path.exists(self.file))
        got = self.query("select count(*) as c, min(factor) from SALES join df using (region)")  # one column is enough
        self.assertEqual(got["data"], [[2, 2]])
        self.assertEqual(self.calls[-1], ("_rows", {"name": "sales", "columns": ["Region"]}))
        got = self.query("select count(*) from sales where \"Region\" = ''", local=True)
        self.assertEqual((got["data"], got["engine"]), ([[1]], "duckdb"))

    def test_unknown_names(self):
        self.ok("df = pd.DataFrame({'a': [1]})")
        error = self.kernel.task("query", sql="select * from nope join df on true").done["error"]
        self.assertEqual(error["value"], "There is no table 'nope'. There are DataFrames of the session: df; datasets: sales.")
        self.put("f.csv", "a,b\n1,2\n")
        self.assertEqual(self.query("select b from 'f.csv'")["data"], [[2]])
        self.assertEqual(self.calls[-1], ("_tables", {"names": ["f.csv"]}))

    def test_parameters(self):
        self.ok("df = pd.DataFrame({'a': [1, 2, 3]})")
        self.assertEqual(self.query("select a from df where a > $1", params=[1])["data"], [[2], [3]])
        self.assertEqual(self.query("select a, ':x' from df where a > :x", params={"x": 2})["data"], [[3, ":x"]])

    def test_frames_need_no_server(self):
        self.ok("df = pd.DataFrame({'a': [1, 2, 3]})")
        self.assertEqual(self.query("select sum(a) from DF")["data"], [[6]])
        self.assertEqual(self.calls, [])

    # -- import power ------------------------------------------------------------------------------------------

    def test_power_query(self):
        self.ok("import power\ndf = pd.DataFrame({'a': [1, 2, 3], 't': ['x', None, 'y']})")
        self.assertEqual(self.ok("q = power.query('select * from df where a > 1')\nq.a.tolist(), q.t.tolist()").result, "([2, 3], [None, 'y'])")
        self.assertEqual(self.ok("power.query('select sum(a) as s from df').s.tolist()").result, "[6]")
        self.answers["_query"] = {"columns": ["r", "n", "n", "d", "j"], "types": ["text", "numeric", "bigint", "date", "jsonb"],
                                  "rows": [["north", "10.5", 1, "2024-01-31", {"a": 1}], [None, None, None, None, None]]}
        self.ok("q = power.query('select * from sales')")
        self.assertEqual(self.ok("list(q.columns), str(q.n[0]), q.n_.dtype.name, q.d[0].day, q.j[0]").result, "(['r', 'n', 'n_', 'd', 'j'], '10.5', 'Int64', 31, {'a': 1})")
        self.answers["_query"] = {"elsewhere": "too many rows"}
        self.assertEqual(self.ok("power.query('select n from sales where n is not null').n.tolist()").result, "[1, 3]")
        self.assertIn("no table 'nope'", self.fails("power.query('select * from nope')", "TableError").done["error"]["value"])

    def test_power_store(self):
        kept = {}

        def keep(meta, blob):
            if meta.get("tool") == "store":
                values = json.loads(blob)
                kept.update(values)
                with open(values["file"].replace("/tmp", self.kernel.scratch, 1), "rb") as file:
                    kept["bytes"] = file.read()
                return True, "", b'{"value": {"row_count": 2}}'
            return self.reply(meta, blob)

        self.kernel.reply = keep
        self.ok("import power\nr = power.store(pd.DataFrame({'a': [1, 'x'], 'b': [1.5, None]}, index=pd.Index(['p', 'q'], name='k')), 'kept')")
        self.assertEqual(self.ok("r, glob.glob('/tmp/.power*')").result, "({'row_count': 2}, [])")
        self.assertEqual((kept["name"], kept["bytes"][:4]), ("kept", b"PAR1"))
        self.put("f.parquet", kept["bytes"])
        self.assertEqual(self.ok("power.load('f.parquet').values.tolist()").result, "[['p', '1', 1.5], ['q', 'x', nan]]")
        self.assertIn("takes a DataFrame", self.fails("power.store(5, 'x')", "TypeError").done["error"]["value"])


if __name__ == "__main__":
    unittest.main()
