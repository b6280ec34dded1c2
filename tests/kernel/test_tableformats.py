"""Reading tables of files, without a kernel: run by the Python that kernels use."""
import csv
import datetime
import decimal
import gzip
import io
import json
import os
import sys
import tempfile
import types
import unittest

package = types.ModuleType("power_kernel")
package.__path__ = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../resources/kernel")]
sys.modules["power_kernel"] = package

from power_kernel import tablecopy, tableformats  # noqa: E402


def opened(source, name="x.csv", **options):
    return tableformats.open_table(source.encode() if isinstance(source, str) else source, name, **options)


def types_of(table):
    return [column["type"] for column in tablecopy.described(table)["columns"]]


def names_of(table):
    return [column.name for column in table.columns]


def values(table):
    rows = []
    for batch in table.batches():
        rows += [list(row) for row in zip(*(column.to_pylist() for column in batch.columns))]
    assert table.rows == len(rows), (table.rows, len(rows))
    return rows


def copied(table):
    return b"".join(data for data, _ in tablecopy.rows(table)).decode()


class Text(unittest.TestCase):
    def one(self, *cells, **options):
        """Type and values of one column, beside another one."""
        text = io.StringIO()
        csv.writer(text).writerows([["c", "other"]] + [[cell, "x"] for cell in cells])
        table = opened(text.getvalue(), **options)
        return types_of(table)[0], [row[0] for row in values(table)]

    def test_types_are_exact(self):
        date = datetime.date
        for cells, kind, got in (
            (["1", "-2", "0"], "int8", [1, -2, 0]),
            (["1", "", "3"], "int8", [1, None, 3]),
            (["1", "NA", "NaN", "3"], "int8", [1, None, None, 3]),
            (["1", " 2 "], "int8", [1, 2]),
            (["00123", "45"], "text", ["00123", "45"]),
            (["45", "00123"], "text", ["45", "00123"]),
            (["0x1F", "2"], "text", ["0x1F", "2"]),
            (["+49123", "2"], "text", ["+49123", "2"]),
            (["9223372036854775807", "1"], "int8", [2**63 - 1, 1]),
            (["9223372036854775808", "1"], "numeric", [decimal.Decimal(2**63), decimal.Decimal(1)]),
            (["9007199254740993", "1.5"], "numeric", [decimal.Decimal("9007199254740993.0"), decimal.Decimal("1.5")]),
            (["1" * 40, "1"], "text", ["1" * 40, "1"]),
            (["1", "2.5"], "float8", [1.0, 2.5]),
            (["1.5", "nan", "2"], "float8", [1.5, None, 2.0]),
            (["0.30000000000000004", "1e5", "-.5"], "float8", [0.30000000000000004, 1e5, -0.5]),
            (["0.12345678901234567890", "1"], "numeric", [decimal.Decimal("0.12345678901234567890"), decimal.Decimal(1)]),
            (["1.5", "0.12345678901234567890"], "numeric", [decimal.Decimal("1.5"), decimal.Decimal("0.12345678901234567890")]),
            (["true", "False", ""], "bool", [True, False, None]),
            (["true", "1"], "text", ["true", "1"]),
            (["yes", "no"], "text", ["yes", "no"]),
            (["NA", "DE", ""], "text", ["NA", "DE", None]),
            (["2024-02-29", ""], "date", [date(2024, 2, 29), None]),
            (["2024-02-30", ""], "text", ["2024-02-30", None]),
            (["0000-01-01", "2024-01-01"], "text", ["0000-01-01", "2024-01-01"]),
            (["31.12.2024", "1.1.2025"], "date", [date(2024, 12, 31), date(2025, 1, 1)]),
            (["02/28/2024", "01/02/2024"], "date", [date(2024, 2, 28), date(2024, 1, 2)]),
            (["01/02/2024", "28/02/2024"], "date", [date(2024, 2, 1), date(2024, 2, 28)]),
            (["01/02/2024", "03/04/2024"], "text", ["01/02/2024", "03/04/2024"]),
            (["2024-01-01", "2024-01-01 10:00"], "timestamp", [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, 10)]),
            (["2024-01-01T10:00:00.123456"], "timestamp", [datetime.datetime(2024, 1, 1, 10, 0, 0, 123456)]),
            (["2024-01-01T10:00:00.123456789"], "text", ["2024-01-01T10:00:00.123456789"]),
            (["2024-01-01 10:00:00+02:00"], "timestamptz", [datetime.datetime(2024, 1, 1, 8, tzinfo=datetime.timezone.utc)]),
            (["2024-01-01", "soon"], "text", ["2024-01-01", "soon"]),
            (["12:30", "13:00"], "text", ["12:30", "13:00"]),
            (["1,234", "2"], "text", ["1,234", "2"]),
            (["", ""], "text", [None, None]),
        ):
            with self.subTest(cells=cells):
                self.assertEqual(self.one(*cells), (kind, got))

    def test_the_last_row_counts(self):
        rows = [str(number) for number in range(60_000)]
        self.assertEqual(self.one(*rows, "A1")[0], "text")
        self.assertEqual(self.one(*rows, "00001")[0], "text")
        self.assertEqual(self.one(*rows, "0.5")[0], "float8")
        self.assertEqual(self.one(*rows, "")[0], "int8")
        text = "c,other\n" + "1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" * 200_000 + "x,b\n"  # two blocks
        self.assertEqual(types_of(opened(text))[0], "text")

    def test_quotes_and_lines(self):
        table = opened('a,b\n"x, ""y""\nz",1\n"","2"\n')
        self.assertEqual(values(table), [['x, "y"\nz', 1], [None, 2]])
        self.assertEqual(copied(table), '"x, ""y""\nz",1\n,2\n')

    def test_ragged_rows(self):
        table = opened("a,b,c\n1,2,3\n4\n5,6,7,\n")
        self.assertEqual(values(table), [[1, 2, 3], [4, None, None], [5, 6, 7]])
        self.assertIn("1 rows have fewer fields", table.notes[0])
        with self.assertRaisesRegex(tableformats.FormatError, "Line 3 has 3 fields, the header has 2"):
            opened("a,b\n1,2\n1,2,3\n")

    def test_names(self):
        table = opened("a,a,,a_2\n1,2,3,4\n")
        self.assertEqual(names_of(table), ["a", "a_3", "column_3", "a_2"])
        self.assertIn("made unique", table.notes[0])
        long = "x" * 70
        self.assertEqual([one["name"] for one in tablecopy.described(opened(f"{long},{long}y\n1,2\n"))["columns"]], ["x" * 63, "x" * 61 + "_2"])

    def test_delimiters(self):
        for text, given in (("a;b\n1,5;2\n", None), ("a;b\n1,5;2\n", ","), ("a\tb\n1,5\t2\n", "\\t"), ("a|b\n1,5|2\n", "|")):
            with self.subTest(text=text, given=given):
                table = opened(text, delimiter=given)
                self.assertEqual(values(table), [[1.5, 2]])
        with self.assertRaisesRegex(tableformats.FormatError, "is no delimiter"):
            opened("a,b\n", delimiter="::")
        self.assertEqual(values(opened("a\n1\n2\n")), [[1], [2]])

    def test_encodings(self):
        text = "name,n\nMüller,1\n"
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
            with self.subTest(encoding=encoding):
                self.assertEqual(values(opened(text.encode(encoding))), [["Müller", 1]])
                self.assertEqual(names_of(opened(text.encode(encoding))), ["name", "n"])
        cyrillic = "имя,город\nИван Петрович,Москва\nМария Ивановна,Санкт-Петербург\n"
        self.assertEqual(values(opened(cyrillic.encode("cp1251"), encoding="cp1251"))[0], ["Иван Петрович", "Москва"])
        with self.assertRaises(tableformats.FormatError) as caught:
            opened(text.encode("cp1252"), encoding="utf-8")
        self.assertIn("looks like cp1252", str(caught.exception))
        self.assertIn("encoding='cp1252'", caught.exception.hint)
        with self.assertRaisesRegex(tableformats.FormatError, "no encoding 'klingon'"):
            opened(text, encoding="klingon")

    def test_nul_characters_are_left_out(self):
        table = opened("a,b\nx\0y,1\n")
        self.assertEqual(values(table), [["xy", 1]])
        self.assertIn("NUL", table.notes[0])

    def test_compressed(self):
        self.assertEqual(values(opened(gzip.compress(b"a,b\n1,2\n"), "x.csv.gz")), [[1, 2]])

    def test_empty_files(self):
        for content in (b"", b"  \n\n"):
            with self.assertRaisesRegex(tableformats.FormatError, "empty"):
                opened(content)
        table = opened("a,b\n")
        self.assertEqual((names_of(table), values(table)), (["a", "b"], []))

    def test_long_cells(self):
        long = "z" * (5 << 20)
        self.assertEqual(values(opened(f"a,b\n{long},1\n")), [[long, 1]])


