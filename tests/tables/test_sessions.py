#!/usr/bin/env python3
"""Frames and persistent datasets in sessions of a real server, over REST and MCP in both eras."""
import json
import os
import signal
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))

from rig import Server  # noqa: E402

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--max-session-disk-mb", "32", supervised=True)
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    # -- doors

    def post(self, message, path="/mcp/sse", **headers):
        request = urllib.request.Request(self.server.url + path, json.dumps(message).encode(), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            **{name.replace("_", "-"): value for name, value in headers.items()}})
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
        if text.startswith("{"):
            return json.loads(text)
        events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
        return [event for event in events if event.get("id") == message["id"]][-1]

    def legacy(self, method, path="/mcp/sse", **params):
        Tables.number += 1
        return self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}, path)

    def modern(self, method, path="/mcp", **params):
        Tables.number += 1
        params["_meta"] = {META + "protocolVersion": MODERN, META + "clientInfo": {"name": "t", "version": "1"}, META + "clientCapabilities": {}}
        name = {"Mcp_Name": params["name"]} if "name" in params else {}
        return self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}, path,
                         MCP_Protocol_Version=MODERN, Mcp_Method=method, **name)

    def tool(self, name, **arguments):
        """The tool's data; an error fails."""
        result = self.legacy("tools/call", name=name, arguments=arguments)["result"]
        text = "\n".join(part.get("text", "") for part in result["content"])
        self.assertFalse(result.get("isError"), text)
        return result.get("structuredContent") or json.loads(result["content"][0]["text"])

    def refused(self, name, **arguments):
        result = self.legacy("tools/call", name=name, arguments=arguments)["result"]
        self.assertTrue(result.get("isError"), result)
        return result["content"][0]["text"]

    def query(self, sql, session="default", **more):
        return self.tool("query_dataset", query=sql, session_id=session, **more)

    def store(self, name, csv):
        self.tool("upload_dataset", dataset_name=name, text=csv)

    # -- loading

    def test_load_a_file(self):
        self.server.out("open('in.csv', 'w').write('code,n\\n007,1\\n08,\\n')", "load")
        facts = self.tool("load_dataset", file_path="in.csv", dataset_name="my table", session_id="load")
        self.assertEqual({key: facts[key] for key in ("name", "format", "row_count", "column_count", "status")},
                         {"name": "my_table", "format": "csv", "row_count": 2, "column_count": 2, "status": "loaded"})
        self.assertEqual(facts["columns"], [{"name": "code", "dtype": "object", "nullable": False}, {"name": "n", "dtype": "Int64", "nullable": True}])
        self.assertEqual(facts["preview"], [{"code": "007", "n": 1}, {"code": "08", "n": None}])
        self.assertIn("my_table", json.dumps(facts["notes"]))
        self.assertEqual(self.server.out("print(my_table.code.tolist(), 'RESULT' in dir() and RESULT)", "load"), "['007', '08'] None\n")
        runs = self.server.call("GET", "/api/sessions/load/runs")[1]["runs"]
        self.assertIn("load_dataset", json.dumps(runs))

    def test_load_says_what_is_wrong(self):
        self.server.out("import openpyxl\nw = openpyxl.Workbook(); w.active.title = 'March'; w.active.append(['a']); w.save('w.xlsx')", "load")
        self.assertIn("it has 'March'", self.refused("load_dataset", filename="w.xlsx", sheet_name="April", dataset_name="x", session_id="load"))
        self.assertIn("does not exist", self.refused("load_dataset", filename="no.csv", dataset_name="x", session_id="load"))
        self.assertIn("no dataset", self.refused("load_dataset", dataset_name="nothing_there", session_id="load"))

    def test_a_loaded_frame_survives_the_server(self):
        self.server.out("open('k.csv', 'w').write('a,b\\n1,x\\n2,y\\n')", "kept")
        self.tool("load_dataset", filename="k.csv", dataset_name="kept", session_id="kept")
        until = time.monotonic() + 30
        while not any("kept" in name for _, _, names in os.walk(self.server.data + "/data/snapshots") for name in names) and time.monotonic() < until:
            if any(directory.endswith("kept") and files for directory, _, files in os.walk(self.server.data + "/data/snapshots")):
                break
            time.sleep(0.2)
        time.sleep(1)
        os.kill(self.server.server_of(self.server.family()).pid, signal.SIGKILL)
        self.assertTrue(self.server.answers(60))
        self.assertEqual(self.query("select sum(a) as s from kept", "kept")["data"], [{"s": 3}])

    # -- SQL

    def test_who_answers(self):
        self.store("who", "Region,amount\nnorth,1.5\nsouth,2\n")
        self.server.out("df = pd.DataFrame({'region': ['north', 'south'], 'f': [10, 20]})", "who")
        got = self.query('select "Region", amount from who order by 1', "who")
        self.assertEqual((got["engine"], got["columns"], got["data"][0]), ("postgresql", ["Region", "amount"], {"Region": "north", "amount": 1.5}))
        got = self.query("select w.Region, amount * f as x from WHO w join df on df.region = w.Region order by x", "who")
        self.assertEqual((got["engine"], got["data"]), ("duckdb", [{"Region": "north", "x": 15}, {"Region": "south", "x": 40}]))
        self.assertEqual(self.query("select count(*) as c, sum(f) from df", "who")["engine"], "duckdb")
        # No session, no kernel: the database alone.
        got = self.query("select count(*) as c from who", "nowhere")
        self.assertEqual((got["engine"], got["data"]), ("postgresql", [{"c": 2}]))
        self.assertNotIn("nowhere", json.dumps(self.server.call("GET", "/api/sessions")[1]))
        # Said in DuckDB's words, and names without regard to case.
        got = self.query("select strftime(date '2024-05-01', '%Y') as y, region from who limit 1", "who")
        self.assertEqual((got["engine"], got["data"]), ("duckdb", [{"y": "2024", "Region": "north"}]))
        self.assertIn("PostgreSQL refused", json.dumps(got["notes"]))
        self.assertIn('There is no table \'nope\'', self.refused("query_dataset", query="select * from nope join df using (region)", session_id="who"))
        self.assertIn("who", self.refused("query_dataset", query="select * from nope", session_id="who"))

    def test_a_frame_goes_before_a_dataset(self):
        self.store("twice", "a\n1\n2\n")
        self.server.out("twice = pd.DataFrame({'a': [5]})", "twice")
        got = self.query("select sum(a) as s from twice", "twice")
        self.assertEqual(got["data"], [{"s": 5}])
        table = json.dumps(got["notes"]).split(" is ")[2].split(" in ")[0]
        self.assertTrue(table.startswith("data_"), got)
        self.assertEqual(self.query(f"select sum(a) as s from {table}", "twice")["data"], [{"s": 3}])
        self.assertEqual(self.query("select sum(a) as s from twice", "another")["data"], [{"s": 3}])

    def test_rest(self):
        self.store("rest", "a,b\n1,x\n2,y\n3,z\n")
        status, got = self.server.call("POST", "/api/data/query", {"sql": "select a, b, a from rest where a > :least order by a", "params": {"least": 1}, "limit": 1})
        self.assertEqual((status, got["columns"], got["data"], got["row_count"], got["has_more"]), (200, ["a", "b", "a_2"], [{"a": 2, "b": "y", "a_2": 2}], 1, True))
        status, got = self.server.call("POST", "/api/data/query", {"sql": "select a, b from rest order by a", "rows": True, "offset": 1})
        self.assertEqual((status, got["rows"], "data" in got), (200, [[2, "y"], [3, "z"]], False))
        self.assertEqual(self.server.call("POST", "/api/data/query", {"sql": "selct"})[0], 400)

    def test_rows_that_do_not_fit(self):
        self.server.out("import power\npower.store(pd.DataFrame({'t': ['abcdefghijklmnopqrstuvwxyz' * 3] * 600_000, 'n': range(600_000)}), 'large')", "large", 120)
        self.server.out("df = pd.DataFrame({'n': [1, 2]})", "large")
        self.assertIn("above 3", self.refused("query_dataset", query="select * from large join df using (n)", session_id="large"))
        self.assertEqual(self.query("select count(*) as c from large join df using (n)", "large")["data"], [{"c": 2}])  # one column fits
        self.assertEqual(self.server.out("import glob\nprint(glob.glob('/tmp/.power*'))", "large"), "[]\n")

    # -- import power

    def test_power(self):
        self.server.out("import power\ndf = pd.DataFrame({'region': ['n', 's', None], 'v': [1, 2, None]}).astype({'v': 'Int64'})\n"
                        "facts = power.store(df, 'powered')", "power")
        self.assertEqual(self.server.out("print(facts['row_count'], [d['name'] for d in power.datasets() if d['name'] == 'powered'])", "power"), "3 ['powered']\n")
        self.assertEqual(self.server.out("import power\nq = power.query('select region, sum(v) as s from powered group by region order by region')\n"
                                         "print(q.s.tolist(), q.region.tolist())", "other"), "[1, 2, <NA>] ['n', 's', None]\n")
        self.assertEqual(self.server.out("print(power.load('powered').v.dtype, len(power.query('select g from generate_series(1, 3) g')))", "other"), "Int64 3\n")
        self.assertEqual(self.server.out("j = power.query('select df.v * p.v as x from df join powered p using (region) order by x')\nprint(j.x.tolist())", "power"), "[1, 4]\n")
        status, job = self.server.call("POST", "/api/jobs/submit", {"code": "import power\nprint(len(power.query('select * from powered')))", "session_id": "job"})
        self.assertIn(status, (200, 202))
        result = self.server.call("GET", f"/api/jobs/{job['job_id']}/result?wait=30")[1]
        self.assertEqual(result.get("stdout"), "3\n", result)

    def test_power_many_rows(self):
        self.server.out("import power\npower.store(pd.DataFrame({'n': range(60_000)}), 'many')", "many")
        self.assertEqual(self.server.out("q = power.query('select n from many')\nprint(len(q), int(q.n.sum()))", "many"), "60000 1799970000\n")

    # -- MCP: names, search, fetch

    def test_names_in_both_eras(self):
        self.store("completed", "a\n1\n")
        prompts = self.legacy("prompts/list", "/mcp")["result"]["prompts"]
        asking = [prompt["name"] for prompt in prompts if any(one["name"] == "dataset" for one in prompt.get("arguments", []))]
        self.assertTrue(asking, prompts)
        for call in (self.legacy, self.modern):
            found = call("completion/complete", "/mcp", ref={"type": "ref/prompt", "name": asking[0]}, argument={"name": "dataset", "value": "compl"})
            self.assertEqual(found["result"]["completion"]["values"], ["completed"], found)

    def test_search_and_fetch_in_both_eras(self):
        self.store("findable numbers", "a,b\n1,x\n2,y\n")
        for call, path in ((self.legacy, "/mcp/sse?tools=chatgpt"), (self.modern, "/mcp?tools=chatgpt")):
            with self.subTest(path=path):
                found = call("tools/call", path, name="search", arguments={"query": "findable"})["result"]
                results = json.loads(found["content"][0]["text"])["results"]
                self.assertEqual([one["id"] for one in results if one["id"].startswith("dataset:")], ["dataset:findable numbers"])
                got = call("tools/call", path, name="fetch", arguments={"id": "dataset:findable numbers"})["result"]
                self.assertEqual(json.loads(got["content"][0]["text"])["text"], "a\tb\n1\tx\n2\ty", got)


if __name__ == "__main__":
    unittest.main()
