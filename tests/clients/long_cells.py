#!/usr/bin/env python3
"""Every SDK runs one long cell at the same time, against the one server at POWER_URL: kept alive by progress to its end.

long_cells.py CLIENTS BUILT NODE. 60 seconds, 600 with POWER_TEST_FULL=1. Meanwhile plain POST clients go on working.
"""
import json
import os
import subprocess
import sys
import time
import urllib.request

clients, built, node = sys.argv[1:4]
seconds = 600 if os.environ.get("POWER_TEST_FULL") == "1" else 60


def plain_post(path):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "execute_code", "arguments": {"code": "6 * 7", "session_id": "plain"}}}
    request = urllib.request.Request(os.environ["POWER_URL"] + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = json.load(answer)["result"]["content"][0]["text"]
    assert "42" in text, text


def main():
    commands = {
        "python 2 (modern)": [f"{built}/python/bin/python", f"{clients}/python/client.py", "--long", str(seconds)],
        "python 1": [f"{built}/python-v1/bin/python", f"{clients}/python-v1/client.py", "--long", str(seconds)],
        "python 1 over HTTP+SSE": [f"{built}/python-v1/bin/python", f"{clients}/python-v1/client.py", "--long", str(seconds), "--sse"],
        "typescript 1": ["node", f"{built}/typescript/client.mjs", str(seconds)],
        "typescript 2 (modern)": [node, f"{built}/typescript-v2/client.mjs", str(seconds)],
    }
    running = {name: subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
               for name, command in commands.items()}
    posts, failed, deadline = 0, [], time.monotonic() + seconds + 90
    try:
        while any(process.poll() is None for process in running.values()) and time.monotonic() < deadline:
            plain_post("/mcp")
            plain_post("/mcp/sse")
            posts += 2
            time.sleep(2)
        for name, process in running.items():
            if process.poll() is None:
                process.kill()
            output = process.communicate()[0]
            print(f"{name}: {output.strip()[-1500:]}")
            if process.returncode != 0:
                failed.append(name)
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
    print(posts, "plain POST calls meanwhile")
    if failed:
        sys.exit("failed: " + ", ".join(failed))


main()
