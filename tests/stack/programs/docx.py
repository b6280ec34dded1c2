# A document with a heading, a table and a picture; written and read again.
from docx import Document
from docx.shared import Inches
from PIL import Image

Image.new("RGB", (40, 20), "navy").save("logo.png")
document = Document()
document.add_heading("Report", level=1)
document.add_paragraph("Plain and ").add_run("bold").bold = True
table = document.add_table(rows=1, cols=2)
table.rows[0].cells[0].text, table.rows[0].cells[1].text = "name", "value"
row = table.add_row().cells
row[0].text, row[1].text = "größe", "42"
document.add_picture("logo.png", width=Inches(1))
document.core_properties.author = "Ada"
document.save("report.docx")

back = Document("report.docx")
assert [p.text for p in back.paragraphs][:2] == ["Report", "Plain and bold"]
assert back.paragraphs[0].style.name == "Heading 1" and back.paragraphs[1].runs[1].bold
assert [[c.text for c in r.cells] for r in back.tables[0].rows] == [["name", "value"], ["größe", "42"]]
assert len(back.inline_shapes) == 1 and back.core_properties.author == "Ada"
print("stack ok")
