"""A plotly figure as PNG, JPEG, WebP, SVG or PDF: the same plotly.js that the page in an .html file runs."""
import base64
import importlib.util
import json
import os
import time

from power_kernel.browser import Browser, BrowserError

FORMATS = ("png", "jpeg", "webp", "svg", "pdf")
MAX_SIDE = 10_000
MAX_PIXELS = 40_000_000  # 160 MB as RGBA

# Opaque origin and no source but what is inside of the figure: neither files nor the network can be named.
PAGE = (
    "<!doctype html><html><head><meta charset='utf-8'><meta http-equiv='Content-Security-Policy' content=\""
    "default-src 'none'; script-src 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "worker-src blob:\"><style>@page{margin:0}body{margin:0}img{display:block}</style></head><body></body></html>"
)

# Sizes as plotly's own export: an argument, else the layout's, else 700 x 500.
DRAW = """(async () => {
  const figure = %s, wanted = %s;
  const layout = figure.layout || {};
  const width = wanted.width || layout.width || 700, height = wanted.height || layout.height || 500;
  if (!(width >= 1 && height >= 1 && width <= wanted.side && height <= wanted.side
        && width * height * wanted.scale * wanted.scale <= wanted.pixels))
    throw new Error(`a picture of ${width} x ${height} at scale ${wanted.scale} is too large`);
  const format = wanted.format === 'pdf' ? 'svg' : wanted.format;
  const url = await Plotly.toImage({data: figure.data || [], layout, frames: figure.frames, config: figure.config},
    {format, width, height, scale: wanted.format === 'svg' || wanted.format === 'pdf' ? 1 : wanted.scale, imageDataOnly: false});
  if (wanted.format !== 'pdf') return url;
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  picture.width = width; picture.height = height;
  document.body.replaceChildren(picture);
  return `${width} ${height}`;
})()"""


def library():
    """Text of the plotly.js that plotly's wheel carries."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise BrowserError("plotly is not installed.")
    with open(os.path.join(found.submodule_search_locations[0], "package_data", "plotly.min.js"), encoding="utf-8") as file:
        return file.read()


def decode(url):
    head, _, body = url.partition(",")
    if head.endswith(";base64"):
        return base64.b64decode(body)
    from urllib.parse import unquote

    return unquote(body).encode()


class Painter:
    """A browser with plotly.js in its page, ready for one figure."""

    def __init__(self, home, seconds):
        self.browser = Browser(home, seconds)
        self.browser.open_page()
        frame = self.browser.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.browser.call("Page.setDocumentContent", frameId=frame, html=PAGE)
        self.browser.evaluate(library() + "\n;0")

    def limit(self, seconds):
        """From now on."""
        self.browser.ends = time.monotonic() + seconds

    def draw(self, figure, format, width=None, height=None, scale=None):
        """Bytes of the picture. figure: JSON text, hostile."""
        figure = json.dumps(json.loads(figure))  # becomes an expression in the page: it must be data and nothing else
        wanted = {"format": format, "width": width, "height": height, "scale": scale or 1, "side": MAX_SIDE, "pixels": MAX_PIXELS}
        answer = self.browser.evaluate(DRAW % (figure, json.dumps(wanted)))
        if format != "pdf":
            return decode(answer)
        width, height = map(float, answer.split())
        # Inches at 96 pixels; one more pixel so that rounding does not make a second page.
        printed = self.browser.call("Page.printToPDF", printBackground=True, paperWidth=(width + 1) / 96, paperHeight=(height + 1) / 96,
                                    marginTop=0, marginBottom=0, marginLeft=0, marginRight=0, pageRanges="1")
        return base64.b64decode(printed["data"])

    def close(self):
        self.browser.close()
