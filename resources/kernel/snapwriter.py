"""Writes a snapshot: the session's variables as one object graph, streamed while it is pickled.

The bytes, which only a kernel ever reads (snapreader.py): chunks of a type byte, a length (u64) and data.
  P pickled bytes   Q the same in LZ4, behind their length (u32)   R a buffer as it is   L the head of a buffer in LZ4
  (its length), followed by its blocks  l (length u32, LZ4)   . padding, so that the data of R lies on a page
and at the very end: T a JSON object, its length again (u64), and the magic.
"""
import json
import os
import platform
import struct
import sys
import time
import types

from power_kernel import names, pickling, settings

MAGIC = b"PWRSNAP1"
HEAD = struct.Struct("<cQ")
PIECE = 1 << 20       # of one frame, and of a buffer's blocks
SAMPLE = 64 << 10
PAGE = 4096
MAPPED = 256 << 10    # buffers from this size on lie on a page of their own
CHEAP = 1 << 16       # memo entries that are copied without a thought
MOST_TOLD = 200
DATA, END = 23, 24


class TooLarge(pickling.Refused):
    pass


class Sink:
    """Frames to the server; counts, compresses, and stops at the limit."""

    def __init__(self, descriptor, limit, check):
        self.descriptor, self.limit, self.check = descriptor, limit, check
        self.offset = 0
        self.pending = bytearray()
        self.frame = bytearray()
        self.at = ""
        self.last = b""
        try:
            import pyarrow

            self.codec = pyarrow.Codec("lz4_raw")
        except Exception:
            self.codec = None

    # -- frames

    def put(self, data):
        self.offset += len(data)
        self.frame += data
        if len(self.frame) >= PIECE:
            self.flush_frame()

    def put_large(self, view):
        self.flush_frame()
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            self.send(DATA, b'{"at":' + json.dumps(self.at[:100]).encode() + b"}", piece)
            self.offset += len(piece)

    def flush_frame(self):
        if self.frame:
            data, self.frame = self.frame, bytearray()
            self.send(DATA, b'{"at":' + json.dumps(self.at[:100]).encode() + b"}", data)

    def send(self, kind, meta, data=b""):
        head = struct.pack("<IHHII", 0x31465750, kind, 0, len(meta), len(data)) + meta
        for part in (head, data):
            view = memoryview(part)
            while len(view):
                view = view[os.write(self.descriptor, view) :]

    # -- chunks

    def room(self, size):
        if self.offset + len(self.pending) + size > self.limit:
            raise TooLarge(f"too large: the snapshot may have {self.limit >> 20} MB (SNAPSHOT_MAX_MB)")

    def compressed(self, view, least):
        """LZ4 of the view when that saves at least the share `least`, else None."""
        if self.codec is None or len(view) < 256:
            return None
        packed = self.codec.compress(view, asbytes=True)
        return packed if len(packed) < len(view) * least else None

    def write(self, data):
        """Pickled bytes."""
        view = memoryview(data).cast("B")
        self.last = bytes(view[:16])
        self.room(len(view))
        if len(view) >= PIECE:
            self.end_pickle()
            for start in range(0, len(view), PIECE):
                self.pickle_chunk(view[start : start + PIECE])
        else:
            self.pending += view
            if len(self.pending) >= PIECE:
                self.end_pickle()
        return len(view)

    def end_pickle(self):
        if self.pending:
            data, self.pending = self.pending, bytearray()
            self.pickle_chunk(memoryview(data))

    def pickle_chunk(self, view):
        self.check(len(view))
        packed = self.compressed(view, 0.8)
        if packed is None:
            self.put(HEAD.pack(b"P", len(view)))
            self.put(view)
        else:
            self.put(HEAD.pack(b"Q", len(packed) + 4) + struct.pack("<I", len(view)))
            self.put(packed)

    def buffer(self, buffer):
        """Out-of-band data: never copied as a whole."""
        view = buffer.raw()
        read_only = view.readonly
        self.room(len(view))
        sample = view[:SAMPLE]
        if self.compressed(sample, 0.6) is not None:
            self.put(HEAD.pack(b"L", 9) + struct.pack("<QB", len(view), read_only))
            for start in range(0, len(view), PIECE):
                piece = view[start : start + PIECE]
                packed = self.codec.compress(piece, asbytes=True)
                self.put(HEAD.pack(b"l", len(packed) + 4) + struct.pack("<I", len(piece)))
                self.put(packed)
                self.check(0)
            return
        if len(view) >= MAPPED:  # head, flag byte and then the data: the data on a page
            gap = -(self.offset + 2 * HEAD.size + 1) % PAGE
            self.put(HEAD.pack(b".", gap) + bytes(gap))
        self.put(HEAD.pack(b"R", len(view) + 1) + bytes([read_only]))
        if len(view) >= PIECE:
            self.put_large(view)
        else:
            self.put(view)
        self.check(0)

    def finish(self, trailer):
        text = json.dumps(trailer, ensure_ascii=False).encode("utf-8", "replace")
        self.put(HEAD.pack(b"T", len(text)) + text + struct.pack("<Q", len(text)) + MAGIC)
        self.flush_frame()


