# Poppler's programs render a PDF.
import numpy as np
from pdf2image import convert_from_path, pdfinfo_from_path
from reportlab.pdfgen import canvas

paper = canvas.Canvas("two.pdf", pagesize=(144, 72))
for color in ((0, 0, 1), (0, 1, 0)):
    paper.setFillColorRGB(*color)
    paper.rect(0, 0, 72, 72, stroke=0, fill=1)
    paper.showPage()
paper.save()

assert pdfinfo_from_path("two.pdf")["Pages"] == 2
pages = convert_from_path("two.pdf", dpi=72)
assert [page.size for page in pages] == [(144, 72), (144, 72)]
assert tuple(np.asarray(pages[0])[36, 20]) == (0, 0, 255)
assert tuple(np.asarray(pages[1])[36, 20]) == (0, 255, 0)
assert tuple(np.asarray(pages[1])[36, 120]) == (255, 255, 255)
names = convert_from_path("two.pdf", dpi=36, fmt="png", output_folder=".", paths_only=True, thread_count=2)
assert len(names) == 2
print("stack ok")
