# Fast reading of workbooks, by itself and as an engine of pandas.
import datetime

import pandas as pd
from python_calamine import CalamineWorkbook

frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-02", "2026-01-03"]), "n": [1.5, 2.5], "name": ["Ä", "b"]})
frame.to_excel("book.xlsx", index=False, sheet_name="One")

book = CalamineWorkbook.from_path("book.xlsx")
assert book.sheet_names == ["One"]
rows = book.get_sheet_by_name("One").to_python()
assert rows[0] == ["day", "n", "name"]
assert rows[1][1:] == [1.5, "Ä"] and str(rows[1][0])[:10] == "2026-01-02"
assert isinstance(rows[1][0], (datetime.date, datetime.datetime))

again = pd.read_excel("book.xlsx", engine="calamine")
assert (again == frame).all().all()
print("stack ok")
