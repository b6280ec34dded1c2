"""How a session's values are written and read: cloudpickle, with __main__ as the live namespace."""
import functools
import io
import pickle
import sys
import types

import cloudpickle.cloudpickle as cloud

from power_kernel import names


class Refused(Exception):
    """A value that is not carried; the text says why."""


# Type -> why it cannot outlive its process. Names, not types: looked up without importing anything.
REASONS = {
    "generator": "a generator cannot be stored: its state is a running frame",
    "coroutine": "a coroutine cannot be stored: its state is a running frame",
    "async_generator": "a generator cannot be stored: its state is a running frame",
    "Thread": "a thread ends with its process",
    "_thread._ThreadHandle": "a thread ends with its process",  # from Python 3.13 on
    "_thread.lock": "locks belong to a running process",
    "_thread.RLock": "locks belong to a running process",
    "_asyncio.Task": "an asyncio task ends with its process",
    "_asyncio.Future": "an asyncio future ends with its process",
    "Popen": "a running program is no value",
    "socket": "a connection ends with its process",
    "sqlite3.Connection": "a database connection ends with its process: connect again",
    "sqlite3.Cursor": "a cursor ends with its connection",
    "_duckdb.DuckDBPyConnection": "a database connection ends with its process: connect again",
    "_duckdb.DuckDBPyRelation": "a relation ends with its connection",
    "duckdb.duckdb.DuckDBPyConnection": "a database connection ends with its process: connect again",
    "weakref": "a weak reference keeps nothing alive to come back to",
    "ReferenceType": "a weak reference keeps nothing alive to come back to",
    "mmap.mmap": "a memory map ends with its process: open it again",
}


def reason(error):
    """One sentence part from whatever pickling raised."""
    if isinstance(error, Refused):
        return str(error)[:300]
    text = str(error)
    for word, why in REASONS.items():
        if f"{word}'" in text or f"{word}()" in text or f"<{word} " in text:
            return why
    if isinstance(error, RecursionError) or "recursion" in text:
        return "nested too deeply to be stored"
    if isinstance(error, MemoryError):
        return "no memory left to store it"
    return f"{type(error).__name__}: {text}"[:300]


def space():
    return sys.modules["__main__"].__dict__


def function_state(function, state):
    """The end of a restored function of __main__; its globals are the session's own."""
    attributes, slots = state
    function.__dict__.update(attributes)
    closure = slots.pop("__closure__")
    for cell, value in zip(function.__closure__ or (), closure or ()):
        try:
            cell.cell_contents = value.cell_contents
        except ValueError:  # an empty cell
            pass
    for name, value in slots.items():
        setattr(function, name, value)


def cached(function, parameters):
    return functools.lru_cache(**parameters)(function)


def reopened(path, mode, encoding, position):
    stream = open(path, mode, encoding=encoding) if encoding else open(path, mode)
    stream.seek(position)
    return stream


class Pickler(cloud.Pickler):
    """Functions and classes of __main__ by value, their globals by reference; modules by name."""

    def __init__(self, file, callback):
        super().__init__(file, protocol=5, buffer_callback=callback)
        self.main = space()
        self.globals_ref[id(self.main)] = self.main
        self.remarks = []
        self.uses = set()  # global names that functions of the present value need

    def persistent_id(self, value):
        if value is self.main:
            return "main"
        return None

    def reducer_override(self, value):
        kind = type(value)
        if kind is types.FunctionType:
            if value.__globals__ is self.main and value.__module__ == "__main__":
                return self.own_function(value)
        elif kind is functools._lru_cache_wrapper and getattr(value, "__module__", None) == "__main__":
            self.remarks.append("its cache starts empty")
            return cached, (value.__wrapped__, value.cache_parameters())
        elif kind is io.TextIOWrapper or kind is io.BufferedReader:
            return self.open_file(value)
        elif kind in (io.BufferedWriter, io.BufferedRandom, io.FileIO):
            raise Refused("an open file ends with its process: open it again")
        elif kind is types.ModuleType and value.__name__ not in sys.modules:
            raise Refused(f"the module {value.__name__!r} cannot be imported by name")
        return super().reducer_override(value)

    def own_function(self, value):
        code = value.__code__
        closure = tuple(types.CellType() for _ in code.co_freevars) if value.__closure__ is not None else None
        state, slots = own_state(value)
        self.uses.update(cloud._extract_code_globals(code))
        return cloud._make_function, (code, self.main, None, None, closure), (state, slots), None, None, function_state

    def open_file(self, value):
        path = getattr(value, "name", None)
        mode = getattr(value, "mode", "")
        for standard in ("stdout", "stderr", "stdin"):
            if value is getattr(sys, standard):
                return getattr, (sys, standard)
        if value.closed or not isinstance(path, str) or "w" in mode or "a" in mode or "+" in mode or "x" in mode:
            raise Refused("an open file ends with its process: open it again")
        try:
            position = value.tell()
        except OSError:
            raise Refused("an open file ends with its process: open it again") from None
        self.remarks.append("the file was opened again at its position")
        return reopened, (path, mode, getattr(value, "encoding", None), position)


def own_state(function):
    slots = {
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__annotations__": function.__annotations__,
        "__kwdefaults__": function.__kwdefaults__,
        "__defaults__": function.__defaults__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__closure__": function.__closure__,
    }
    return dict(function.__dict__), slots


def main_of(word):
    if word == "main":
        return space()
    raise pickle.UnpicklingError("an unknown reference")


class Unpickler(pickle.Unpickler):
    def persistent_load(self, word):
        return main_of(word)


def is_start(name, value):
    return name in names.START and names.START[name] is value
