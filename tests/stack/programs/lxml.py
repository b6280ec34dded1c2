# XML and HTML: XPath, namespaces, a transformation, a schema; tables through pandas.
import io

import pandas as pd
from lxml import etree, html

root = etree.fromstring(b'<shop xmlns:x="urn:x"><item x:id="1">pen</item><item x:id="2">ink</item></shop>')
assert root.xpath("//item[@x:id='2']/text()", namespaces={"x": "urn:x"}) == ["ink"]
etree.SubElement(root, "item").text = "pad"
etree.ElementTree(root).write("shop.xml", xml_declaration=True, encoding="utf-8")
assert len(etree.parse("shop.xml").findall("item")) == 3

style = etree.XSLT(etree.XML(
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>'
    '<xsl:template match="/"><xsl:value-of select="count(//item)"/></xsl:template></xsl:stylesheet>'))
assert str(style(root)).strip() == "3"
schema = etree.XMLSchema(etree.XML(
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="n" type="xs:int"/></xs:schema>'))
assert schema.validate(etree.XML("<n>5</n>")) and not schema.validate(etree.XML("<n>five</n>"))

page = html.fromstring("<p>See <a href='a.html'>A</a>")
assert [link[2] for link in page.iterlinks()] == ["a.html"]
tables = pd.read_html(io.StringIO("<table><tr><th>n</th></tr><tr><td>7</td></tr></table>"))
assert tables[0]["n"].item() == 7
print("stack ok")
