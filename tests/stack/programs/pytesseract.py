# Tesseract reads a picture of text.
import pytesseract
from PIL import Image, ImageDraw, ImageFont

font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 40)
image = Image.new("RGB", (700, 160), "white")
draw = ImageDraw.Draw(image)
draw.text((20, 20), "Invoice number 4711", fill="black", font=font)
draw.text((20, 90), "Total 123.45 EUR", fill="black", font=font)
image.save("scan.png")

text = pytesseract.image_to_string(Image.open("scan.png"))
assert "Invoice number 4711" in text and "Total 123.45 EUR" in text, text
words = pytesseract.image_to_data("scan.png", output_type=pytesseract.Output.DICT)
assert "4711" in words["text"]
assert "eng" in pytesseract.get_languages()
print("stack ok")
