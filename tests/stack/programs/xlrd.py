# The old .xls format: a worksheet in BIFF2 made by hand (a number and a text), read again.
import struct

import xlrd


def record(kind, data):
    return struct.pack("<HH", kind, len(data)) + data


cell = b"\0\0\0"
book = (record(0x0009, struct.pack("<HH", 2, 0x10))
        + record(0x0003, struct.pack("<HH", 0, 0) + cell + struct.pack("<d", 42.5))
        + record(0x0004, struct.pack("<HH", 1, 0) + cell + b"\x05hello")
        + record(0x000A, b""))
with open("old.xls", "wb") as file:
    file.write(book)

sheet = xlrd.open_workbook("old.xls").sheet_by_index(0)
assert (sheet.nrows, sheet.ncols) == (2, 1)
assert sheet.cell_value(0, 0) == 42.5 and sheet.cell_value(1, 0) == "hello"
assert xlrd.xldate_as_datetime(45000, 0).date().isoformat() == "2023-03-15"
print("stack ok")