def memory_check(allowance):
    """What the copy makes its own by touching it counts for the session: it gives up before that matters."""
    state = {"bytes": 0}

    def check(size):
        state["bytes"] += size
        if allowance <= 0 or state["bytes"] < 32 << 20:
            return
        state["bytes"] = 0
        try:
            with open("/proc/self/smaps_rollup") as rollup:
                own = sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty")) << 10
        except (OSError, ValueError):
            return
        if own > allowance:
            raise MemoryError("the session's memory has no room for the copy that writes it")

    return check


def size_hint(value):
    """Small ones first, so that what does not fit below the limit is the largest."""
    try:
        found = getattr(value, "nbytes", None)
        if isinstance(found, int):
            return found
        if type(value).__name__ == "DataFrame" and hasattr(value, "memory_usage"):
            return int(value.memory_usage(index=True, deep=False).sum())
        return sys.getsizeof(value)
    except Exception:
        return 0


def carried(namespace):
    """(variables, modules, names of the start that are gone)."""
    variables, modules = {}, {}
    for name, value in list(namespace.items()):
        if not isinstance(name, str) or (name.startswith("__") and name.endswith("__")) or name in names.HIDDEN:
            continue
        if name in ("_", "__", "___", "In", "Out", "_exit_code") or pickling.is_start(name, value):
            continue
        if isinstance(value, types.ModuleType) and value.__name__ in sys.modules:
            modules[name] = value.__name__
        else:
            variables[name] = value
    gone = [name for name in names.START if name not in namespace]
    ordered = sorted(variables.items(), key=lambda pair: size_hint(pair[1]))
    return ordered, modules, gone


