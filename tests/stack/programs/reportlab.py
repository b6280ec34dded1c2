# A PDF of several pages with a table, a chart and a font with other letters than Latin-1.
from pypdfium2 import PdfDocument
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.shapes import Drawing
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

pdfmetrics.registerFont(TTFont("DejaVu", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"))
style = getSampleStyleSheet()["Normal"]
style.fontName = "DejaVu"
drawing = Drawing(300, 120)
chart = VerticalBarChart()
chart.x, chart.y, chart.width, chart.height = 30, 20, 250, 90
chart.data = [(13, 5, 20)]
drawing.add(chart)
SimpleDocTemplate("r.pdf", pagesize=A4, title="Report").build([
    Paragraph("Žluťoučký kůň costs 5 €", style), Table([["a", "b"], [1, 2]]), drawing,
    PageBreak(), Paragraph("second page", style)])

pdf = PdfDocument("r.pdf")
assert len(pdf) == 2 and pdf.get_metadata_value("Title") == "Report"
assert tuple(round(v) for v in pdf[0].get_size()) == (595, 842)
assert "Žluťoučký kůň costs 5 €" in pdf[0].get_textpage().get_text_range()
assert "second page" in pdf[1].get_textpage().get_text_range()
print("stack ok")
