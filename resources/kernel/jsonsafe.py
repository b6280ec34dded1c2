"""Any Python value as bounded JSON-safe data: NaN, dates, decimals, UUIDs, numpy, frames never break a reply."""
import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import sys
import uuid

MAX_DEPTH = 10  # frames allow 16 levels, the reply around this needs some
MAX_ITEMS = 1000
MAX_ROWS = 500
MAX_TEXT = 20_000


def key(value):
    if isinstance(value, str):
        return value
    plain = safe(value, MAX_DEPTH)
    return plain if isinstance(plain, str) else str(value) if plain is None else str(plain)


def cut(text):
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + f"... ({len(text)} characters)"


def number(value):
    if math.isnan(value) or math.isinf(value):
        return None
    return value


def frame(value, depth):
    """pandas: {"columns", "data", "row_count"}; more rows than MAX_ROWS are left off and said so."""
    head = value.head(MAX_ROWS)
    rows = [[safe(cell, depth + 3) for cell in row] for row in head.itertuples(index=False, name=None)]
    out = {"columns": [key(name) for name in head.columns], "data": rows, "row_count": len(value)}
    if len(value) > MAX_ROWS:
        out["truncated"] = True
    return out


def from_numpy(value, depth):
    numpy = sys.modules["numpy"]
    if value is numpy.ma.masked:
        return None
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.timedelta64):
        return None if numpy.isnat(value) else str(value)
    if isinstance(value, numpy.generic):
        return safe(value.item(), depth) if not isinstance(value.item(), numpy.generic) else str(value)
    return safe(value[:MAX_ITEMS].tolist() if value.ndim else value.item(), depth)


def safe(value, depth=0):
    """`value` as dict, list, str, int, float, bool or None."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, enum.Enum):
        return safe(value.value, depth)
    if isinstance(value, str):
        return cut(str(value)).encode("utf-8", "replace").decode()
    if isinstance(value, int):
        # JSON readers lose digits above 2**53; Qt's too.
        return int(value) if abs(value) < 2**53 else str(value) if abs(value) < 10**4000 else hex(value)[:MAX_TEXT]
    if isinstance(value, float):
        return number(float(value))
    if isinstance(value, complex):
        return str(value)
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NaT or value is pandas.NA):
        return None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, uuid.UUID, fractions.Fraction, pathlib.PurePath)):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return str(value) if value.is_finite() else None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value[:MAX_TEXT])).decode()
    if depth >= MAX_DEPTH:
        return cut(text_of(value))
    if isinstance(value, dict):
        items = list(value.items())[:MAX_ITEMS]
        return {key(name): safe(item, depth + 1) for name, item in items}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        out = []
        for item in value:
            if len(out) >= MAX_ITEMS:
                break
            out.append(safe(item, depth + 1))
        return out
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: safe(getattr(value, f.name, None), depth + 1) for f in dataclasses.fields(value)}
    if "numpy" in sys.modules and isinstance(value, (sys.modules["numpy"].generic, sys.modules["numpy"].ndarray)):
        return from_numpy(value, depth)
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return frame(value, depth)
        if isinstance(value, pandas.Series):
            return {key(name): safe(item, depth + 1) for name, item in list(value.head(MAX_ITEMS).items())}
        if isinstance(value, pandas.Index):
            return [safe(item, depth + 1) for item in value[:MAX_ITEMS]]
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.DataFrame):
        head = value.head(MAX_ROWS)
        rows = [[safe(cell, depth + 3) for cell in row] for row in head.iter_rows()]
        return {"columns": list(head.columns), "data": rows, "row_count": value.height}
    return cut(text_of(value))


def text_of(value):
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr failed: {error!r}>"


def dumps(value):
    """Strict JSON text (no NaN), whatever `value` is."""
    try:
        return json.dumps(safe(value), allow_nan=False, ensure_ascii=False)
    except (RecursionError, ValueError, TypeError):
        return json.dumps(cut(text_of(value)))
