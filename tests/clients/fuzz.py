#!/usr/bin/env python3
"""Mutated valid requests over the MCP door of the server at POWER_URL: fuzz.py [--cases N] [--seed N]

Every case must be answered within a minute with a status the protocol names and, where it is JSON, one JSON-RPC message.
Prints how many cases reached a handler (their answer is a result); below 30 % the run fails, because then it tests only the
first check. Without --cases: 4,000, or 100,000 with POWER_TEST_FULL=1. Standard library only.
"""
import argparse
import collections
import copy
import json
import os
import random
import socket
import sys
import time
import urllib.parse

TARGET = urllib.parse.urlsplit(os.environ["POWER_URL"])
META = "io.modelcontextprotocol/"
SPECIFIED = {200, 202, 204, 400, 403, 404, 405, 411, 413, 414, 415, 417, 431, 501, 505}
ODD = [None, True, False, 0, -1, 1e308, 2**63, 2**70, "", "x", "\u0000", "\ud800", "\U0001F4C8" * 50, "../../etc/passwd", "a" * 5000, [], {}, [[]], [None],
       {"": ""}, "null", "[1]", "{\"a\":1}", "5", "true", "$(id)", "%s%n", "'; DROP TABLE sessions;--"]
RAW = [b"null", b"[]", b"{}", b'""', b"-1", b"1e999", b"\xff\xfe", b"\\ud800", b",", b"}", b"]", b'"', b"[" * 300, b'{"a":', b"\x00", b"9" * 400, b"\xf0\x9f"]


def call(name, **arguments):
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def ask(method, **params):
    return {"jsonrpc": "2.0", "id": 2, "method": method, "params": params}


def modern(body):
    body = copy.deepcopy(body)
    body["params"]["_meta"] = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {"extensions": {META + "tasks": {}}}, META + "clientInfo": {"name": "f", "version": "1"}}
    return body


LEGACY = [
    ask("initialize", protocolVersion="2025-11-25", capabilities={"roots": {}}, clientInfo={"name": "fuzz", "version": "1"}),
    ask("ping"), ask("tools/list"), ask("tools/list", cursor="abc"), ask("resources/list"), ask("resources/templates/list"), ask("prompts/list"),
    ask("resources/read", uri="power://sessions/fuzz/files/x.csv"), ask("prompts/get", name="analyse_file", arguments={"filename": "x.csv"}),
    ask("prompts/get", name="query_data", arguments={"question": "how many?"}), ask("resources/read", uri="power://datasets/fuzz"),
    ask("resources/subscribe", uri="power://sessions/fuzz/files/x.csv"), ask("resources/unsubscribe", uri="power://sessions/fuzz/files/x.csv"),
    ask("tasks/list"), ask("tasks/get", taskId="f3b1c0de-0000-4000-8000-000000000000"),
    ask("completion/complete", ref={"type": "ref/prompt", "name": "analyse_file"}, argument={"name": "session_id", "value": "f"}),
    ask("logging/setLevel", level="warning"),
    call("execute_code", code="1 + 1", session_id="fuzz", timeout=5), call("execute_code", code="print('x' * 3)", session_id="fuzz"),
    call("list_sessions"), call("list_files", session_id="fuzz"), call("create_session", session_id="fuzz"),
    call("upload_file", filename="x.csv", content_base64="YSxiCjEsMgo=", session_id="fuzz"), call("fetch_file", filename="x.csv", session_id="fuzz"),
    call("query_dataset", sql="SELECT 1", session_id="fuzz"), call("list_datasets", session_id="fuzz"), call("delete_dataset", dataset_name="none"),
    call("list_jobs", limit=5), call("get_job_status", job_id="f3b1c0de-0000-4000-8000-000000000000"), call("delete_file", filename="nothing.csv", session_id="fuzz"),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
    {"jsonrpc": "2.0", "id": 5, "result": {}},
]
MODERN = [modern(body) for body in (ask("server/discover"), ask("tools/list"), ask("prompts/list"), ask("resources/list"), call("list_sessions"),
                                    ask("tasks/get", taskId="f3b1c0de-0000-4000-8000-000000000000"), ask("resources/read", uri="power://datasets/fuzz"),
                                    call("execute_code", code="2 + 2", session_id="fuzz"), call("list_files", session_id="fuzz"))]


def places(value, found=None):
    """Every (container, key) of a message."""
    found = [] if found is None else found
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def mutate_values(dice, body):
    """Half of the time only what a handler gets to see."""
    params = body.get("params")
    inner = params.get("arguments", params) if isinstance(params, dict) else None
    if inner and dice.random() < 0.5:
        body = inner
    for _ in range(dice.randint(1, 3)):
        spots = places(body)
        if not spots:
            return
        inside, key = dice.choice(spots)
        kind = dice.random()
        if kind < 0.6:
            inside[key] = copy.deepcopy(dice.choice(ODD))
        elif kind < 0.75:
            del inside[key]
        elif isinstance(inside, dict):
            inside[dice.choice(["extra", "", "id", "params", "_meta", "arguments", "session_id", str(key) + "x"])] = copy.deepcopy(dice.choice(ODD))


