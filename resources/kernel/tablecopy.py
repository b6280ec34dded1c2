"""A table as PostgreSQL takes it: the types of its columns and the bytes of COPY (FORMAT csv)."""
import base64
import datetime
import json
import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.types as kinds

from power_kernel.tableformats import is_json

NAME_BYTES = 63


def sql_type(field):
    """int8, float8, numeric, bool, date, timestamp, timestamptz, text, jsonb or bytea."""
    kind = field.type
    if is_json(field):
        return "jsonb"
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if kinds.is_boolean(kind):
        return "bool"
    if kinds.is_uint64(kind) or kinds.is_decimal(kind):
        return "numeric"
    if kinds.is_integer(kind):
        return "int8"
    if kinds.is_floating(kind):
        return "float8"
    if kinds.is_date(kind):
        return "date"
    if kinds.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind) or kinds.is_binary_view(kind):
        return "bytea"
    return "jsonb" if kinds.is_nested(kind) else "text"


def sql_names(names):
    """Unique names of at most 63 bytes (all PostgreSQL keeps)."""
    made = []
    for name in names:
        short, number = cut(name, NAME_BYTES), 2
        while short in made:
            tail = f"_{number}"
            short = cut(name, NAME_BYTES - len(tail)) + tail
            number += 1
        made.append(short)
    return made


def cut(text, size):
    return text.encode()[:size].decode("utf-8", "ignore")


def described(table):
    """What the server makes a table of: {"format", "row_count", "columns": [{"name", "type", "nullable"}], "notes"}."""
    names = sql_names([column.name for column in table.columns])
    notes = list(table.notes)
    cuts = [f"{made!r}" for made, column in zip(names, table.columns) if made != column.name]
    if cuts:
        notes.append(f"Column names are at most {NAME_BYTES} bytes long; shortened: {', '.join(cuts[:10])}.")
    columns = [{"name": made, "type": sql_type(column.field), "nullable": column.nullable} for made, column in zip(names, table.columns)]
    return {"format": table.format, "row_count": table.rows, "columns": columns, "notes": notes}


def plain(value):
    """Anything inside of lists and objects as JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {plain(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, str):
        return value.replace("\0", "")
    return value if value is None or isinstance(value, int) else str(value)


def no_nul(values):
    """PostgreSQL's texts have no NUL."""
    return pc.replace_substring(values, "\0", "") if pc.any(pc.match_substring(values, "\0")).as_py() else values


def ready(values, field):
    """The column as COPY's CSV wants it."""
    kind = field.type
    if kinds.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    to = sql_type(field)
    if to == "jsonb":
        if not is_json(field):
            values = pa.array([None if one is None else json.dumps(plain(one), ensure_ascii=False) for one in values.to_pylist()], pa.string())
        return values
    if to == "float8":
        values = pc.cast(values, pa.float64())
        return pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    if to == "bytea":
        return pa.array([None if one is None else "\\x" + one.hex() for one in values.to_pylist()], pa.string())
    if to == "date":
        return pc.cast(values, pa.date32())
    if to == "timestamptz":
        return pc.cast(values, pa.timestamp("us", "UTC"), safe=False)
    if to == "timestamp":
        return pc.cast(values, pa.timestamp("us"), safe=False)
    if to == "text":
        if kinds.is_null(kind):
            return pa.nulls(len(values), pa.string())
        if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
            return no_nul(pc.cast(values, pa.large_string()))
        return pa.array([None if one is None else str(one) for one in values.to_pylist()], pa.string())
    return values


class Collect:
    """What Arrow's CSV writer writes into."""

    closed = False

    def __init__(self):
        self.parts = []

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)

    def flush(self):
        pass

    def close(self):
        pass

    def taken(self):
        data, self.parts = b"".join(self.parts), []
        return data


def rows(table):
    """Pieces of bytes for COPY ... FROM STDIN (FORMAT csv): no header; NULL is empty, an empty text is quoted; NaN is NULL."""
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in table.batches():
        if not len(batch):
            continue
        columns = [ready(values, field) for values, field in zip(batch.columns, table.schema)]
        names = [str(index) for index in range(len(columns))]
        into = Collect()
        arrow_csv.write_csv(pa.table(columns, names=names), pa.PythonFile(into, "w"), write_options=options)
        yield into.taken(), len(batch)
