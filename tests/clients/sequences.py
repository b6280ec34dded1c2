#!/usr/bin/env python3
"""What well-known clients put on the wire, as they do it, against the server at POWER_URL. Standard library only.

Each function is one client; its text says what is special about it.
"""
import base64
import contextlib
import http.client
import json
import os
import socket
import sys
import time
import urllib.parse

TARGET = urllib.parse.urlsplit(os.environ["POWER_URL"])
JSON, BOTH, STREAM = "application/json", "application/json, text/event-stream", "text/event-stream"
META = "io.modelcontextprotocol/"
MODERN = "2026-07-28"


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def messages(self):
        """Of a JSON or an SSE answer."""
        if not self.headers.get("Content-Type", "").startswith(STREAM):
            return [self.json]
        data = [line[5:].strip() for line in self.body.decode().splitlines() if line.startswith("data:")]
        return [json.loads(text) for text in data if text]


def send(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(TARGET.hostname, TARGET.port, timeout=30)
    with contextlib.closing(connection):
        text = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, text, {name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(connection.getresponse())


def request(method, number=1, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def initialize(version, name, **capabilities):
    return request("initialize", 0, protocolVersion=version, capabilities=capabilities, clientInfo={"name": name, "version": "1"})


def modern(method, number=1, capabilities=None, **params):
    meta = {META + "protocolVersion": MODERN, META + "clientInfo": {"name": "c", "version": "1"}, META + "clientCapabilities": capabilities or {}}
    return request(method, number, **params, _meta={**meta, **params.pop("_meta", {})})


def run(code, session, number=1, **more):
    return request("tools/call", number, name="execute_code", arguments={"code": code, "session_id": session, **more})


def text(answer):
    result = answer.messages[-1]["result"]
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")


def same(got, wanted, what=""):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def claude_code():
    """initialize 2025-11-25, GET stream after the 202, resources and prompts asked whether declared or not, well-known
    probes and POST /register that must be JSON 404, arguments as strings, a GET without a session is 405."""
    hello = send("POST", "/mcp", initialize("2025-11-25", "claude-code", roots={}, elicitation={}), Content_Type=JSON, Accept=BOTH)
    same((hello.status, hello.messages[0]["result"]["protocolVersion"]), (200, "2025-11-25"))
    assert len(hello.messages[0]["result"].get("instructions", "")) <= 2000
    session = {"Mcp_Session_Id": hello.headers["Mcp-Session-Id"], "MCP_Protocol_Version": "2025-11-25", "Content_Type": JSON, "Accept": BOTH}
    ready = send("POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}, **session)
    same((ready.status, ready.body), (202, b""))
    stream = http.client.HTTPConnection(TARGET.hostname, TARGET.port, timeout=10)
    with contextlib.closing(stream):
        stream.request("GET", "/mcp", headers={"Accept": STREAM, "Mcp-Session-Id": session["Mcp_Session_Id"]})
        same(stream.getresponse().status, 200, "GET stream")
        for method in ("resources/list", "prompts/list", "resources/templates/list", "ping"):
            answer = send("POST", "/mcp", request(method), **session)
            same(answer.status, 200, method)
            assert "result" in answer.json or answer.json["error"]["code"] == -32601, answer.json
        assert "42" in text(send("POST", "/mcp", run("21 * 2", "claude-code", timeout="30", context=None, unknown=None), **session))
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server",
                 "/.well-known/openid-configuration", "/mcp/.well-known/openid-configuration"):
        probe = send("GET", path)
        same((probe.status, probe.headers["Content-Type"]), (404, JSON), path)
        assert probe.json
    same(send("POST", "/register", {}, Content_Type=JSON).status, 404)
    bare = send("GET", "/mcp", Accept=STREAM)
    same(bare.status, 405)
    assert "POST" in bare.headers["Allow"]
    same(send("DELETE", "/mcp", **session).status in (200, 204), True)
    same(send("POST", "/mcp", request("tools/list"), **session).status, 404, "a deleted session")


def claude_code_modern():
    """server/discover first, then everything in the modern era, without any session."""
    found = send("POST", "/mcp", modern("server/discover"), Content_Type=JSON, Accept=BOTH, MCP_Protocol_Version=MODERN, Mcp_Method="server/discover")
    same((found.status, found.messages[0]["result"]["supportedVersions"]), (200, [MODERN]))
    call = modern("tools/call", 2, name="execute_code", arguments={"code": "6 * 7", "session_id": "claude-modern"})
    headers = {"Content_Type": JSON, "Accept": BOTH, "MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": "execute_code"}
    answer = send("POST", "/mcp", call, **headers)
    same((answer.messages[-1]["id"], answer.messages[-1]["result"]["resultType"]), (2, "complete"))
    assert "42" in text(answer) and "Mcp-Session-Id" not in answer.headers
    # A discover answer does not bind: initialize may follow (seen in one release).
    same(send("POST", "/mcp", initialize("2025-11-25", "claude-code"), Content_Type=JSON, Accept=BOTH).status, 200)


def claude_connectors():
    """claude.ai: Accept */* or SSE only, a HEAD probe, a stale session id adopted, trailing slash."""
    same(send("HEAD", "/mcp").status in (200, 405), True)
    for accept in ("*/*", STREAM):
        hello = send("POST", "/mcp/", initialize("2025-06-18", "Anthropic/ClaudeAI"), Content_Type=JSON, Accept=accept)
        same((hello.status, hello.messages[0]["result"]["protocolVersion"]), (200, "2025-06-18"), accept)
        same(hello.headers["Content-Type"].startswith(STREAM), accept == STREAM, accept)
    stale = send("POST", "/mcp", request("tools/list"), Content_Type=JSON, Accept="*/*", Mcp_Session_Id="of-another-life")
    same(stale.status, 200, "a stale session")
    for tool in stale.json["result"]["tools"]:
        name = tool["name"]
        assert 1 <= len(name) <= 40 and name.replace("_", "").isalnum() and name.islower(), name


def chatgpt():
    """Probes server/discover with an id that is text; a consistent, small JSON answer."""
    ask = modern("server/discover", "openai-mcp-discover")
    found = send("POST", "/mcp", ask, Content_Type=JSON, Accept=BOTH, MCP_Protocol_Version=MODERN, Mcp_Method="server/discover")
    same((found.json["id"], found.headers["Content-Type"].split(";")[0]), ("openai-mcp-discover", JSON))


def vscode():
    """Strict about schemas: arrays have items, the root is an object without combinators; sends a version header other
    than the negotiated one."""
    hello = send("POST", "/mcp", initialize("2025-06-18", "Visual Studio Code"), Content_Type=JSON, Accept=BOTH)
    session = {"Mcp_Session_Id": hello.headers["Mcp-Session-Id"], "Content_Type": JSON, "Accept": BOTH, "MCP_Protocol_Version": "2025-11-25"}
    listed = send("POST", "/mcp", request("tools/list"), **session)
    same(listed.status, 200)

    def check(schema, where):
        assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf"} & schema.keys(), where
        assert schema.get("type") != "array" or "items" in schema, where
        for name, part in schema.get("properties", {}).items():
            check(part, f"{where}.{name}")

    for tool in listed.json["result"]["tools"]:
        same(tool["inputSchema"]["type"], "object")
        check(tool["inputSchema"], tool["name"])


def cursor():
    """Gets its stream again and again: a new GET replaces the old, never a conflict."""
    hello = send("POST", "/mcp", initialize("2025-06-18", "cursor-vscode"), Content_Type=JSON, Accept=BOTH)
    streams = []
    for _ in range(3):
        stream = http.client.HTTPConnection(TARGET.hostname, TARGET.port, timeout=10)
        stream.request("GET", "/mcp", headers={"Accept": STREAM, "Mcp-Session-Id": hello.headers["Mcp-Session-Id"]})
        streams.append(stream)
        same(stream.getresponse().status, 200, "GET again")
    for stream in streams:
        stream.close()


def gemini_cli():
    """Accepts JSON only, even where progress was asked for."""
    call = run("print('hello'); 6 * 7", "gemini")
    call["params"]["_meta"] = {"progressToken": 5}
    answer = send("POST", "/mcp", call, Content_Type=JSON, Accept=JSON)
    same(answer.headers["Content-Type"].split(";")[0], JSON)
    assert "42" in text(answer)


def java_sdk():
    """Accepts SSE only."""
    answer = send("POST", "/mcp", run("6 * 7", "java"), Content_Type=JSON, Accept=STREAM)
    assert answer.headers["Content-Type"].startswith(STREAM) and "42" in text(answer)


def simtheory():
    """Plain JSON-RPC POST to /mcp/sse: no Accept, no session, no initialize, no content type."""
    for path in ("/mcp/sse", "/mcp/sse/", "/mcp"):
        assert "42" in text(send("POST", path, run("6 * 7", "simtheory"))), path
        same(len(send("POST", path, request("tools/list")).json["result"]["tools"]) > 5, True, path)


def http_sse():
    """2024-11-05: GET /mcp/sse names the endpoint, requests go there, answers come on the stream."""
    stream = http.client.HTTPConnection(TARGET.hostname, TARGET.port, timeout=30)
    with contextlib.closing(stream):
        stream.request("GET", "/mcp/sse", headers={"Accept": STREAM})
        events = stream.getresponse()
        same(events.status, 200)

        def event():
            kind = data = None
            while True:
                line = events.readline().decode().rstrip("\r\n")
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    data = line[5:].strip()
                elif not line and data:
                    return kind, data

        kind, endpoint = event()
        same(kind, "endpoint")
        path = urllib.parse.urlsplit(endpoint)
        target = path.path + "?" + path.query
        same(send("POST", target, initialize("2024-11-05", "old"), Content_Type=JSON).status, 202)
        same(json.loads(event()[1])["result"]["protocolVersion"], "2024-11-05")
        same(send("POST", target, run("6 * 7", "old", 7), Content_Type=JSON).status, 202)
        answer = json.loads(event()[1])
        while "id" not in answer:  # that there is a new session may be told first
            answer = json.loads(event()[1])
        assert answer["id"] == 7 and "42" in answer["result"]["content"][0]["text"], answer


def batches():
    """2025-03-26 may send arrays."""
    hello = send("POST", "/mcp", initialize("2025-03-26", "batcher"), Content_Type=JSON, Accept=BOTH)
    session = {"Mcp_Session_Id": hello.headers["Mcp-Session-Id"], "Content_Type": JSON, "Accept": BOTH}
    answer = send("POST", "/mcp", [request("ping", 1), {"jsonrpc": "2.0", "method": "notifications/initialized"}, request("tools/list", 2)], **session)
    messages = answer.json if answer.headers["Content-Type"].startswith(JSON) else answer.messages
    same(sorted(message["id"] for message in messages), [1, 2])


def kill(session, meta, headers):
    """Begins a cell that ends after a while by itself, waits until it runs, then cuts the connection."""
    body = run("begun = 1\nimport time\ntime.sleep(4)\nfinished = 1", session)
    body["params"]["_meta"] = meta
    data = json.dumps(body).encode()
    with socket.create_connection((TARGET.hostname, TARGET.port), 10) as wire:
        head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": TARGET.netloc, "Content-Length": len(data), **headers}.items())
        wire.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + data)
        time.sleep(1.5)


def killed_clients():
    """A client killed during its cell: in the modern era the cell is interrupted (variables stay), in the legacy era it finishes."""
    known = "sorted(name for name in ('begun', 'finished') if name in globals())"
    send("POST", "/mcp", run("1", "killed-modern"))
    send("POST", "/mcp", run("1", "killed-legacy"))
    kill("killed-modern", {META + "protocolVersion": MODERN, META + "clientCapabilities": {}},
         {"Content-Type": JSON, "Accept": BOTH, "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "execute_code"})
    asked = time.monotonic()
    assert "['begun']" in text(send("POST", "/mcp", run(known, "killed-modern")))
    assert time.monotonic() - asked < 2, "interrupted at once"
    kill("killed-legacy", {}, {"Content-Type": JSON, "Accept": BOTH})
    assert "['begun', 'finished']" in text(send("POST", "/mcp", run(known, "killed-legacy")))


def big_arguments():
    """Arguments as one JSON text, files as base64, all mistakes told at once with an example."""
    call = run("6 * 7", "big")
    call["params"]["arguments"] = json.dumps(call["params"]["arguments"])
    assert "42" in text(send("POST", "/mcp", call, Content_Type=JSON))
    wrong = request("tools/call", name="upload_file", arguments={"filename": 5 * "../", "content_base64": "***", "session_id": ["x"]})
    result = send("POST", "/mcp", wrong, Content_Type=JSON).json["result"]
    assert result["isError"] and len(result["content"][0]["text"]) < 2000, result
    data = base64.b64encode(os.urandom(3 << 20)).decode()
    upload = request("tools/call", name="upload_file", arguments={"filename": "big.bin", "content_base64": data, "session_id": "big"})
    assert not send("POST", "/mcp", upload, Content_Type=JSON).json["result"].get("isError")


CLIENTS = [claude_code, claude_code_modern, claude_connectors, chatgpt, vscode, cursor, gemini_cli, java_sdk, simtheory, http_sse, batches,
           killed_clients, big_arguments]


def main():
    failed = 0
    for client in CLIENTS:
        try:
            client()
            print("ok  ", client.__name__)
        except Exception as error:
            failed += 1
            line = error.__traceback__
            while line.tb_next:
                line = line.tb_next
            print("FAIL", client.__name__, f"line {line.tb_lineno}: {type(error).__name__}: {str(error)[:500]}")
    sys.exit(1 if failed else 0)


main()
