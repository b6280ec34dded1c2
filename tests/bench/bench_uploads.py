#!/usr/bin/env python3
"""A large file in, by every way: how fast, and how much memory the server needs for it.

usage: bench_uploads.py --server PROGRAM [--python-env DIR] [--megabytes 500]

One server per run, limits raised by its flags. Memory is the resident set of the server process (its database and kernels
are processes of their own), sampled 100 times a second; grown = highest while the file came in, less what it was before.
Exit 1 when it grew by 32 MB or more. Standard library only.
"""
import argparse
import base64
import hashlib
import http.client
import http.server
import json
import os
import shutil
import sys
import tempfile
import threading
import urllib.parse

from bench_server import BenchServer, Growth

LIMIT = 32.0
PIECE = 1 << 20


def send(url, method, path, headers, body, length):
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname, host.port, timeout=300)
    connection.putrequest(method, path)
    for name, value in {**headers, "Content-Length": str(length)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    for piece in body:
        connection.send(piece)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text[:300]}")
    return answer.headers, text


def pieces(path):
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def by_form(url, path, size):
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="form.bin"\r\n\r\n'
    tail = b'\r\n--XX\r\nContent-Disposition: form-data; name="session_id"\r\n\r\nform\r\n--XX--\r\n'

    def body():
        yield head
        yield from pieces(path)
        yield tail

    send(url, "POST", "/api/files/upload", {"Content-Type": "multipart/form-data; boundary=XX"}, body(), len(head) + size + len(tail))
    return "form/form.bin"


def by_tus(url, path, size):
    metadata = f"filename {base64.b64encode(b'tus.bin').decode()},session_id {base64.b64encode(b'tus').decode()}"
    made, _ = send(url, "POST", "/api/uploads", {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": metadata}, [], 0)
    where, offset = urllib.parse.urljoin("/api/uploads", made["Location"]), 0
    step = 50 << 20
    with open(path, "rb") as file:
        while offset < size:
            length = min(step, size - offset)
            headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            send(url, "PATCH", where, headers, (file.read(min(PIECE, length - at)) for at in range(0, length, PIECE)), length)
            offset += length
    return "tus/tus.bin"


def by_fetch(url, origin):
    body = json.dumps({"url": origin + "/big.bin", "filename": "fetch.bin", "session_id": "fetch"}).encode()
    send(url, "POST", "/api/files/fetch", {"Content-Type": "application/json"}, [body], len(body))
    return "fetch/fetch.bin"


def digest(path):
    sum_ = hashlib.sha256()
    for piece in pieces(path):
        sum_.update(piece)
    return sum_.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--python-env", default="")
    parser.add_argument("--megabytes", type=int, default=500)
    arguments = parser.parse_args()
    place = tempfile.mkdtemp(prefix="power-bench-")
    os.chmod(place, 0o755)
    source = place + "/big.bin"
    with open(source, "wb") as file:
        for _ in range(arguments.megabytes):
            file.write(os.urandom(1 << 20))
    size, expected = os.path.getsize(source), digest(source)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def copyfile(self, file, out):
            self.wfile.flush()
            self.connection.sendfile(file)

    feeder = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Quiet(*given, directory=place))
    threading.Thread(target=feeder.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{feeder.server_address[1]}"
    larger = str(arguments.megabytes + 50)
    server = BenchServer(arguments.server, arguments.python_env, place + "/data", "--log-level", "WARNING", "--max-upload-mb", larger,
                         "--max-fetch-size-mb", larger, "--max-session-disk-mb", str(arguments.megabytes * 3), "--fetch-allow-origins", origin)
    url = server.url
    worst = 0.0
    try:
        server.ask("/api/files/upload", {"filename": "small.txt", "content_base64": "aGk="})
        print(f"{arguments.megabytes} MB in: seconds, MB/s, resident set of the server before and at most (MB)")
        for name, way in (("multipart", lambda: by_form(url, source, size)), ("tus, 50 MB pieces", lambda: by_tus(url, source, size)),
                          ("fetch_from_url", lambda: by_fetch(url, origin))):
            with Growth(server.process.pid) as watch:
                path = way()
            worst = max(worst, watch.grown)
            same = digest(place + "/data/sandbox/" + path) == expected
            print(f"  {name:20s} {watch.seconds:6.2f} s {size / 1e6 / watch.seconds:7.0f} MB/s   {watch.before:6.1f} -> {watch.most:6.1f}"
                  f" (+{watch.grown:.1f})   {'same bytes' if same else 'DIFFERENT BYTES'}", flush=True)
            if not same:
                worst = LIMIT
            os.unlink(place + "/data/sandbox/" + path)
    finally:
        server.stop()
        feeder.shutdown()
        shutil.rmtree(place, ignore_errors=True)
    print(f"grown at most by {worst:.1f} MB, limit {LIMIT:.0f} MB")
    return 1 if worst >= LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
