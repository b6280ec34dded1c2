# A workbook with formulas, formats and a chart; written and read again, also through pandas.
import pandas as pd
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font

book = Workbook()
sheet = book.active
sheet.title = "Sales"
sheet.append(["shop", "amount"])
for row in (("north", 10), ("south", 32)):
    sheet.append(row)
sheet["A1"].font = Font(bold=True)
sheet["B4"] = "=SUM(B2:B3)"
chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
sheet.add_chart(chart, "D2")
book.save("sales.xlsx")

back = load_workbook("sales.xlsx")["Sales"]
assert back["A1"].font.bold and back["B4"].value == "=SUM(B2:B3)"
assert [c.value for c in back[3]] == ["south", 32]

pd.DataFrame({"a": [1, 2]}).to_excel("frame.xlsx", index=False, sheet_name="one")
with pd.ExcelWriter("frame.xlsx", engine="openpyxl", mode="a") as writer:
    pd.DataFrame({"b": [3]}).to_excel(writer, index=False, sheet_name="two")
sheets = pd.read_excel("frame.xlsx", sheet_name=None)
assert list(sheets) == ["one", "two"] and sheets["one"]["a"].sum() == 3 and sheets["two"]["b"].item() == 3
print("stack ok")
