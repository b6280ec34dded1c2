# Pages of HTML taken apart, with each parser that is there.
from bs4 import BeautifulSoup

page = """<html><body><h1>Prices</h1><table id="t"><tr><th>item</th><th>price</th></tr>
<tr class="row"><td>apple</td><td>1.20</td></tr><tr class="row"><td>pear</td><td>3.40</td></tr></table>
<a href="/next?page=2">next</a><p>broken <b>markup</p></body></html>"""
for parser in ("html.parser", "lxml"):
    soup = BeautifulSoup(page, parser)
    assert soup.h1.get_text() == "Prices"
    rows = [[td.get_text() for td in tr.find_all("td")] for tr in soup.select("#t tr.row")]
    assert rows == [["apple", "1.20"], ["pear", "3.40"]]
    assert soup.find("a")["href"] == "/next?page=2"
    assert soup.p.b.get_text(strip=True) == "markup"
    soup.h1.string = "Changed"
    assert "<h1>Changed</h1>" in str(soup)
print("stack ok")
