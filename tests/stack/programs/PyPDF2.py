# Pages of PDFs counted, read, merged and encrypted.
from PyPDF2 import PdfMerger, PdfReader, PdfWriter
from reportlab.pdfgen import canvas

for name, words in (("a.pdf", ["first page", "second page"]), ("b.pdf", ["third page"])):
    paper = canvas.Canvas(name)
    for word in words:
        paper.drawString(100, 700, word)
        paper.showPage()
    paper.save()

assert [page.extract_text().strip() for page in PdfReader("a.pdf").pages] == ["first page", "second page"]

merger = PdfMerger()
merger.append("a.pdf")
merger.append("b.pdf")
merger.write("all.pdf")
merger.close()
assert len(PdfReader("all.pdf").pages) == 3

writer = PdfWriter()
writer.add_page(PdfReader("all.pdf").pages[2].rotate(90))
writer.add_metadata({"/Title": "Third"})
writer.encrypt("secret")
with open("locked.pdf", "wb") as file:
    writer.write(file)
locked = PdfReader("locked.pdf")
assert locked.is_encrypted and locked.decrypt("secret")
assert locked.pages[0].extract_text().strip() == "third page" and locked.metadata.title == "Third"
print("stack ok")
