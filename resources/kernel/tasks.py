"""Built-in work on a session's variables: the frames list and SQL over frames."""
import json
import os
import re
import select
import signal
import sys

import _power
from power_kernel import jsonsafe, names, tracebacks

MAX_ANSWER = 32 << 20


def is_frame(value):
    """"pandas", "polars" or "pyarrow", else None. Imports nothing."""
    for module, kinds in (("pandas", ("DataFrame",)), ("polars", ("DataFrame", "LazyFrame")), ("pyarrow", ("Table",))):
        loaded = sys.modules.get(module)
        if loaded is not None and any(isinstance(value, getattr(loaded, kind, ())) for kind in kinds):
            return module
    return None


def shape(value):
    found = getattr(value, "shape", None)
    return [int(n) for n in found] if found is not None else None


def columns(value, kind):
    if kind == "pandas":
        return [{"name": jsonsafe.key(n), "dtype": str(t)} for n, t in zip(value.columns[:1000], value.dtypes)]
    if kind == "polars":
        return [{"name": n, "dtype": str(t)} for n, t in list(value.schema.items())[:1000]]
    return [{"name": field.name, "dtype": str(field.type)} for field in list(value.schema)[:1000]]


def frames(session, _):
    found = []
    for name, value in names.user_variables(session.namespace):
        kind = is_frame(value)
        if kind:
            size = shape(value) if type(value).__name__ != "LazyFrame" else None
            found.append({"name": name, "kind": kind, "shape": size, "columns": columns(value, kind)})
    return json.dumps({"frames": found}).encode()


def select_rows(session, sql, limit, offset):
    """Runs in a forked child."""
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": 1})
    words = set(re.findall(r"\w+", sql))
    for name, value in names.user_variables(session.namespace):
        if name in words and is_frame(value):
            connection.register(name, value)
    cursor = connection.execute(sql)
    if cursor.description is None:
        return {"columns": [], "data": [], "row_count": 0, "has_more": False}
    head = [column[0] for column in cursor.description]
    while offset > 0:
        skipped = len(cursor.fetchmany(min(offset, 10_000)))
        if not skipped:
            break
        offset -= skipped
    rows = cursor.fetchmany(limit + 1)
    data = [[jsonsafe.safe(cell, 4) for cell in row] for row in rows[:limit]]
    return {"columns": head, "data": data, "row_count": len(data), "has_more": len(rows) > limit}


def child(write, work):
    """The forked side: one byte of verdict, then JSON."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        text = b"+" + json.dumps(work(), allow_nan=False).encode()
    except BaseException as error:
        text = b"-" + json.dumps({"name": type(error).__name__, "value": tracebacks.message(error)}).encode()
    view = memoryview(text)
    while view:
        view = view[os.write(write, view) :]
    os._exit(0)


def forked(work):
    """Result of work() from a forked child, so that DuckDB's pool never lives in the kernel."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        child(write, work)
    os.close(write)
    parts, size = [], 0
    try:
        while True:
            select.select([read], [], [])
            part = os.read(read, 1 << 20)
            if not part:
                break
            size += len(part)
            if size > MAX_ANSWER:
                raise ValueError("the answer is above 32 MB: ask for fewer rows or columns")
            parts.append(part)
    finally:
        os.close(read)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
    text = b"".join(parts)
    if text[:1] == b"+":
        return text[1:]
    if text[:1] == b"-":
        raise Refused(json.loads(text[1:]))
    raise MemoryError("the query's process was killed, most likely for its memory")


class Refused(Exception):
    """An error told by the forked child: {"name", "value"}."""


def query(session, meta):
    sql = str(meta.get("sql", ""))
    limit = min(max(int(meta.get("limit") or 100), 1), 10_000)
    offset = max(int(meta.get("offset") or 0), 0)
    return forked(lambda: select_rows(session, sql, limit, offset))


def restore(session, meta):
    from power_kernel import snapshot

    return snapshot.restore(session, meta)


def install(session, meta):
    from power_kernel import packages

    return packages.install(session, meta)


handlers = {"query": query, "frames": frames, "restore": restore, "install": install}


def run(session, meta):
    """The Done frame's fields and the answer's JSON."""
    done, blob = {"status": "ok", "hard": False}, b""
    try:
        handler = handlers.get(meta.get("task"))
        if handler is None:
            raise Refused({"name": "LookupError", "value": f"there is no task {meta.get('task')!r}"})
        try:
            _power.begin_cell()
            blob = handler(session, meta)
        finally:
            _power.end_cell()
    except Refused as error:
        done.update(status="error", error=error.args[0])
    except BaseException as error:
        done["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        done["error"] = {"name": type(error).__name__, "value": tracebacks.message(error)}
    done["count"] = session.count
    names.describe(session.namespace, done)
    return done, blob