class Workbooks(unittest.TestCase):
    @staticmethod
    def book(sheets):
        import openpyxl

        made = openpyxl.Workbook()
        made.remove(made.active)
        for name, rows in sheets.items():
            sheet = made.create_sheet(name)
            for row in rows:
                sheet.append(row)
        out = io.BytesIO()
        made.save(out)
        return out.getvalue()

    def test_types(self):
        day, time = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 10, 30)
        data = self.book({"One": [["id", "price", "code", "day", "at", "ok", "mixed"], [1, 1.5, "00123", day, time, True, 5],
                                  [2, 2, "7", day, time, False, "x"], [None, None, None, None, None, None, None], [3, None, None, None, None, None, 2.5]]})
        table = opened(data, "b.xlsx")
        self.assertEqual(types_of(table), ["int8", "float8", "text", "date", "timestamp", "bool", "text"])
        self.assertEqual(values(table), [[1, 1.5, "00123", day, time, True, "5"], [2, 2.0, "7", day, time, False, "x"],
                                         [3, None, None, None, None, None, "2.5"]])
        self.assertIn("mixes number and text", " ".join(table.notes))

    def test_sheets(self):
        data = self.book({"First": [["a"], [1]], "Second": [["b"], [2]], "Empty": []})
        self.assertEqual(names_of(opened(data, "b.xlsx")), ["a"])
        self.assertIn("'Second'", opened(data, "b.xlsx").notes[0])
        self.assertEqual(names_of(opened(data, "b.xlsx", sheet_name="second")), ["b"])
        self.assertEqual(names_of(opened(data, "b.xlsx", sheet_name="1")), ["b"])
        with self.assertRaises(tableformats.FormatError) as caught:
            opened(data, "b.xlsx", sheet_name="Third")
        self.assertIn("it has 'First', 'Second', 'Empty'", str(caught.exception))
        self.assertIn("sheet_name='First'", caught.exception.hint)
        with self.assertRaisesRegex(tableformats.FormatError, "'Empty' is empty"):
            opened(data, "b.xlsx", sheet_name="Empty")

    def test_content_decides(self):
        data = self.book({"One": [["a"], [1]]})
        table = opened(data, "b.csv")
        self.assertEqual((table.format, values(table)), ("xlsx", [[1]]))
        self.assertIn("the name says csv", " ".join(table.notes))
        self.assertEqual(opened("a,b\n1,2\n", "b.xlsx").format, "csv")
        for content, text in ((b"<!DOCTYPE html><html>", "HTML page"), (b"PK\x03\x04broken", "cannot be read"), (b"\x7fELF\0\0\0", "begins with"),
                              (b"Hello", "content is not that")):
            with self.subTest(content=content), self.assertRaisesRegex(tableformats.FormatError, text):
                opened(content, "b.xlsx")


