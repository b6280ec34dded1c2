"""Work in a forked child of the kernel: what starts threads (DuckDB, Arrow's readers) or dies of its memory does so there.

The child may ask while it works, hand over Arrow data piece by piece, and ends with a JSON value or an error."""
import json
import logging
import os
import select
import signal
import struct
import sys
import warnings

from power_kernel import tracebacks

MAX_ANSWER = 32 << 20
HEAD = struct.Struct("<cQ")  # kind, bytes
ASK, DATA, TELL, END, ERROR = b"?", b"#", b"%", b"=", b"!"


class Refused(Exception):
    """An error told by the forked child: {"name", "value", "hint"?}."""

    def __str__(self):
        return self.args[0]["value"]


class Talk:
    """The child's side."""

    def __init__(self, read, write):
        self.read_end, self.write_end = read, write

    def send(self, kind, payload):
        for part in (HEAD.pack(kind, len(payload)), payload):
            view = memoryview(part)
            while len(view):
                view = view[os.write(self.write_end, view) :]

    def ask(self, question):
        """The parent's answer, JSON both. Raises Refused when it has none."""
        self.send(ASK, json.dumps(question).encode())
        answer = json.loads(receive(self.read_end)[1])
        if "refused" in answer:
            raise Refused({"name": "Refused", "value": answer["refused"]})
        return answer["value"]

    def tell(self, facts):
        self.send(TELL, json.dumps(facts).encode())

    def batches(self, batches):
        """Arrow record batches of one schema, each on its own."""
        import pyarrow as pa

        for batch in batches:
            into = pa.BufferOutputStream()
            with pa.ipc.new_stream(into, batch.schema) as stream:
                stream.write_batch(batch)
            self.send(DATA, into.getvalue())


def read_exactly(descriptor, size):
    data = bytearray(size)
    view, have = memoryview(data), 0
    while have < size:
        select.select([descriptor], [], [])
        got = os.readv(descriptor, [view[have : have + (4 << 20)]])
        if not got:
            return None
        have += got
    return data


def receive(descriptor):
    """(kind, payload), or None at the end."""
    head = read_exactly(descriptor, HEAD.size)
    if head is None:
        return None
    kind, size = HEAD.unpack(head)
    payload = read_exactly(descriptor, size)
    return None if payload is None else (kind, payload)


def child(talk, work):
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        sys.stdout = sys.stderr = open(os.devnull, "w")
        text = json.dumps(work(talk), allow_nan=False).encode()
        if len(text) > MAX_ANSWER:
            raise ValueError("the answer is above 32 MB: ask for fewer rows or columns")
        talk.send(END, text)
    except BrokenPipeError:
        pass
    except Refused as error:
        talk.send(ERROR, json.dumps(error.args[0]).encode())
    except BaseException as error:
        told = {"name": type(error).__name__, "value": tracebacks.message(error), "hint": str(getattr(error, "hint", ""))[:2000]}
        talk.send(ERROR, json.dumps(told).encode())
    os._exit(0)


def run(work, answer=None, data=None, tell=None):
    """JSON text of what work(talk) gives back in a forked child. answer(question): value; data(bytes): a piece of Arrow's stream
    format; tell(facts). Raises Refused for an error of the child, MemoryError when it was killed."""
    up_read, up_write = os.pipe()
    down_read, down_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(up_read)
        os.close(down_write)
        child(Talk(down_read, up_write), work)
    os.close(up_write)
    os.close(down_read)
    try:
        while True:
            got = receive(up_read)
            if got is None:
                raise MemoryError("the process that did the work was killed, most likely for its memory")
            kind, payload = got
            if kind == END:
                return bytes(payload)
            if kind == ERROR:
                raise Refused(json.loads(payload))
            if kind == DATA:
                data(payload)
            elif kind == TELL:
                tell(json.loads(payload))
            elif kind == ASK:
                Talk(up_read, down_write).send(ASK, json.dumps(answered(answer, json.loads(payload))).encode())
    finally:
        os.close(up_read)
        os.close(down_write)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)


def answered(answer, question):
    from power_kernel import asks

    try:
        return {"value": answer(question)}
    except asks.Refused as error:
        return {"refused": str(error)}
