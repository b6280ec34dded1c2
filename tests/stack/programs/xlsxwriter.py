# A workbook with a format, a formula and a chart; read again by openpyxl.
import pandas as pd
import xlsxwriter
from openpyxl import load_workbook

with xlsxwriter.Workbook("report.xlsx") as book:
    sheet = book.add_worksheet("Data")
    money = book.add_format({"num_format": "#,##0.00", "bold": True})
    sheet.write_row(0, 0, ["name", "value"])
    for i, value in enumerate([1.5, 2.25, 3.0], 1):
        sheet.write(i, 0, f"row {i}")
        sheet.write_number(i, 1, value, money)
    sheet.write_formula("B5", "=SUM(B2:B4)", money, 6.75)
    chart = book.add_chart({"type": "line"})
    chart.add_series({"values": "=Data!$B$2:$B$4"})
    sheet.insert_chart("D2", chart)

assert load_workbook("report.xlsx")["Data"]["B5"].value == "=SUM(B2:B4)"
values = load_workbook("report.xlsx", data_only=True)["Data"]
assert values["B5"].value == 6.75 and values["B2"].number_format == "#,##0.00"

pd.DataFrame({"x": range(1000)}).to_excel("big.xlsx", engine="xlsxwriter", index=False)
assert pd.read_excel("big.xlsx")["x"].sum() == 499_500
print("stack ok")