class Pdf(unittest.TestCase):
    @staticmethod
    def document(*pages):
        from reportlab.lib.pagesizes import A4
        from reportlab.platypus import PageBreak, SimpleDocTemplate, Spacer, Table

        out = io.BytesIO()
        story = []
        for tables in pages:
            for rows in tables:
                story += [Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, "black")]), Spacer(1, 30)]
            story.append(PageBreak())
        SimpleDocTemplate(out, pagesize=A4).build(story)
        return out.getvalue()

    def test_tables(self):
        head = ["vendor", "amount", "date"]
        data = self.document([[head, ["Acme", "1.50", "2024-01-31"], ["Globex", "2", "2024-02-01"]]],
                             [[["Initech", "3.25", "2024-03-01"]]],
                             [[head, ["Hooli", "4", "2024-04-01"]], [["city", "n"], ["Bonn", "007"]]])
        table = opened(data, "x.pdf")
        self.assertEqual((table.format, names_of(table)), ("pdf", head + ["city", "n"]))
        self.assertEqual(types_of(table), ["text", "float8", "date", "text", "text"])
        self.assertEqual([row[0] for row in values(table)], ["Acme", "Globex", "Initech", "Hooli", None])
        self.assertEqual([row[0] for row in values(opened(data, "x.pdf", pdf_pages="1,3"))], ["Acme", "Globex", "Hooli", None])
        self.assertEqual(len(values(opened(data, "x.pdf", pdf_pages="1-2"))), 3)
        for pages, text in (("9", "no page 9: the document has 3"), ("one", "no list of pages")):
            with self.assertRaisesRegex(tableformats.FormatError, text):
                opened(data, "x.pdf", pdf_pages=pages)

    def test_without_tables(self):
        from reportlab.pdfgen import canvas

        out = io.BytesIO()
        page = canvas.Canvas(out)
        page.drawString(100, 100, "nothing but text")
        page.save()
        with self.assertRaisesRegex(tableformats.FormatError, "No tables were found"):
            opened(out.getvalue(), "x.pdf")


