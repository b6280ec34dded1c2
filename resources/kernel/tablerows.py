"""Rows of a persistent dataset, as the server copies them into a file of the session (PostgreSQL's COPY, CSV with a header),
as Arrow data: the types are the database's. For the forked child."""
import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.dataset as arrow_dataset

from power_kernel.tabletypes import DECIMAL_DIGITS, JSON, TIME, ZONED, TextColumn

TYPES = {"bigint": pa.int64(), "integer": pa.int64(), "smallint": pa.int64(), "double precision": pa.float64(), "real": pa.float64(),
         "boolean": pa.bool_(), "date": pa.date32(), "timestamp without time zone": TIME, "timestamp with time zone": ZONED}
PARSE = arrow_csv.ParseOptions(newlines_in_values=True)


def opened(path, fields):
    options = arrow_csv.ConvertOptions(column_types={field.name: field.type for field in fields}, true_values=["t"], false_values=["f"],
                                       null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)
    return arrow_dataset.dataset(path, format=arrow_dataset.CsvFileFormat(parse_options=PARSE, convert_options=options), schema=pa.schema(fields))


def type_of(word):
    fixed = re.fullmatch(r"numeric\((\d+),(\d+)\)", word)
    if fixed and int(fixed[1]) <= DECIMAL_DIGITS:
        return pa.decimal128(int(fixed[1]), int(fixed[2]))
    return TYPES.get(word, pa.string())


def dataset(rows):
    """pyarrow.dataset over {"file", "columns"}; scanned as often as needed, never whole in memory. Its schema marks JSON."""
    fields, open_ends = [], []
    for column in rows["columns"]:
        word = column["type"]
        fields.append(pa.field(column["name"], type_of(word), metadata=JSON if word in ("json", "jsonb") else None))
        if word.startswith("numeric") and fields[-1].type == pa.string():
            open_ends.append(len(fields) - 1)
        # Times that no calendar of ours has: infinity, years before Christ.
    made = opened(rows["file"], fields)
    for index in open_ends:
        fields[index] = fields[index].with_type(number_type(made, index))
    return opened(rows["file"], fields) if open_ends else made


def number_type(data, index):
    """Of a column `numeric`: what holds all its values exactly, else a double."""
    name = data.schema.field(index).name
    column = TextColumn(only=("int", "big", "decimal"))
    for batch in data.to_batches(columns=[name]):
        values = batch.column(0)
        column.feed(pc.if_else(pc.equal(values, "NaN"), pa.scalar(None, pa.string()), values))
    return column.type if column.kind in ("int", "big", "decimal") else pa.float64()
