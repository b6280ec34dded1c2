"""Reads a snapshot (snapwriter.py) back into __main__. Runs in the session's kernel and nowhere else."""
import collections
import importlib
import json
import mmap
import pickle
import struct

import _power
from power_kernel import pickling, settings, snapwriter, tracebacks

HEAD = snapwriter.HEAD


class Damaged(Exception):
    pass


class Record:
    """One name's pickled bytes as a file, and its buffers in order."""

    def __init__(self, snapshot, start, end):
        self.snapshot, self.at, self.end = snapshot, start, end
        self.bytes = collections.deque()
        self.left = None
        self.waiting = collections.deque()

    def advance(self):
        """Takes in the next chunk; False at the end of the record."""
        snapshot = self.snapshot
        while self.at < self.end:
            kind, size = HEAD.unpack_from(snapshot.view, self.at)
            start = self.at + HEAD.size
            self.at = start + size
            if self.at > self.end:
                raise Damaged("a chunk leads out of its record")
            if kind == b"P":
                self.bytes.append(snapshot.view[start : self.at])
            elif kind == b"Q":
                self.bytes.append(memoryview(snapshot.unpacked(start, size)))
            elif kind == b"R":
                self.waiting.append(snapshot.raw(start, size))
            elif kind == b"L":
                self.waiting.append(self.blocks(start))
            elif kind == b".":
                continue
            else:
                raise Damaged("a chunk is of no known type")
            return True
        return False

    def blocks(self, start):
        view = self.snapshot.view
        size, read_only = struct.unpack_from("<QB", view, start)
        whole = bytearray(size)
        done = 0
        while done < size:
            kind, length = HEAD.unpack_from(view, self.at)
            if kind != b"l":
                raise Damaged("a block is missing")
            piece = self.snapshot.unpacked(self.at + HEAD.size, length)
            whole[done : done + len(piece)] = piece
            done += len(piece)
            self.at += HEAD.size + length
        return memoryview(whole).toreadonly() if read_only else memoryview(whole)

    # -- for the unpickler

    def more(self):
        while not self.left:
            while not self.bytes:
                if not self.advance():
                    return False
            self.left = self.bytes.popleft()
        return True

    def read(self, size=-1):
        parts = []
        while size != 0 and self.more():
            part = self.left if size < 0 else self.left[:size]
            self.left = self.left[len(part) :]
            size = size - len(part) if size > 0 else size
            parts.append(part)
        return b"".join(parts)

    def readinto(self, target):
        view, done = memoryview(target).cast("B"), 0
        while done < len(view) and self.more():
            part = self.left[: len(view) - done]
            view[done : done + len(part)] = part
            self.left = self.left[len(part) :]
            done += len(part)
        return done

    def readline(self):
        parts = []
        while self.more():
            text = bytes(self.left)
            cut = text.find(b"\n") + 1 or len(text)
            parts.append(text[:cut])
            self.left = self.left[cut:]
            if parts[-1].endswith(b"\n"):
                break
        return b"".join(parts)

    def __iter__(self):
        return self

    def __next__(self):
        while not self.waiting:
            if not self.advance():
                raise StopIteration
        return self.waiting.popleft()


class Stream:
    """What the one unpickler of all records reads from."""

    def __init__(self):
        self.record = None

    def read(self, size=-1):
        return self.record.read(size)

    def readinto(self, target):
        return self.record.readinto(target)

    def readline(self):
        return self.record.readline()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.record)


class Snapshot:
    def __init__(self, descriptor, offset, size):
        self.descriptor, self.offset, self.size = descriptor, offset, size
        self.mapping = mmap.mmap(descriptor, offset + size, access=mmap.ACCESS_READ)
        self.view = memoryview(self.mapping)[offset:]
        if bytes(self.view[-8:]) != snapwriter.MAGIC:
            raise Damaged("its end is missing")
        (length,) = struct.unpack_from("<Q", self.view, size - 16)
        self.trailer = json.loads(bytes(self.view[size - 16 - length : size - 16]))
        self.codec = None

    def unpacked(self, start, size):
        if self.codec is None:
            import pyarrow

            self.codec = pyarrow.Codec("lz4_raw")
        (length,) = struct.unpack_from("<I", self.view, start)
        return self.codec.decompress(self.view[start + 4 : start + size], length, asbytes=True)

    def raw(self, start, size):
        """Large ones are mapped: they are read when they are used, and written to without changing the snapshot."""
        read_only = self.view[start]
        start, size = start + 1, size - 1
        if size >= snapwriter.MAPPED and (self.offset + start) % snapwriter.PAGE == 0:
            view = memoryview(_power.Mapping(self.descriptor, self.offset + start, size))
        else:
            view = memoryview(bytearray(self.view[start : start + size]))
        return view.toreadonly() if read_only else view


