# Text and a table out of a PDF.
import pdfplumber
from reportlab.lib import colors
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle
from reportlab.lib.styles import getSampleStyleSheet

table = Table([["item", "price"], ["apple", "1.20"], ["pear", "3.40"]])
table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 1, colors.black)]))
SimpleDocTemplate("bill.pdf").build([Paragraph("Invoice 4711", getSampleStyleSheet()["Title"]), table])

with pdfplumber.open("bill.pdf") as pdf:
    assert len(pdf.pages) == 1
    page = pdf.pages[0]
    assert page.extract_text().startswith("Invoice 4711")
    assert page.extract_table() == [["item", "price"], ["apple", "1.20"], ["pear", "3.40"]]
    assert [w["text"] for w in page.extract_words()][:2] == ["Invoice", "4711"]
    page.to_image(resolution=50).save("bill.png")
assert open("bill.png", "rb").read(4) == b"\x89PNG"
print("stack ok")
