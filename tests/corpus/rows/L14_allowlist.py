# timeout: 200
# expect: all imported
import matplotlib, seaborn, plotly, scipy, sklearn, statsmodels.api, openpyxl, xlsxwriter, pdfplumber, reportlab
import tabulate, docx, lxml.etree, xml, zipfile, requests, urllib, PIL.Image, pytesseract, pdf2image, pypdfium2
print('all imported')
