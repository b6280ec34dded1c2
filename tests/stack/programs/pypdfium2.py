# A PDF rendered to pixels and its text searched.
import numpy as np
import pypdfium2 as pdfium
from reportlab.pdfgen import canvas

paper = canvas.Canvas("p.pdf", pagesize=(200, 100))
paper.setFillColorRGB(1, 0, 0)
paper.rect(0, 0, 100, 100, stroke=0, fill=1)
paper.setFillColorRGB(0, 0, 0)
paper.drawString(120, 50, "needle")
paper.save()

pdf = pdfium.PdfDocument("p.pdf")
assert len(pdf) == 1 and pdf[0].get_size() == (200, 100)
text = pdf[0].get_textpage()
assert text.get_text_range().strip() == "needle"
assert text.search("needle").get_next() == (0, 6)

image = pdf[0].render(scale=2).to_pil().convert("RGB")
assert image.size == (400, 200)
pixels = np.asarray(image)
assert tuple(pixels[100, 100]) == (255, 0, 0) and tuple(pixels[20, 390]) == (255, 255, 255)
image.save("p.png")
print("stack ok")
