"""Delimited text (csv, tsv, txt) of any size in two passes with flat memory: the first decides encoding, delimiter and the
types of all columns, the second gives batches."""
import codecs
import csv
import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from power_kernel.tabletypes import TextColumn

PIECE = 1 << 20
BLOCK = 4 << 20
SLOW_ROWS = 10_000
DELIMITERS = (",", ";", "\t", "|")
BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decodes(file, encoding):
    """None when the whole file is text in `encoding`, else the offset of about where it is not."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    offset = 0
    while True:
        piece = file.read(PIECE)
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return offset + error.start
        if not piece:
            return None
        offset += len(piece)


def guess_encoding(file, head):
    """The encoding of text that is not UTF-8."""
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    if max(even, odd) > len(head[:4096]) // 8:
        return "utf-16-be" if even > odd else "utf-16-le"
    try:
        from charset_normalizer import from_bytes

        best = from_bytes(head[:262_144]).best()
        if best is not None and not best.encoding.startswith(("ascii", "utf")) and decodes(file, best.encoding) is None:
            western = best.encoding in ("latin_1", "cp1250", "cp1252", "iso8859_15", "cp1254", "cp1257", "mac_roman", "cp437", "cp850", "hp_roman8")
            if not western:
                return best.encoding
    except ImportError:
        pass
    return "cp1252" if decodes(file, "cp1252") is None else "latin-1"


def encoding_of(file, head, wanted, notes, fail):
    """The encoding to read with."""
    if wanted:
        try:
            codecs.lookup(wanted)
        except LookupError:
            raise fail(f"There is no encoding {wanted!r}.", "Leave encoding out: it is found.") from None
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return encoding
    if wanted:
        at = decodes(file, wanted)
        if at is None:
            return wanted
        found = "utf-8" if decodes(file, "utf-8") is None else guess_encoding(file, head)
        raise fail(f"The file is not {wanted} (at byte {at:,}); it looks like {found}.", f"Pass encoding={found!r}, or leave it out.")
    if head[:4096].count(0) * 10 <= len(head[:4096]) and decodes(file, "utf-8") is None:
        return "utf-8"
    found = guess_encoding(file, head)
    notes.append(f"The file is not UTF-8; it was read as {found}.")
    return found


class Recoded(io.RawIOBase):
    """A file's bytes as UTF-8, without NUL characters and byte order mark."""

    def __init__(self, file, encoding):
        self.file, self.decoder = file, codecs.getincrementaldecoder(encoding)("replace")
        self.left = b""
        file.seek(0)

    def readable(self):
        return True

    def readinto(self, into):
        while not self.left:
            piece = self.file.read(PIECE)
            self.left = self.decoder.decode(piece, final=not piece).replace("\0", "").encode("utf-8", "replace")
            if not piece:
                break
        size = min(len(into), len(self.left))
        into[:size] = self.left[:size]
        self.left = self.left[size:]
        return size


def widths(text, delimiter):
    """Field counts of the first rows."""
    found = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                found.append(len(row))
            if len(found) == 200:
                break
    except csv.Error:
        return []
    return found


def sniff(text, ending):
    """The delimiter that gives most columns in most rows."""
    best, best_score = "\t" if ending == "tsv" else ",", 0
    for delimiter in DELIMITERS:
        counts = widths(text, delimiter)
        if not counts or counts[0] < 2:
            continue
        same = sum(count == counts[0] for count in counts) / len(counts)
        score = same * 100 + min(counts[0], 50) / 10 if same > 0.5 else same
        if score > best_score:
            best, best_score = delimiter, score
    return best


