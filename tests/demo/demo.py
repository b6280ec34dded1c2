#!/usr/bin/env python3
"""Plays the real workflow against a server of its own and checks every answer.

usage: demo.py --server PROGRAM --data DIR [--python-env DIR] [--keep] [-- server flags]

--data is the folder of public data files (stocks.csv, seattle-weather.csv) that the package vega_datasets ships. The
script serves it on loopback, starts the server on a free port in an empty data directory with that file server as the
only loopback source it may fetch from, and stops both. Exit 0 only when every answer was right.
"""
import argparse
import base64
import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections import defaultdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n"
failures = []


def check(truth, what):
    print(f"  {'ok ' if truth else 'WRONG'} {what}")
    if not truth:
        failures.append(what)
    return truth


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve_files(folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Client:
    """The smallest MCP client: JSON-RPC by POST, as the doors promise."""

    def __init__(self, url, path="/mcp"):
        self.url, self.door, self.next_id = url, url + path, 0

    def rpc(self, method, params):
        self.next_id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.door, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=180) as answer:
            reply = json.loads(answer.read())
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["result"]

    def tool(self, name, **arguments):
        result = self.rpc("tools/call", {"name": name, "arguments": arguments})
        text = "\n".join(b["text"] for b in result["content"] if b["type"] == "text")
        images = [base64.b64decode(b["data"]) for b in result["content"] if b["type"] == "image"]
        return text, images, result.get("isError", False)


def download_url(text, name):
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line.startswith(f"File: {name} ") and lines[index + 1].startswith("Download URL: "):
            return lines[index + 1].removeprefix("Download URL: ")
    return ""


def indented(text):
    return "\n".join("    | " + line for line in text.splitlines())


def start_server(arguments, data, files_origin):
    command = [arguments.server, "--port", "0", "--host", "127.0.0.1", "--data-dir", str(data),
               "--sandbox-dir", str(arguments.sandbox_dir or data / "sandbox"),
               "--fetch-allow-origins", files_origin]
    if arguments.python_env:
        command += ["--python-env", arguments.python_env]
    command += arguments.flags
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")}
    environment["POWER_DEMO_SECRET"] = "must-not-be-seen"
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    lines, ready = [], threading.Event()

    def read():
        for line in server.stdout:
            lines.append(line)
            if "print(6*7)" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    ready.wait(180)
    banner = "".join(lines)
    url = next((l.split()[1] for l in lines if l.startswith("  URL ")), "")
    if server.poll() is not None or not url:
        print(banner)
        raise SystemExit("the server did not start")
    return server, url, banner


def expected_monthly(path):
    sums = defaultdict(float)
    with open(path, newline="") as source:
        for row in csv.DictReader(source):
            month = row["date"].replace("/", "-")[:7]
            sums[month] += float(row["precipitation"])
    return sums


def real_workflow(client, files, data):
    print("1. Bring a public file in, analyse it, hand the results out (Seattle weather)")
    text, _, bad = client.tool("fetch_from_url", url=f"{files}/seattle-weather.csv", session_id="weather")
    print(indented(text))
    check(not bad and "/app/sandbox_data/weather/seattle-weather.csv" in text, "fetched into the session")

    expected = expected_monthly(data / "seattle-weather.csv")
    wettest = max(expected, key=expected.get)
    text, images, bad = client.tool("execute_code", session_id="weather", code="""
import pandas as pd
weather = pd.read_csv('seattle-weather.csv', parse_dates=['date'])
monthly = weather.set_index('date').resample('MS').agg({'precipitation': 'sum', 'temp_max': 'mean', 'temp_min': 'mean'})
fig, ax = plt.subplots(figsize=(8, 4))
monthly.precipitation.plot(ax=ax, title='Rain in Seattle, mm a month')
monthly.to_excel('seattle_monthly.xlsx')
print(len(weather), 'days', monthly.precipitation.idxmax().strftime('%Y-%m'), round(monthly.precipitation.max(), 1))
monthly.head(3).round(1)
""")
    print(indented(text))
    rows = sum(1 for _ in open(data / "seattle-weather.csv")) - 1
    check(not bad and f"{rows} days {wettest} {round(expected[wettest], 1)}" in text, "the aggregate is right")
    check("precipitation" in text, "the last expression is shown as a table")
    check(len(images) == 1 and images[0].startswith(PNG) and len(images[0]) > 5000, "the chart came back as an image")
    link = download_url(text, "seattle_monthly.xlsx")
    check(link.startswith("http"), f"the workbook has a link: {link}")
    with urllib.request.urlopen(link, timeout=60) as answer:
        workbook = answer.read()
    text, _, bad = client.tool("execute_code", session_id="weather",
                               code="import hashlib\nprint(hashlib.sha256(open('seattle_monthly.xlsx','rb').read()).hexdigest())")
    check(hashlib.sha256(workbook).hexdigest() in text, "the link downloads the workbook byte-identical")
    check(zipfile.is_zipfile(io.BytesIO(workbook)), "and it is a workbook")

    text, _, bad = client.tool("execute_code", session_id="weather", code="round(float(monthly.precipitation.sum()), 1)")
    check(not bad and str(round(sum(expected.values()), 1)) in text, "a second call uses the variables of the first")
    text, _, bad = client.tool("execute_code", session_id="other", code="import os\nprint(os.listdir('.'))\nmonthly")
    check(bad and "NameError" in text and "seattle" not in text.replace("monthly", ""), "a second session sees neither variables nor files")