def mutate_bytes(dice, data):
    for _ in range(dice.randint(1, 3)):
        at = dice.randint(0, len(data))
        kind = dice.randint(0, 4)
        if kind == 0:
            data = data[:at] + dice.choice(RAW) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + dice.randint(1, 20):]
        elif kind == 2 and data:
            data = data[:at] + bytes([dice.randint(0, 255)]) + data[at + 1:]
        elif kind == 3:
            data = data[:at]
        else:
            data = data[:at] + data[dice.randint(0, len(data)):]
    return data


def case(dice):
    """(method, path, headers, body) of one request."""
    is_modern = dice.random() < 0.3
    body = copy.deepcopy(dice.choice(MODERN if is_modern else LEGACY))
    headers = {"Content-Type": "application/json"}
    if is_modern:
        headers.update({"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": body["method"]})
        for key in {"name", "uri", "taskId"} & body["params"].keys():
            headers["Mcp-Name"] = body["params"][key]
    kind = dice.random()
    if kind < 0.5:
        mutate_values(dice, body)
    data = json.dumps([body] if dice.random() < 0.03 else body).encode()
    if kind > 0.8:
        data = mutate_bytes(dice, data)
    if dice.random() < 0.15:
        headers[dice.choice(["Accept", "MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Last-Event-ID", "Content-Type", "Origin"])] = dice.choice(
            ["", "*/*", "application/json", "2025-06-18", "1900-01-01", "=?base64?!?=", "\u00ff" * 9, "x" * 3000, "null", "text/plain"])
    method, path = "POST", dice.choice(["/mcp"] * 8 + ["/mcp/", "/mcp/sse", "/mcp/sse/", "/mcp/messages", "/mcp/messages?sessionId=x", "/mcp?tools=core", "/mcp?tools=%00,x"])
    if dice.random() < 0.03:
        method, data = dice.choice(["DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "GET"]), b""
        headers.pop("Accept", None)
        path = path if method != "GET" else "/mcp"  # a stream is not to be waited for
    return method, path, headers, data


class Wire:
    """One keep-alive connection, made anew whenever the server closed it."""

    def __init__(self):
        self.socket, self.buffer = None, b""

    def ask(self, method, path, headers, data):
        if self.socket is None:
            self.socket, self.buffer = socket.create_connection((TARGET.hostname, TARGET.port), 60), b""
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {TARGET.netloc}", f"Content-Length: {len(data)}"] + [f"{n}: {v}" for n, v in headers.items()]
        try:
            self.socket.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data)
            return self.read(method)
        except (ConnectionError, BrokenPipeError):
            self.close()
            return None, {}, b""

    def read(self, method):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        body = b""
        if method != "HEAD" and status not in (202, 204, 304):
            if headers.get("transfer-encoding") == "chunked":
                body = self.chunks()
            elif "content-length" in headers:
                body = self.take(int(headers["content-length"]))
            else:
                while True:
                    try:
                        self.more()
                    except ConnectionError:
                        body, self.buffer = self.buffer, b""
                        break
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, body

    def chunks(self):
        body = b""
        while True:
            while b"\r\n" not in self.buffer:
                self.more()
            size, _, self.buffer = self.buffer.partition(b"\r\n")
            part = self.take(int(size, 16) + 2)[:-2]
            if not part:
                return body
            body += part

    def take(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError
        self.buffer += data

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


def reached(headers, body, status):
    """True when a handler answered. Raises when the answer is none of the protocol."""
    if status in (202, 204) or not body:
        return False
    if headers.get("content-type", "").startswith("text/event-stream"):
        data = [line[5:].strip() for line in body.decode().splitlines() if line.startswith("data:")]
        messages = [json.loads(text) for text in data if text]
    else:
        message = json.loads(body)
        messages = message if isinstance(message, list) else [message]
    if status == 200:
        for message in messages:
            assert ("result" in message) != ("error" in message) or "method" in message, message
    return any("result" in message for message in messages)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000 if os.environ.get("POWER_TEST_FULL") == "1" else 4_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    dice, wire = random.Random(options.seed), Wire()
    statuses, handled, lost, began = collections.Counter(), 0, 0, time.monotonic()
    for number in range(options.cases):
        request = case(dice)
        try:
            status, headers, body = wire.ask(*request)
            if status is None:  # closed by the server after an answer to something before; asked again it must answer
                lost += 1
                status, headers, body = wire.ask(*request)
            assert status in SPECIFIED, f"status {status}"
            handled += reached(headers, body, status)
        except Exception as error:
            sys.exit(f"case {number} of seed {options.seed}: {type(error).__name__} {error}\n{request}\n{locals().get('status')} {locals().get('body', b'')[:500]}")
        statuses[status] += 1
    print(f"fuzz: {options.cases} cases, seed {options.seed}, {time.monotonic() - began:.0f} s, statuses {dict(sorted(statuses.items()))}, "
          f"{handled} ({100 * handled / options.cases:.0f} %) reached a handler, {lost} asked again")
    if handled < 0.3 * options.cases:
        sys.exit("too few cases reached a handler")


main()