def delimiter_of(text, wanted, ending, notes, fail):
    if wanted in (None, ""):
        return sniff(text, ending)
    named = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}.get(wanted.lower(), wanted)
    if len(named) != 1 or not named.isascii() or named in '"\r\n':
        raise fail(f"{wanted!r} is no delimiter.", "It is one ASCII character, e.g. ',' ';' '|' or '\\t'; leave it out and it is found.")
    if (widths(text, named) or [0])[0] < 2:
        found = sniff(text, ending)
        if found != named and (widths(text, found) or [0])[0] > 1:
            notes.append(f"There is no {named!r} in the file; its fields are separated by {found!r}.")
            return found
    return named


class Delimited:
    """Reads with Arrow; with Python's reader where rows are of different length or longer than a block."""

    def __init__(self, file, ending, options, notes, fail):
        self.file, self.notes, self.fail = file, notes, fail
        file.seek(0)
        head = file.read(PIECE)
        self.encoding = encoding_of(file, head, options.get("encoding"), notes, fail)
        text = codecs.getincrementaldecoder(self.encoding)("replace").decode(head).lstrip("\ufeff").replace("\0", "")
        self.delimiter = delimiter_of(text, options.get("delimiter"), ending, notes, fail)
        csv.field_size_limit(1 << 30)
        header = next((row for row in csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter) if row), None)
        if header is None:
            raise fail("The file is empty.", "")
        self.header = [name.strip() for name in header]
        self.plain = self.encoding in ("utf-8", "utf-8-sig") and not self.has_nul()
        self.slow = False
        self.rows = 0
        self.decide()

    def has_nul(self):
        self.file.seek(0)
        while piece := self.file.read(PIECE):
            if b"\0" in piece:
                self.notes.append("NUL characters were left out of the texts.")
                return True
        return False

    def decide(self):
        try:
            self.columns = self.look()
        except pa.ArrowInvalid:
            self.slow = True
            self.columns = self.look()
        for name, column in zip(self.header, self.columns):
            column.settle(name)

    def look(self):
        columns = [TextColumn(comma=self.delimiter != ",") for _ in self.header]
        self.rows = 0
        for arrays in self.texts():
            self.rows += len(arrays[0])
            for column, array in zip(columns, arrays):
                column.feed(array)
        return columns

    def texts(self):
        """Lists of text arrays, one for each column; null = empty cell."""
        return self.slow_texts() if self.slow else self.fast_texts()

    def fast_texts(self):
        self.file.seek(0)
        source = self.file if self.plain else io.BufferedReader(Recoded(self.file, self.encoding), PIECE)
        names = [str(index) for index in range(len(self.header))]
        reading = arrow_csv.open_csv(
            pa.PythonFile(source, "r"),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names, skip_rows_after_names=1),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, quoted_strings_can_be_null=True, null_values=[""], check_utf8=False))
        for batch in reading:
            if len(batch):
                yield batch.columns

    def slow_texts(self):
        source = io.TextIOWrapper(io.BufferedReader(Recoded(self.file, self.encoding), PIECE), "utf-8", newline="")
        reader = csv.reader(source, delimiter=self.delimiter)
        width, rows, short = len(self.header), [], 0
        next((row for row in reader if row), None)
        for row in reader:
            if not row:
                continue
            if len(row) > width:
                if any(row[width:]):
                    raise self.fail(f"Line {reader.line_num:,} has {len(row)} fields, the header has {width}.",
                                    f"Fields are separated by {self.delimiter!r}: quote fields that contain it, or pass another delimiter.")
                row = row[:width]
            elif len(row) < width:
                short += 1
                row += [""] * (width - len(row))
            rows.append([cell or None for cell in row])
            if len(rows) == SLOW_ROWS:
                yield [pa.array(column, pa.string()) for column in zip(*rows)]
                rows = []
        if rows:
            yield [pa.array(column, pa.string()) for column in zip(*rows)]
        note = f"{short:,} rows have fewer fields than the header; what is missing is NULL."
        if short and note not in self.notes:
            self.notes.append(note)

    def batches(self, schema):
        for arrays in self.texts():
            yield pa.RecordBatch.from_arrays([column.convert(array) for column, array in zip(self.columns, arrays)], schema=schema)