def published_workflow(client, files, data):
    print("2. The five steps of the published workflow")
    with open(data / "stocks.csv", newline="") as source:
        rows = [(r["symbol"], float(r["price"])) for r in csv.DictReader(source)]
    totals = defaultdict(float)
    for vendor, amount in rows:
        totals[vendor] += amount
    # The published sample reads a workbook with vendor and amount: the real stock prices, renamed.
    client.tool("fetch_from_url", url=f"{files}/stocks.csv", session_id="maker")
    text, _, _ = client.tool("execute_code", session_id="maker", code="""
import pandas as pd
pd.read_csv('stocks.csv').rename(columns={'symbol': 'vendor', 'price': 'amount'}).to_excel('data.xlsx', index=False)
""")
    with urllib.request.urlopen(download_url(text, "data.xlsx"), timeout=60) as answer:
        (Path(files_folder.name) / "data.xlsx").write_bytes(answer.read())

    text, _, bad = client.tool("fetch_from_url", url=f"{files}/data.xlsx", session_id="analysis")
    print(indented(text))
    check(not bad and "/app/sandbox_data/analysis/data.xlsx" in text and "bytes" in text, "step 1: the file is in the sandbox")
    text, _, bad = client.tool("execute_code", session_id="analysis", code="""
import pandas as pd
df = pd.read_excel('/app/sandbox_data/analysis/data.xlsx')
print(df.shape)
print(df.dtypes)
print(df.describe())
""")
    check(not bad and f"({len(rows)}, 3)" in text and "amount" in text, "step 2: shape, dtypes, describe")
    text, _, bad = client.tool("query_dataset", session_id="analysis",
                               query="SELECT vendor, COUNT(*) as n, SUM(amount) as total FROM df GROUP BY vendor")
    answer = json.loads(text) if not bad else {"data": []}
    got = {row["vendor"]: (row["n"], round(row["total"], 2)) for row in answer["data"]}
    print(indented(json.dumps(got)))
    check(got == {v: (sum(1 for r in rows if r[0] == v), round(t, 2)) for v, t in totals.items()}, "step 3: SQL over the DataFrame")
    text, images, bad = client.tool("execute_code", session_id="analysis", code="""
df.groupby('vendor')['amount'].sum().plot(kind='bar')
plt.title('Total by vendor')
plt.tight_layout()
plt.savefig('/app/sandbox_data/analysis/chart.png')
""")
    check(not bad and "chart.png" in text, "step 4: the chart is saved and linked")
    text, images, bad = client.tool("fetch_file", filename="chart.png", session_id="analysis")
    check(not bad and len(images) == 1 and images[0].startswith(PNG), "step 5: the chart comes back as a picture")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--python-env")
    parser.add_argument("--sandbox-dir")
    parser.add_argument("flags", nargs="*")
    arguments = parser.parse_args()
    data = Path(arguments.data)
    global files_folder
    files_folder = tempfile.TemporaryDirectory(prefix="power-demo-files-")
    for name in ("stocks.csv", "seattle-weather.csv"):
        shutil.copy(data / name, files_folder.name)
    file_server = serve_files(files_folder.name)
    files = f"http://127.0.0.1:{file_server.server_address[1]}"
    home = Path(tempfile.mkdtemp(prefix="power-demo-"))
    home.chmod(0o755)
    server = None
    started = time.monotonic()
    try:
        server, url, banner = start_server(arguments, home, files)
        print(banner)
        check("FAILED" not in banner, "the first cell ran")
        for door in ("/mcp", "/mcp/sse"):
            hello = Client(url, door).rpc("initialize", {"protocolVersion": "2024-11-05", "capabilities": {},
                                                          "clientInfo": {"name": "demo", "version": "1"}})
            check(hello["serverInfo"]["name"] == "Power Interpreter", f"initialize on {door}")
        client = Client(url)
        real_workflow(client, files, data)
        published_workflow(client, files, data)
        text, _, _ = client.tool("execute_code", code="import os\nprint(dict(os.environ))")
        check("must-not-be-seen" not in text, "no secret of the server's environment is in the session")
    finally:
        if server:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                failures.append("the server did not stop within 30 s")
        file_server.shutdown()
        shutil.rmtree(home, ignore_errors=True)
        files_folder.cleanup()
    print(f"\n{'All answers were right' if not failures else 'WRONG: ' + '; '.join(failures)} ({time.monotonic() - started:.1f} s)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