class Json(unittest.TestCase):
    def test_shapes(self):
        expected = [[1, "x"], [2, None]]
        records = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
        for shape in (records, {"a": [1, 2], "b": ["x", None]}, {"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": None}},
                      {"0": records[0], "1": records[1]}, {"columns": ["a", "b"], "index": [0, 1], "data": expected}, {"n": 2, "rows": records}):
            with self.subTest(shape=shape):
                table = opened(json.dumps(shape), "x.json")
                self.assertEqual((names_of(table), values(table)), (["a", "b"], expected))
        for name in ("x.jsonl", "x.json"):
            self.assertEqual(values(opened("\n".join(map(json.dumps, records)), name)), expected)

    def test_types(self):
        table = opened(json.dumps([{"id": 1, "o": {"p": 1.5, "q": {"r": True}}, "l": [1, {"z": None}], "d": "2024-01-01", "code": "00123", "big": 2**70},
                                   {"id": 2, "new": "n\0ul", "d": None}]), "x.json")
        self.assertEqual(names_of(table), ["id", "o.p", "o.q.r", "l", "d", "code", "big", "new"])
        self.assertEqual(types_of(table), ["int8", "float8", "bool", "jsonb", "date", "text", "numeric", "text"])
        self.assertEqual(copied(table), f'1,1.5,true,"[1, {{""z"": null}}]",2024-01-01,"00123",{2**70},\n2,,,,,,,"nul"\n')

    def test_errors(self):
        for text, message in (('{"a": [1,', "no JSON"), ("[]", "no records"), ('{"a":1}\n{"b', "Line 2"), ('[{"a":1}', "no JSON")):
            with self.subTest(text=text), self.assertRaisesRegex(tableformats.FormatError, message):
                opened(text, "x.jsonl" if text.count("\n") else "x.json")


class Parquet(unittest.TestCase):
    def test_types(self):
        import pyarrow as pa
        import pyarrow.parquet as parquet

        time = datetime.datetime(2024, 1, 1, 10)
        source = pa.table({
            "i": pa.array([1, None], pa.int16()), "u": pa.array([2**64 - 1, None], pa.uint64()), "f": pa.array([float("nan"), 1.5]),
            "d": pa.array([decimal.Decimal("1.10"), None]), "t": pa.array([time, None], pa.timestamp("ns")), "z": pa.array([time, None], pa.timestamp("ms", "Europe/Berlin")),
            "cat": pa.array(["x", None]).dictionary_encode(), "bin": pa.array([b"\x00\xff", None]), "l": pa.array([[1, 2], None]),
            "s": pa.array([{"a": float("nan"), "b": "x\0"}, None]), "n": pa.nulls(2), "x": pa.array(["", "q\0"])})
        out = io.BytesIO()
        parquet.write_table(source, out)
        table = opened(out.getvalue(), "x.pq")
        self.assertEqual(types_of(table), ["int8", "numeric", "float8", "numeric", "timestamp", "timestamptz", "text", "bytea", "jsonb", "jsonb", "text", "text"])
        self.assertEqual(copied(table), f'1,{2**64 - 1},,1.10,2024-01-01 10:00:00.000000,2024-01-01 10:00:00.000000Z,"x","\\x00ff","[1, 2]",'
                                        '"{""a"": null, ""b"": ""x""}",,""\n,,1.5,,,,,,,,,"q"\n')

    def test_damaged(self):
        with self.assertRaisesRegex(tableformats.FormatError, "Parquet file cannot be read"):
            opened(b"PAR1 and no more", "x.parquet")


class Paths(unittest.TestCase):
    def test_path(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "t.tsv")
            with open(path, "w") as file:
                file.write("a\tb\n1\t2\n")
            table = tableformats.open_table(path)
            self.assertEqual((table.format, values(table)), ("tsv", [[1, 2]]))


if __name__ == "__main__":
    unittest.main()
