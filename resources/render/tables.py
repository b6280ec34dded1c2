"""Tables schema first: columns with their types, how many rows, the first of them. Reads hostile files, so only in a worker."""
import csv
import io
import os

from power_kernel.viewer import ViewError

HEAD = 1 << 20        # bytes of a text table that are looked at
COUNTED = 256 << 20   # bytes whose lines are counted
MAX_COLUMNS = 100
MAX_CELL = 120
SHEETS = 20


def cell(value):
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    text = text.replace("\r", " ").replace("\n", " ")
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def kind(values):
    """One word for the type of a column's texts."""
    import datetime

    seen = [value for value in values if value not in ("", None)]
    if not seen:
        return "empty"
    if all(isinstance(value, bool) for value in seen):
        return "bool"
    if all(isinstance(value, (datetime.date, datetime.datetime)) for value in seen):
        return "date"
    for name, reader in (("int", int), ("float", float), ("date", datetime.datetime.fromisoformat)):
        try:
            for value in seen:
                reader(value if name != "date" else str(value))
        except (ValueError, TypeError):
            continue
        if name == "int" and any(isinstance(value, float) and value != int(value) for value in seen):
            continue
        return name
    return "bool" if {str(value).lower() for value in seen} <= {"true", "false"} else "text"


def shape(names, types, rows, count, more):
    """What every table's answer has. `count`: rows, None = unknown."""
    left_out = max(0, len(names) - MAX_COLUMNS)
    names, types = names[:MAX_COLUMNS], types[:MAX_COLUMNS]
    rows = [[cell(value) for value in row[:MAX_COLUMNS]] for row in rows]
    return {"columns": [{"name": cell(name), "type": kind_} for name, kind_ in zip(names, types)], "rows": rows, "row_count": count,
            "columns_left_out": left_out, **more}


def text_of(head):
    for encoding in ("utf-8-sig", "utf-16") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return head.decode(encoding), encoding
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4 and encoding == "utf-8-sig":
                return head[: error.start].decode(encoding), encoding
    return head.decode("cp1252", "replace"), "cp1252"


def lines_in(file):
    """Line ends in the whole file; None when it is too large to count."""
    size = os.fstat(file.fileno()).st_size
    if size > COUNTED:
        return None
    file.seek(0)
    count, last = 0, b"\n"
    while piece := file.read(1 << 20):
        count += piece.count(b"\n")
        last = piece[-1:]
    return count + (last != b"\n")


def delimited(file, ending, rows):
    head = file.read(HEAD)
    whole = len(head) < HEAD
    text, encoding = text_of(head)
    if not whole:
        text = text[: text.rfind("\n") + 1] or text
    try:
        dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
        delimiter = dialect.delimiter
    except csv.Error:
        delimiter = "\t" if ending == "tsv" else ","
    csv.field_size_limit(HEAD)
    read, rows_read, blank = [], 0, False
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
        if not row:
            blank = True
            continue
        rows_read += 1
        if len(read) <= 1000:
            read.append(row)
        elif not whole:
            break
    if not read:
        return shape([], [], [], 0, {"kind": "delimited text", "delimiter": delimiter, "encoding": encoding})
    names, body = read[0], read[1:]
    types = [kind([row[i] if i < len(row) else "" for row in body]) for i in range(len(names))]
    lines = None if whole else lines_in(file)
    quoted = any("\n" in value for row in read for value in row)
    count = rows_read - 1 if whole else (None if lines is None else lines - 1)
    more = {"kind": "delimited text", "delimiter": delimiter, "encoding": encoding, "about": bool(lines and (quoted or blank))}
    return shape(names, types, body[:rows], count, more)


def workbook(file, rows, sheet):
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
    names = book.sheet_names
    if not names:
        raise ViewError("The workbook has no sheets.")
    if sheet and sheet not in names:
        raise ViewError(f"The workbook has no sheet {sheet!r}; it has {', '.join(names[:SHEETS])}.")
    chosen = sheet or names[0]
    opened = book.get_sheet_by_name(chosen)
    height = opened.height
    top = opened.to_python(skip_empty_area=True, nrows=1001)
    sizes = []
    for name in names[:SHEETS]:
        one = book.get_sheet_by_name(name)
        sizes.append({"name": name, "rows": one.height, "columns": one.width})
    header, body = (top[0], top[1:]) if top else ([], [])
    # Workbooks know only floats.
    body = [[int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53 else value for value in row] for row in body]
    types = [kind([row[i] if i < len(row) else "" for row in body]) for i in range(len(header))]
    return shape([str(name) for name in header], types, body[:rows], max(0, height - 1), {"kind": "workbook", "sheet": chosen, "sheets": sizes})


def parquet(file, rows):
    import pyarrow.parquet as parquet_

    table = parquet_.ParquetFile(file)
    fields = list(table.schema_arrow)
    wanted = [field.name for field in fields[:MAX_COLUMNS]]
    body = []
    for batch in table.iter_batches(batch_size=max(rows, 1), columns=wanted):
        body = [[value for value in row.values()] for row in batch.slice(0, rows).to_pylist()]
        break
    return shape([field.name for field in fields], [str(field.type) for field in fields], body, table.metadata.num_rows,
                 {"kind": "Parquet", "row_groups": table.num_row_groups})


def database(file, rows, home):
    import sqlite3

    path = os.path.join(home, "input.sqlite")
    with open(path, "wb") as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name LIMIT 50")]
    if not tables:
        return shape([], [], [], 0, {"kind": "SQLite database", "tables": []})
    quoted = '"' + tables[0].replace('"', '""') + '"'
    columns = connection.execute(f"PRAGMA table_info({quoted})").fetchall()
    body = [list(row) for row in connection.execute(f"SELECT * FROM {quoted} LIMIT ?", (rows,))]
    return shape([column[1] for column in columns], [column[2].lower() or "any" for column in columns], body, None,
                 {"kind": "SQLite database", "tables": tables, "table": tables[0]})


def look(file, ending, rows, sheet, home):
    if ending in ("csv", "tsv", "txt"):
        return delimited(file, ending, rows), []
    if ending in ("parquet", "pq"):
        return parquet(file, rows), []
    if ending in ("db", "sqlite", "sqlite3"):
        return database(file, rows, home), []
    return workbook(file, rows, sheet), []
