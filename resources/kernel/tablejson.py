"""JSON as a table: a list of records, an object of columns, records inside of an object, or one record a line."""
import itertools
import json

import pyarrow as pa

from power_kernel.tabletypes import JSON, ValueColumn

ROWS = 10_000
MAX_COLUMNS = 20_000


def flat(record, prefix="", into=None):
    """Objects inside of a record become columns a.b; lists stay."""
    into = {} if into is None else into
    for name, value in record.items():
        if isinstance(value, dict) and value:
            flat(value, prefix + name + ".", into)
        else:
            into[prefix + name] = value
    return into


def number(text):
    """A JSON number with a fraction: a double, or the digits themselves where it would lose some."""
    return float(text)


class Json:
    def __init__(self, file, lines, notes, fail):
        self.file, self.fail = file, fail
        self.records = None
        if not lines:
            self.records = self.whole(notes)
        self.index, self.columns, self.rows = {}, [], 0
        for piece in self.pieces():
            for record in piece:
                for name in record:
                    if name not in self.index:
                        self.index[name] = len(self.columns)
                        column = ValueColumn(dates=True)
                        column.late = self.rows  # missing in the records before
                        self.columns.append(column)
            if len(self.columns) > MAX_COLUMNS:
                raise fail(f"The records have more than {MAX_COLUMNS:,} different keys.", "Keys that are values belong into rows: reshape the file in execute_code.")
            for name, at in self.index.items():
                self.columns[at].feed([record.get(name) for record in piece])
            self.rows += len(piece)
        self.header = list(self.index)
        if not self.header:
            raise fail("There are no records in the file.", "Expected are a list of objects, an object of lists, or one object a line.")
        for name, column in zip(self.header, self.columns):
            column.nulls += column.late
            column.settle(name)

    def whole(self, notes):
        self.file.seek(0)
        data = self.file.read()
        try:
            value = json.loads(data, parse_float=number)
        except (ValueError, RecursionError) as error:
            if b"\n" in data.strip():
                try:
                    for line in data.splitlines()[:3]:
                        if line.strip() and not isinstance(json.loads(line), dict):
                            raise ValueError
                    return None  # one record a line
                except ValueError:
                    pass
            raise self.fail(f"The file is no JSON: {error}.", "Check that it was written and downloaded completely.") from None
        return self.records_of(value, notes)

    def records_of(self, value, notes):
        if isinstance(value, dict) and value:
            if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list) and all(isinstance(row, list) for row in value["data"]):
                return [dict(zip(map(str, value["columns"]), row)) for row in value["data"]]
            values = list(value.values())
            if all(isinstance(one, list) and not (one and isinstance(one[0], dict)) for one in values) and len({len(one) for one in values}) == 1:
                return [dict(zip(value, row)) for row in zip(*values)]
            if len(values) > 0 and all(isinstance(one, dict) for one in values):
                keys = list(values[0])
                if keys and all(list(one) == keys for one in values) and not any(isinstance(cell, (dict, list)) for one in values for cell in one.values()):
                    if all(key.isdigit() for key in keys):  # {"column": {"0": value}}, as pandas writes
                        return [{name: one[key] for name, one in value.items()} for key in keys]
                    if all(key.isdigit() for key in value):  # {"0": {"column": value}}
                        return values
            lists = [name for name, one in value.items() if isinstance(one, list) and one and all(isinstance(row, dict) for row in one)]
            if len(lists) == 1:
                notes.append(f"The records are those of {lists[0]!r}; other keys of the file were left out." if len(value) > 1 else f"The records are those of {lists[0]!r}.")
                return value[lists[0]]
            if len(lists) > 1:
                raise self.fail(f"The file has several lists of records: {', '.join(map(repr, lists[:20]))}.", "Write the one you mean to a file of its own in execute_code.")
            return [value]
        if isinstance(value, list):
            if all(isinstance(row, dict) for row in value):
                return value
            if value and all(isinstance(row, list) for row in value):
                return [dict(zip(map(str, value[0]), row)) for row in value[1:]]
            return [{"value": row} if not isinstance(row, dict) else row for row in value]
        raise self.fail("The file's JSON is no table.", "Expected are a list of objects, an object of lists, or one object a line.")

    def lines(self):
        self.file.seek(0)
        for number_, line in enumerate(self.file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line.removeprefix(b"\xef\xbb\xbf"), parse_float=number)
            except (ValueError, RecursionError) as error:
                raise self.fail(f"Line {number_:,} is no JSON: {error}.", "Every line has to be one object.") from None
            yield record if isinstance(record, dict) else {"value": record}

    def pieces(self):
        records = iter(self.records) if self.records is not None else self.lines()
        while piece := list(itertools.islice(records, ROWS)):
            yield [flat(record) for record in piece]

    def field(self, index, name):
        column = self.columns[index]
        return pa.field(name, column.type, metadata=JSON if column.kind == "json" else None)

    def batches(self, schema):
        for piece in self.pieces():
            yield pa.RecordBatch.from_arrays(
                [column.convert([record.get(name) for record in piece]) for name, column in zip(self.header, self.columns)], schema=schema)
