"""Workbooks (xlsx, xlsm, xlsb, xls, ods) and the tables of PDF documents."""
import io
import itertools
import re

import pyarrow as pa

from power_kernel.tabletypes import TextColumn, ValueColumn

ROWS = 10_000
ERRORS = {"#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"}


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


class Workbook:
    """One sheet; its first row that is not empty is the header. Dates, numbers and texts are what the cells say."""

    def __init__(self, file, options, notes, fail):
        from python_calamine import CalamineError, CalamineWorkbook, PasswordError

        file.seek(0)
        try:
            self.book = CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
        except PasswordError:
            raise fail("The workbook is protected by a password.", "Save it without one.") from None
        except (CalamineError, OSError, ValueError) as error:
            raise fail(f"The workbook cannot be read: {error}.", "Save it again as .xlsx or export the sheet as CSV.") from None
        names = self.book.sheet_names
        if not names:
            raise fail("The workbook has no sheets.", "")
        wanted = options.get("sheet_name")
        if wanted and str(wanted).isdigit() and str(wanted) not in names and int(wanted) < len(names):
            wanted = names[int(wanted)]
        if wanted and wanted not in names:
            same = [name for name in names if name.strip().lower() == str(wanted).strip().lower()]
            if len(same) != 1:
                listed = ", ".join(repr(name) for name in names[:30])
                raise fail(f"The workbook has no sheet {wanted!r}; it has {listed}.", f"Pass sheet_name={names[0]!r} or another of these.")
            wanted = same[0]
        self.sheet = wanted or names[0]
        if not wanted and len(names) > 1:
            notes.append(f"Sheet {names[0]!r} was read; the others are {', '.join(repr(name) for name in names[1:30])} (sheet_name chooses).")
        header = next(self.cells(), None)
        if header is None:
            raise fail(f"Sheet {self.sheet!r} is empty.", f"The workbook's sheets: {', '.join(repr(name) for name in names[:30])}.")
        self.header = [text_of(value) for value in header]
        self.columns = [ValueColumn(integral=True) for _ in self.header]
        self.rows = 0
        for rows in self.pieces():
            self.rows += len(rows)
            for column, values in zip(self.columns, zip(*rows)):
                column.feed(values)
        for name, column in zip(self.header, self.columns):
            column.settle(name)

    def cells(self):
        for row in self.book.get_sheet_by_name(self.sheet).iter_rows():
            if any(value != "" and value is not None for value in row):
                yield row

    def pieces(self):
        rows = itertools.islice(self.cells(), 1, None)
        while piece := list(itertools.islice(rows, ROWS)):
            for row in piece:
                for index, value in enumerate(row):
                    if type(value) is str and value in ERRORS:
                        row[index] = None
            yield piece

    def batches(self, schema):
        for rows in self.pieces():
            yield pa.RecordBatch.from_arrays([column.convert(values) for column, values in zip(self.columns, zip(*rows))], schema=schema)


def page_numbers(text, last, fail):
    """"1,3-5", a list, a number or "all" -> numbers from 1 on."""
    if isinstance(text, (list, tuple)):
        text = ",".join(str(part) for part in text)
    text = str(text if text is not None else "all").strip().lower()
    if text in ("", "all"):
        return list(range(1, last + 1))
    numbers = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not found:
            raise fail(f"pdf_pages={text!r} is no list of pages.", 'It is "all", or numbers and ranges such as "1,3-5".')
        first, end = int(found[1]), int(found[2] or found[1])
        if first < 1 or end > last or end < first:
            raise fail(f"There is no page {part.strip()}: the document has {last} pages.", 'Pass pages of it, e.g. pdf_pages="1", or "all".')
        numbers += range(first, end + 1)
    return numbers


class Pdf:
    """All tables of the chosen pages: the first row is the header; the same header, or none on the next page, goes on with
    the table; other headers add columns."""

    def __init__(self, file, options, notes, fail):
        import pdfplumber

        file.seek(0)
        self.names, self.body, tables, last_page = [], [], 0, 0
        try:
            document = pdfplumber.open(io.BytesIO(file.read()))
        except Exception as error:
            raise fail(f"The PDF document cannot be read: {str(error) or type(error).__name__}.", "Check that it opens and has no password.") from None
        with document:
            pages = page_numbers(options.get("pdf_pages"), len(document.pages), fail)
            current = None
            for number in pages:
                page = document.pages[number - 1]
                for table in page.extract_tables():
                    rows = [[(cell or "").strip() for cell in row] for row in table if any(cell and cell.strip() for cell in row)]
                    if not rows:
                        continue
                    tables += 1
                    if current is None or not self.goes_on(current, rows[0], number, last_page):
                        current = self.place(rows.pop(0))
                    elif rows[0] == current["header"]:
                        rows.pop(0)
                    self.add(current, rows)
                    last_page = number
                page.close()
        if not tables:
            raise fail(f"No tables were found on {'the page' if len(pages) == 1 else f'the {len(pages)} pages'}.",
                       "Scanned pages have none; view_file shows them. Text without ruled tables: read it in execute_code with pdfplumber.")
        if tables > 1:
            notes.append(f"{tables} tables were joined into one.")
        self.header = self.names
        self.rows = len(self.body)
        self.columns = [TextColumn() for _ in self.names]
        for index, column in enumerate(self.columns):
            column.feed(self.array(index, 0, self.rows))
            column.settle(self.names[index])

    def goes_on(self, current, first, page, last_page):
        if first == current["header"]:
            return True
        if len(first) != len(current["header"]) or page == last_page or not current["rows"]:
            return False
        # A row of data is a number wherever the rows above are; another table's header is not.
        above = current["rows"][-1]
        numeric = [index for index, cell in enumerate(above) if re.fullmatch(r"[-+(]?[\d.,\s%€$£]*\d[\d.,\s%€$£)]*", cell)]
        return bool(numeric) and all(not first[index] or re.search(r"\d", first[index]) for index in numeric)

    def place(self, header):
        """Where a table's columns go."""
        header = [re.sub(r"\s+", " ", name) for name in header]
        used, columns = set(), []
        for index, name in enumerate(header):
            at = next((i for i, known in enumerate(self.names) if known == name and i not in used), None)
            if at is None:
                at = len(self.names)
                self.names.append(name)
            used.add(at)
            columns.append(at)
        return {"header": header, "columns": columns, "rows": []}

    def add(self, table, rows):
        for row in rows:
            out = {}
            for at, cell in zip(table["columns"], row):
                out[at] = cell
            self.body.append(out)
        table["rows"] = rows or table["rows"]

    def array(self, index, first, last):
        return pa.array([row.get(index) or None for row in self.body[first:last]], pa.string())

    def batches(self, schema):
        for first in range(0, self.rows, ROWS):
            yield pa.RecordBatch.from_arrays(
                [column.convert(self.array(index, first, first + ROWS)) for index, column in enumerate(self.columns)], schema=schema)
