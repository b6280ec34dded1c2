"""Tables in files: csv, tsv, txt, xlsx, xls, xlsm, xlsb, pdf, json, jsonl, parquet. One reader for sessions and for the
server's workers; the content decides over the ending.

    table = open_table(file_or_path, name, sheet_name=..., delimiter=..., encoding=..., pdf_pages=...)
    table.format, table.rows, table.columns, table.notes
    for batch in table.batches(): ...      # pyarrow.RecordBatch of table.schema

Texts are streamed; workbooks, PDF and JSON documents are in memory while they are read. It reads hostile files: call it in a
process that can be lost. Nothing here needs threads."""
import gzip
import os

from power_kernel.tabletypes import JSON

HEAD = 4096
ROWS = 50_000
FORMATS = ("csv", "tsv", "txt", "xlsx", "xls", "xlsm", "xlsb", "pdf", "json", "jsonl", "parquet")
OFFERED = "csv, tsv, txt, xlsx, xls, xlsm, xlsb, pdf, json, jsonl and parquet"


class FormatError(Exception):
    """What is wrong with the file, and `hint`: what to do. Both are sentences for an agent."""

    def __init__(self, text, hint=""):
        super().__init__(text)
        self.hint = hint


class Column:
    """`name` is unique in the table; `nullable`: there is an empty cell, or it is not known."""

    def __init__(self, name, field, nullable):
        self.name, self.field, self.nullable = name, field, nullable


class Table:
    def __init__(self, format_, header, fields, nullable, rows, read, notes):
        import pyarrow as pa

        self.format, self.rows, self.notes, self.read = format_, rows, notes, read
        names = unique(header, notes)
        self.schema = pa.schema([field.with_name(name) for name, field in zip(names, fields)])
        self.columns = [Column(name, field, empty) for name, field, empty in zip(names, self.schema, nullable)]

    def batches(self):
        """pyarrow.RecordBatches of `schema`; every call begins anew. A FormatError may still come on the way."""
        return self.read(self.schema)


def unique(header, notes):
    """Names for all columns: empty ones are numbered, repeated ones get a number."""
    names, changed = [], []
    taken = set(header)
    for index, name in enumerate(header):
        plain = str(name).replace("\0", "")
        made = plain or f"column_{index + 1}"
        number = 2
        while made in names or (made != plain and made in taken):
            made = f"{plain or 'column'}_{number}"
            number += 1
        if made != name:
            changed.append(f"{made!r} (was {name!r})" if name else f"{made!r} (had no name)")
        names.append(made)
    if changed:
        notes.append(f"Column names were made unique: {', '.join(changed[:10])}{' ...' if len(changed) > 10 else ''}.")
    return names


def binary(head):
    """No text: control characters, or more NULs than slipped in and fewer than UTF-16 has."""
    control = sum(head.count(bytes([code])) for code in (*range(1, 9), *range(14, 27), *range(28, 32)))
    nuls = head.count(0)
    return head[:4] == b"\x7fELF" or control * 20 > len(head) or len(head) < nuls * 10 and nuls * 10 < len(head) * 3


