"""Built-in work on a session's variables: the frames list and SQL over frames."""
import json
import sys

import _power
from power_kernel import jsonsafe, names, tracebacks
from power_kernel.apart import Refused


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


def query(session, meta):
    from power_kernel import tablequery

    return tablequery.rows(session.namespace, meta)


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