class Memo(dict):
    """What the unpickler knows by number; asking for something that never came to be names whose it was."""

    def __init__(self, known):
        super().__init__(known)
        self.lost = []

    def lose(self, first, last, name):
        for number in range(len(self), last):
            self[number] = None
        self.lost.append((first, last, name))

    def __getitem__(self, number):
        for first, last, name in self.lost:
            if first <= number < last:
                raise pickling.Refused(f"it shares objects with {name!r}, which could not be restored")
        return super().__getitem__(number)


class CarefulUnpickler(pickle._Unpickler):
    """Takes over after a failure: the fast one cannot be told what it knows."""

    def __init__(self, stream, known):
        super().__init__(stream, buffers=stream)
        self.known = known

    def load(self):
        self.memo = self.known  # __init__ and load would start with an empty one
        return super().load()

    def persistent_load(self, word):
        return pickling.main_of(word)


class Loader:
    def __init__(self, snapshot):
        self.snapshot = snapshot
        self.stream = Stream()
        self.unpickler = pickling.Unpickler(self.stream, buffers=self.stream)

    def load(self, record):
        name, _, start, end, first, last = record
        self.stream.record = Record(self.snapshot, start, end)
        try:
            value = self.unpickler.load()
            self.unpickler.load(), self.unpickler.load()  # the two markers of Writer.memo_end
            return value
        except BaseException:
            known = self.unpickler.memo.copy() if isinstance(self.unpickler, pickling.Unpickler) else self.unpickler.known
            if not isinstance(known, Memo):
                known = Memo(known)
            known.lose(first, last, name)
            self.unpickler = CarefulUnpickler(self.stream, known)
            raise


def restore(session, descriptor, meta):
    """JSON-ready: {"restored": [...], "missing": [{"name","type","reason"}], "remarks": {...}, "count"}."""
    snapshot = Snapshot(descriptor, int(meta["offset"]), int(meta["size"]))
    trailer = snapshot.trailer
    space = session.namespace
    missing = list(trailer["skipped"])
    restored, modules, kept = [], [], {}
    for name in trailer["imports"]:
        try:
            importlib.import_module(name)
        except Exception:
            pass
    for name, module in trailer["modules"].items():
        try:
            space[name] = importlib.import_module(module)
            modules.append(name)
        except BaseException as error:
            raise_interrupt(error)
            missing.append({"name": name, "type": "module", "reason": pickling.reason(error)})
    for name in trailer["gone"]:
        space.pop(name, None)
    loader = Loader(snapshot)
    for record in trailer["records"]:
        name = record[0]
        try:
            value = loader.load(record)
        except BaseException as error:
            raise_interrupt(error)
            if not name.startswith(" "):
                missing.append({"name": name, "type": record[1], "reason": pickling.reason(error)})
            continue
        if name.startswith(" "):
            kept[name] = value
        else:
            space[name] = value
            restored.append(name)
    session.flags = int(trailer["flags"])
    session.count = max(int(trailer["count"]), int(meta.get("count") or 0))
    remember(session, kept)
    settings.restore(kept.get(" settings") or {}, not meta.get("branch"))
    del loader
    return {"restored": restored + modules, "missing": missing, "remarks": trailer["remarks"], "count": int(trailer["count"])}


def raise_interrupt(error):
    if isinstance(error, KeyboardInterrupt):
        raise error


def remember(session, kept):
    """In, Out and the lines that tracebacks of restored functions show."""
    inputs = kept.get(" in")
    if isinstance(inputs, list):
        session.inputs[:] = inputs
        session.inputs.extend([""] * (session.count + 1 - len(session.inputs)))
        for number, source in enumerate(inputs):
            if isinstance(source, str) and source:
                tracebacks.remember(f"<cell {number}>", source)
    for name, value in (kept.get(" last") or {}).items():
        session.namespace[name] = value
    session.last = session.namespace.get("_")
    for name, value in kept.items():
        if name.startswith(" out "):
            session.outputs[int(name[5:])] = value