def detect(head, ending):
    """The format of what begins with `head`."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return ending if ending in ("xlsx", "xlsm", "xlsb", "ods") else "xlsx"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return "xls"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"["):
        return "jsonl" if ending in ("jsonl", "ndjson") else "json"
    if text[:15].lower().startswith((b"<!doctype html", b"<html", b"<table")):
        raise FormatError("The file is an HTML page, no table file.",
                          "If it came from a link, the link leads to a login or preview page. Tables of a page: pandas.read_html in execute_code.")
    if ending in ("xlsx", "xls", "xlsm", "xlsb", "pdf", "parquet", "pq", "json", "jsonl"):
        if text and b"\0" not in head and any(mark in text for mark in (b",", b";", b"\t", b"|")):
            return "csv"
        raise FormatError(f"The file is called .{ending} but its content is not that: it begins with {head[:12]!r}.",
                          "Check that it was downloaded completely; list_files shows its size.")
    if binary(head):
        raise FormatError(f"This is no table file: it begins with {head[:12]!r}.", f"Formats that can be read: {OFFERED}.")
    return ending if ending in ("csv", "tsv", "txt") else "csv"


def open_table(source, name="", format=None, **options):
    """`source`: a path, bytes, or a binary file that can seek. `name` gives the ending; `format` overrides it. Raises FormatError."""
    if isinstance(source, (str, os.PathLike)):
        name = name or os.fspath(source)
        source = open(source, "rb")
    elif isinstance(source, (bytes, bytearray, memoryview)):
        import io

        source = io.BytesIO(source)
    notes = []
    source.seek(0)
    head = source.read(HEAD)
    base = os.path.basename(name).lower()
    if head.startswith(b"\x1f\x8b"):
        source.seek(0)
        source = gzip.GzipFile(fileobj=source)
        try:
            head = source.read(HEAD)
        except (OSError, EOFError) as error:
            raise FormatError(f"The compressed file cannot be read: {error}.", "Check that it was downloaded completely.") from None
        base = base.removesuffix(".gz")
    if not head.strip():
        raise FormatError("The file is empty.", "Check that it was written completely; list_files shows its size.")
    ending = (format or os.path.splitext(base)[1]).lower().lstrip(".")
    found = detect(head, ending)
    family = {"pq": "parquet", "ndjson": "jsonl"}.get(ending, ending)
    if family in FORMATS and not same_family(found, family):
        notes.append(f"The content is {found}, though the name says {ending}.")
    try:
        return opened(source, found, options, notes)
    except EOFError as error:
        raise FormatError(f"The file ends too early: {error}.", "Check that it was downloaded completely.") from None


def same_family(found, ending):
    texts, books, lines = {"csv", "tsv", "txt"}, {"xlsx", "xlsm", "xlsb", "xls", "ods"}, {"json", "jsonl"}
    return found == ending or any(found in family and ending in family for family in (texts, books, lines))


def opened(file, found, options, notes):
    import pyarrow as pa

    if found == "parquet":
        return parquet(file, notes)
    if found in ("json", "jsonl"):
        from power_kernel.tablejson import Json

        reader = Json(file, found == "jsonl", notes, FormatError)
        fields = [reader.field(index, name) for index, name in enumerate(reader.header)]
    else:
        if found == "pdf":
            from power_kernel.tablesheets import Pdf

            reader = Pdf(file, options, notes, FormatError)
        elif found in ("csv", "tsv", "txt"):
            from power_kernel.tabletext import Delimited

            reader = Delimited(file, found, options, notes, FormatError)
        else:
            from power_kernel.tablesheets import Workbook

            reader = Workbook(file, options, notes, FormatError)
        fields = [pa.field(name, column.type) for name, column in zip(reader.header, reader.columns)]
    notes += [column.note for column in reader.columns if column.note][:20]
    return Table(found, reader.header, fields, [column.nulls > 0 for column in reader.columns], reader.rows, reader.batches, notes)


def parquet(file, notes):
    import pyarrow as pa
    import pyarrow.parquet as parquet_

    try:
        whole = parquet_.ParquetFile(file, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise FormatError(f"The Parquet file cannot be read: {error}.", "Check that it was written and downloaded completely.") from None
    schema = whole.schema_arrow

    def read(wanted):
        for batch in whole.iter_batches(batch_size=ROWS, use_threads=False):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=wanted)

    table = Table("parquet", schema.names, list(schema), [field.nullable for field in schema], whole.metadata.num_rows, read, notes)
    table.metadata = schema.metadata  # what pandas wrote about index and types
    return table


def is_json(field):
    return bool(field.metadata) and field.metadata.get(b"power") == JSON[b"power"]
