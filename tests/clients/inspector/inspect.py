#!/usr/bin/env python3
"""The Inspector's command line against the server at POWER_URL, in both eras: inspect.py NODE INSPECTOR"""
import json
import os
import subprocess
import sys
import tempfile

URL = os.environ["POWER_URL"] + "/mcp"


def inspect(home, era, *arguments):
    config = {"mcpServers": {"power": {"type": "streamable-http", "url": URL, "protocolEra": era}}}
    path = os.path.join(home, era + ".json")
    with open(path, "w") as file:
        json.dump(config, file)
    done = subprocess.run([sys.argv[1], sys.argv[2], "--cli", "--config", path, "--server", "power", *arguments],
                          capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": home})
    assert done.returncode == 0, (arguments, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return json.loads(done.stdout)


def main():
    with tempfile.TemporaryDirectory() as home:
        for era in ("legacy", "modern"):
            tools = inspect(home, era, "--method", "tools/list")["tools"]
            assert any(tool["name"] == "execute_code" for tool in tools), tools
            answer = inspect(home, era, "--method", "tools/call", "--tool-name", "execute_code",
                             "--tool-arg", "code=6*7", "--tool-arg", "session_id=inspector")
            assert "42" in answer["content"][0]["text"] and not answer.get("isError"), answer
            print(era, len(tools), "tools")


main()
