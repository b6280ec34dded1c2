#!/usr/bin/env python3
"""A disk that is full: what does not fit is refused precisely and leaves nothing behind; what was acknowledged stays; and when
there is room again an upload goes on where it stopped. Needs root, for a small file system of its own (else exit code 77).
"""
import base64
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse

from rig import Server

MB = 1 << 20
WHOLE = os.urandom(48 * MB)
TUS = {"Tus-Resumable": "1.0.0"}


class Small:
    """A file system of `size` MB under which everything of the server lies."""

    def __init__(self, size):
        self.place = tempfile.mkdtemp(prefix="power-small-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=755", "none", self.place], stderr=subprocess.DEVNULL).returncode != 0:
            os.rmdir(self.place)
            print("no file system can be mounted here")
            sys.exit(77)
        self.ballast = os.path.join(self.place, "ballast")

    def free(self):
        facts = os.statvfs(self.place)
        return facts.f_bavail * facts.f_frsize

    def fill(self, left):
        with open(self.ballast, "ab") as file:
            while (more := self.free() - left) > 0:
                file.write(b"\0" * min(more, MB))
                file.flush()

    def relieve(self):
        os.remove(self.ballast)

    def close(self):
        subprocess.run(["umount", "-l", self.place])
        os.rmdir(self.place)


def ask(server, method, path, body=b"", **headers):
    """(status, headers, JSON or None); (0, {}, None) when the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused in the middle: the answer is there
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(text) if text.startswith(b"{") else None
    except (OSError, http.client.HTTPException):
        return 0, {}, None
    finally:
        connection.close()


def listed(server):
    status, answer = server.call("GET", "/api/files?session_id=s")
    assert status == 200, (status, answer)
    return {file["filename"]: file.get("size_bytes", file.get("bytes")) for file in answer["files"]}


def form(content, name):
    head = f'--XX\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return head + content + b'\r\n--XX\r\nContent-Disposition: form-data; name="session_id"\r\n\r\ns\r\n--XX--\r\n'


def refused(what, status, answer):
    assert status in (413, 503, 507), (what, status, answer)
    text = json.dumps(answer)
    assert any(word in text for word in ("space", "disk", "room", "full")), (what, text)


def main():
    small = Small(700)
    tempfile.tempdir = small.place
    try:
        with Server("--max-upload-mb", "100", "--sandbox-file-max-mb", "100") as server:
            server.out("open('kept.txt', 'w').write('kept')", "s")
            assert ask(server, "POST", "/api/files/upload", form(b"before", "before.txt"), Content_Type="multipart/form-data; boundary=XX")[0] == 200
            before = listed(server)
            name = base64.b64encode(b"tus.bin").decode() + ",session_id " + base64.b64encode(b"s").decode()
            create = dict(Upload_Length=str(len(WHOLE)), Upload_Metadata=f"filename {name}", **TUS)
            status, headers, told = ask(server, "POST", "/api/uploads", **create)
            assert status == 201, (status, told)
            upload = urllib.parse.urljoin("/api/uploads", headers["location"])
            small.fill(20 * MB)
            status, _, answer = ask(server, "POST", "/api/uploads", **create)
            refused("one that would not fit", status, answer)

            status, _, answer = ask(server, "POST", "/api/files/upload", form(WHOLE, "form.bin"), Content_Type="multipart/form-data; boundary=XX")
            refused("a form", status, answer)
            status, _, answer = ask(server, "PATCH", upload, WHOLE, Upload_Offset="0", Content_Type="application/offset+octet-stream", **TUS)
            refused("an upload", status, answer)
            assert listed(server) == before, "something half-written is there"
            outcome = server.run("with open('big.bin', 'wb') as f:\n    for _ in range(48): f.write(b'x' * (1 << 20)); f.flush()", "s", 30)[1]
            assert not outcome["success"] and (outcome.get("failure") or {}).get("cause") == "disk_limit", outcome
            server.run("import os; os.path.exists('big.bin') and os.remove('big.bin')", "s")
            assert server.out("print(open('kept.txt').read())", "s") == "kept\n"

            small.relieve()
            until = time.monotonic() + 30
            while server.health().get("database") != "connected" and time.monotonic() < until:
                time.sleep(0.2)
            offset = int(ask(server, "HEAD", upload, **TUS)[1]["upload-offset"])
            assert 0 <= offset < len(WHOLE), offset
            status, headers, answer = ask(server, "PATCH", upload, WHOLE[offset:], Upload_Offset=str(offset),
                                          Content_Type="application/offset+octet-stream", **TUS)
            assert status == 204 and int(headers["upload-offset"]) == len(WHOLE), (status, answer)
            told = server.out("import hashlib; print(hashlib.sha256(open('tus.bin', 'rb').read()).hexdigest())", "s").strip()
            assert told == hashlib.sha256(WHOLE).hexdigest()
            after = listed(server)
            assert set(before) <= set(after) and "form.bin" not in after, after
            print(f"refused on a full disk: form, upload, cell; the upload went on at {offset} and is whole")
    finally:
        small.close()


if __name__ == "__main__":
    sys.exit(main())
