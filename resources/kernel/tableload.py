"""Files and persistent datasets as DataFrames of the session. Reading happens in a forked child (apart.py); what comes back
is Arrow data, made into a frame by this one thread."""
import glob
import json
import os
import sys
import time

from power_kernel import apart, asks, jsonsafe, reasons

PREVIEW, PREVIEW_COLUMNS, PREVIEW_TEXT, MAX_COLUMNS = 5, 100, 300, 1000
ROWS_FILES = "/tmp/.power-rows-"  # what the server puts there for one reading
STALE = 3600


class TableError(ValueError):
    """A table that cannot be read, and what to do."""


def raised(error):
    """The exception for the reader of a traceback."""
    told = error.args[0]
    text = told["value"] + (f" {told['hint']}" if told.get("hint") else "")
    kinds = {"FileNotFoundError": FileNotFoundError, "PermissionError": PermissionError, "IsADirectoryError": IsADirectoryError,
             "MemoryError": MemoryError, "Refused": asks.Refused}
    return kinds.get(told["name"], TableError)(text)


class Pieces:
    """What a child sends: facts and Arrow data. Tells how far it is."""

    def __init__(self):
        self.tables, self.facts, self.rows = [], {}, 0

    def take(self, data):
        import pyarrow as pa

        with pa.ipc.open_stream(pa.py_buffer(data), options=pa.ipc.IpcReadOptions(use_threads=False)) as stream:
            table = stream.read_all()
        self.tables.append(table)
        self.rows += len(table)
        if total := self.facts.get("rows"):
            from power_kernel import tools

            tools.progress(min(self.rows, total), total, "rows")

    def tell(self, facts):
        self.facts.update(facts)

    def frame(self):
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.facts["schema"])))
        table = pa.concat_tables(self.tables) if self.tables else schema.empty_table()
        self.tables = []
        self.facts["size"] = table.nbytes
        return frame_of(table.replace_schema_metadata(schema.metadata))


def schema_text(schema):
    return schema.serialize().to_pybytes().hex()


def series(column, field):
    """One column without pandas' losses: integers with gaps stay integers."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    from power_kernel.tableformats import is_json

    kind = field.type
    if kinds.is_decimal(kind) and kind.scale == 0:  # sums of integers
        try:
            column, kind = pc.cast(column, pa.int64()), pa.int64()
        except pa.ArrowInvalid:
            pass
    if is_json(field):
        return pd.Series([None if text is None else json.loads(text) for text in column.to_pylist()], dtype=object)
    if column.null_count and (kinds.is_integer(kind) or kinds.is_boolean(kind)):
        words = {"int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint8": "UInt8", "uint16": "UInt16",
                 "uint32": "UInt32", "uint64": "UInt64", "bool": "boolean"}
        extension = pd.api.types.pandas_dtype(words[str(kind)])
        return column.to_pandas(types_mapper=lambda _: extension)
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        try:  # what everybody expects where it fits
            column = pc.cast(column, pa.timestamp("ns", getattr(kind, "tz", None)))
        except pa.ArrowInvalid:
            column = pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)))
    return column.to_pandas()


def frame_of(table):
    import pandas as pd

    if table.schema.metadata and b"pandas" in table.schema.metadata:
        return table.to_pandas(use_threads=False)
    columns = {name: series(table.column(index), table.schema.field(index)) for index, name in enumerate(table.column_names)}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table)), copy=False)


def read_file(path, options):
    """(frame, facts) of a file."""
    def work(talk):
        from power_kernel import tableformats

        table = tableformats.open_table(path, **options)
        schema = table.schema.with_metadata(getattr(table, "metadata", None))
        talk.tell({"format": table.format, "rows": table.rows, "schema": schema_text(schema)})
        talk.batches(table.batches())
        return table.notes

    return gathered(work)


def read_dataset(name):
    """(frame, facts) of a persistent dataset."""
    rows = fetch_rows(name, None)

    def work(talk):
        from power_kernel import tablerows

        data = tablerows.dataset(rows)
        talk.tell({"format": "dataset", "rows": rows["rows"], "schema": schema_text(data.schema)})
        talk.batches(data.to_batches())
        return []

    try:
        return gathered(work)
    finally:
        forget(rows)


def gathered(work):
    pieces = Pieces()
    try:
        notes = json.loads(apart.run(work, data=pieces.take, tell=pieces.tell))
    except apart.Refused as error:
        raise raised(error) from None
    frame = pieces.frame()
    return frame, {**pieces.facts, "notes": notes}


def fetch_rows(name, columns):
    """{"file", "columns": [{"name", "type"}], "rows"}: the dataset as a file of this session, to be forgotten."""
    for stale in glob.glob(glob.escape(ROWS_FILES) + "*"):
        try:
            if time.time() - os.stat(stale).st_mtime > STALE:
                os.unlink(stale)
        except OSError:
            pass
    values = {"name": name}
    if columns is not None:
        values["columns"] = columns
    return asks.call("_rows", values)


def forget(rows):
    try:
        os.unlink(rows["file"])
    except OSError:
        pass


def load(name, sheet_name=None, delimiter=None, encoding=None, pdf_pages=None):
    """A DataFrame of a file of the session (csv, tsv, txt, xlsx, xls, xlsm, xlsb, pdf, json, jsonl, parquet), or of the persistent
    dataset of that name when there is no such file. Types are decided over the whole file: codes with leading zeros stay
    text, integers with gaps stay integers, dates become dates.

        power.load("invoices.xlsx", sheet_name="March")
        power.load("sales")    # a dataset
    """
    name = os.fspath(name)
    if not os.path.exists(name) and "/" not in name:
        try:
            return read_dataset(name)[0]
        except asks.Refused as refusal:
            if os.path.splitext(name)[1]:
                raise FileNotFoundError(f"There is no file {name!r} in the session, and no dataset of that name.") from None
            raise refusal
    return read_file(name, {"sheet_name": sheet_name, "delimiter": delimiter, "encoding": encoding, "pdf_pages": pdf_pages})[0]


def load_dataset(file=None, dataset=None, **options):
    """What the tool load_dataset runs: the frame; its facts become RESULT."""
    frame, facts = read_file(file, options) if file else read_dataset(dataset)
    sys.modules["__main__"].RESULT = described(frame, facts)
    return frame


def described(frame, facts):
    names = [jsonsafe.key(name) for name in frame.columns]
    columns = [{"name": name, "dtype": str(frame.dtypes.iloc[index]), "nullable": bool(frame.iloc[:, index].isna().any())}
               for index, name in enumerate(names[:MAX_COLUMNS])]
    head = frame.iloc[:PREVIEW, :PREVIEW_COLUMNS]
    preview = [{name: shortened(cell) for name, cell in zip(names, row)} for row in head.itertuples(index=False, name=None)]
    notes = list(facts["notes"])
    if len(names) > PREVIEW_COLUMNS:
        notes.append(f"The preview shows the first {PREVIEW_COLUMNS} of {len(names):,} columns.")
    size = max(facts.get("size", 0), reasons.size_of(frame))
    return {"format": facts["format"], "row_count": len(frame), "column_count": len(names), "columns": columns,
            "size_mb": round(size / (1 << 20), 2), "preview": preview, "notes": notes}


def shortened(cell):
    value = jsonsafe.safe(cell, 6)
    return value[:PREVIEW_TEXT] + "…" if isinstance(value, str) and len(value) > PREVIEW_TEXT else value