class Writer:
    def __init__(self, sink, session, facts):
        self.sink, self.session, self.facts = sink, session, facts
        self.pickler = pickling.Pickler(sink, self.take)
        self.buffers = 0
        self.records, self.skipped, self.remarks = [], [], {}
        self.memo_size = 0

    def take(self, buffer):
        self.sink.buffer(buffer)
        self.buffers += 1

    def memo_end(self):
        """How many objects the pickler knows: told by what it writes for the one it has just learned."""
        marker = [None]
        self.pickler.dump(marker)
        self.pickler.dump(marker)
        code = self.sink.last[2:]
        if code[:1] == b"\x95":  # a frame around it
            code = code[9:]
        return (code[1] if code[:1] == b"h" else int.from_bytes(code[1:5], "little")) + 1

    def one(self, name, value, quiet=False):
        sink = self.sink
        sink.at = name
        start = sink.offset
        self.pickler.remarks, self.pickler.uses, self.buffers = [], set(), 0
        memo = None
        if self.memo_size <= CHEAP:
            memo = self.pickler.memo.copy()
        elif not self.tried(value, name, quiet):
            return
        try:
            self.pickler.dump(value)
        except (ConnectionError, BrokenPipeError):
            raise
        except BaseException as error:
            sink.pending = bytearray()
            if memo is None:
                raise  # it was fine a moment ago: nothing after it can be trusted
            self.pickler.memo = memo
            self.skip(name, value, error, quiet)
            return
        before, self.memo_size = self.memo_size, self.memo_end()
        sink.end_pickle()
        self.records.append([name, type(value).__name__[:60], start, sink.offset, before, self.memo_size])
        if self.pickler.remarks:
            self.remarks[name] = sorted(set(self.pickler.remarks))[:3]
        if self.pickler.uses:
            self.facts["uses"][name] = sorted(self.pickler.uses)[:50]

    def tried(self, value, name, quiet):
        """With a large memo: pickled for nothing first, because a failure could not be taken back."""
        try:
            pickling.Pickler(Nowhere(self.sink), lambda buffer: self.sink.room(buffer.raw().nbytes)).dump(value)
            return True
        except BaseException as error:
            self.skip(name, value, error, quiet)
            return False

    def skip(self, name, value, error, quiet):
        if not quiet:
            self.skipped.append({"name": name, "type": type(value).__name__[:60], "reason": pickling.reason(error)})


class Nowhere:
    def __init__(self, sink):
        self.sink, self.written = sink, 0

    def write(self, data):
        self.written += len(data)
        self.sink.room(self.written)
        return len(data)


def write(session, descriptor, meta, before):
    """In the forked child. `before`: what was taken in the kernel itself (random states)."""
    begin = time.monotonic()
    sink = Sink(descriptor, int(meta.get("limit") or 1 << 30), memory_check(int(meta.get("allowance") or 0)))
    variables, modules, gone = carried(session.namespace)
    facts = {"uses": {}}
    writer = Writer(sink, session, facts)
    banned = set(meta.get("skip") or ())
    for name, value in variables:
        if name in banned:
            writer.skip(name, value, pickling.Refused("storing it took too long"), False)
        else:
            writer.one(name, value)
    hidden = {
        " settings": settings.changed(before),
        " in": list(session.inputs),
        " last": {name: session.namespace.get(name) for name in ("_", "__", "___")},
    }
    for name, value in hidden.items():
        writer.one(name, value, quiet=True)
    for number, value in list(session.outputs.items()):
        writer.one(f" out {number}", value, quiet=True)
    lost = {entry["name"] for entry in writer.skipped}
    for name, uses in facts["uses"].items():
        missing = sorted(lost.intersection(uses))
        if missing:
            writer.remarks.setdefault(name, []).append(f"uses {', '.join(missing[:3])}, which is not restored")
    trailer = {
        "python": platform.python_version(),
        "count": session.count,
        "flags": session.flags,
        "modules": modules,
        "imports": imports(session.inputs),
        "gone": gone,
        "records": writer.records,
        "skipped": writer.skipped,
        "remarks": writer.remarks,
    }
    sink.finish(trailer)
    saved = sum(1 for record in writer.records if not record[0].startswith(" "))
    summary = {
        "ok": True,
        "count": session.count,
        "saved": saved + len(modules),
        "skipped": writer.skipped[:MOST_TOLD],
        "skipped_count": len(writer.skipped),
        "bytes": sink.offset,
        "ms": round((time.monotonic() - begin) * 1e3),
    }
    text = json.dumps(summary).encode()
    while len(text) > 60_000:
        summary["skipped"] = summary["skipped"][: len(summary["skipped"]) // 2]
        text = json.dumps(summary).encode()
    sink.send(END, text)


def imports(inputs):
    """Dotted modules that cells imported by name: `import a.b` binds only a."""
    import re

    found = {}
    for source in inputs:
        for line in re.findall(r"^[ \t]*import[ \t]+(.+)$", source, re.M) if "import" in source else ():
            for part in line.split("#")[0].split(","):
                word = part.split(" as ")[0].strip()
                if "." in word and word in sys.modules:
                    found[word] = True
    return list(found)[-200:]
