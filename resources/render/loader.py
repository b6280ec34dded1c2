"""A one-shot worker that reads a table out of a file for the server: a kernel without a session, which serves one Task `load`.

With the task come two descriptors: the file, and a pipe for what is in it. The pipe gets pieces, each with a head of three
little-endian 32-bit numbers (kind, bytes, rows): first SCHEMA (JSON: format, columns with name, type, nullable, notes), then
any number of ROWS (for COPY ... FROM STDIN (FORMAT csv)), at last END (JSON: rows, notes). Without END it is not whole."""
import json
import os
import platform
import signal
import struct

import _power
from power_kernel import worker

SCHEMA, ROWS, END = 1, 2, 3


class Pipe:
    def __init__(self, descriptor):
        self.descriptor = descriptor

    def put(self, kind, data, rows=0):
        self.write(struct.pack("<III", kind, len(data), rows))
        self.write(data)

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def put_json(self, kind, value):
        self.put(kind, json.dumps(value).encode())


def load(meta, file, pipe):
    from power_kernel import tablecopy, tableformats

    options = {name: meta[name] for name in ("sheet_name", "delimiter", "encoding", "pdf_pages") if meta.get(name)}
    table = tableformats.open_table(file, meta.get("name", ""), **options)
    facts = tablecopy.described(table)
    pipe.put_json(SCHEMA, facts)
    count = 0
    for data, rows in tablecopy.rows(table):
        pipe.put(ROWS, data, rows)
        count += rows
    late = [note for note in table.notes if note not in facts["notes"]]
    pipe.put_json(END, {"rows": count, "notes": late})


def done(run, status, name="", value="", hint=""):
    meta = {"run": run, "epoch": _power.mark("f"), "status": status, "count": 1, "variables": 0, "notes": []}
    if status != "ok":
        meta["error"] = {"name": name, "value": value[:4000], "hint": hint[:2000]}
    _power.send(worker.ANSWER_DONE, json.dumps(meta).encode("utf-8", "replace"), b"")


def main(info):
    """Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ["HOME"] = os.environ["TMPDIR"] = info["home"]
    _power.send(worker.READY, json.dumps({"pid": os.getpid(), "python": platform.python_version()}).encode(), b"")
    frame = _power.receive()
    if frame is None or frame[0] != worker.TASK:
        os._exit(0)
    meta = json.loads(frame[1])
    descriptors = _power.take_descriptors()
    run = meta["run"]
    try:
        if len(descriptors) != 2:
            raise OSError("the file did not arrive")
        with os.fdopen(descriptors[0], "rb") as file:
            load(meta, file, Pipe(descriptors[1]))
        os.close(descriptors[1])
        done(run, "ok")
    except BrokenPipeError:
        done(run, "error", "BrokenPipeError", "The server does not want the rows any more.")
    except MemoryError:
        done(run, "error", "MemoryError", "The file needs more memory to be read than there is.", "Save it as CSV or Parquet, which are read piece by piece, or split it.")
    except BaseException as error:
        hint = getattr(error, "hint", "")
        text = str(error) if hint or type(error).__name__ == "FormatError" else f"The file cannot be read: {type(error).__name__}: {error}"
        done(run, "error", type(error).__name__, text, hint)
    _power.receive()  # until the server ends it: with the whole tree
    os._exit(0)
