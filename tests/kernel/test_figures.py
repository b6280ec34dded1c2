import json
import os
import struct
import unittest
from threading import Timer

from base import KernelTest


def size(png):
    return struct.unpack(">II", png[16:24])


class Figures(KernelTest):
    def names(self, answer):
        return [frame.get("name") for frame in answer.displays("figure")]

    def test_open_shown_and_several(self):
        answer = self.ok("plt.plot([1, 2]); plt.title('Sales')")
        self.assertEqual(self.names(answer), ["chart_001.png"])
        frame = answer.displays("figure")[0]
        with open(os.path.join(self.kernel.workspace, "chart_001.png"), "rb") as file:
            self.assertEqual(file.read(), frame["data"]["image/png"])
        self.assertGreater(size(frame["data"]["image/png"])[0], 700)
        self.assertEqual(frame["alt"], "Chart: Sales")
        answer = self.ok("plt.plot([1]); plt.show()\nprint('between')\nfig, ax = plt.subplots(); ax.bar([1], [2])\nplt.figure(); plt.plot([3])")
        self.assertEqual(self.names(answer), ["chart_002.png", "chart_003.png", "chart_004.png"])
        kinds = [kind if kind != "frame" else item["kind"] for kind, item in answer.outputs]
        self.assertEqual(kinds[:2], ["figure", "stdout"])
        self.assertEqual(self.ok("plt.get_fignums()").result, "[]")

    def test_after_error_and_no_leak(self):
        answer = self.fails("plt.plot([1, 2])\n1/0", "ZeroDivisionError")
        self.assertEqual(self.names(answer), ["chart_001.png"])
        self.assertEqual(self.names(self.ok("print(1)")), [])

    def test_figure_as_value_once(self):
        answer = self.ok("fig, ax = plt.subplots()\nax.plot([1])\nfig")
        self.assertEqual(self.names(answer), ["chart_001.png"])
        self.assertEqual(answer.displays("result"), [])
        self.assertEqual(self.names(self.ok("fig")), ["chart_002.png"])
        self.assertEqual(self.names(self.ok("display(fig)")), ["chart_003.png"])
        self.assertEqual(self.names(self.ok("fig.show()")), ["chart_004.png"])

    def test_names_are_never_reused(self):
        open(os.path.join(self.kernel.workspace, "chart_007.png"), "w").close()
        self.assertEqual(self.names(self.ok("plt.plot([1])")), ["chart_008.png"])
        self.ok("import os; os.remove('chart_008.png')")
        self.assertEqual(self.names(self.ok("os.chdir('/'); plt.plot([1])")), ["chart_009.png"])
        self.assertTrue(os.path.exists(os.path.join(self.kernel.workspace, "chart_009.png")))

    def test_empty_figure_and_backend(self):
        self.assertEqual(self.names(self.ok("plt.figure();")), [])
        self.assertEqual(self.names(self.ok("import matplotlib\nmatplotlib.use('Agg')\nplt.plot([1])\nplt.show()\nplt.close('all')")),
                         ["chart_001.png"])
        self.assertEqual(self.names(self.ok("pd.Series([1, 2]).plot()\nplt.savefig('own.png');")), ["chart_002.png"])

    def test_huge_figure_is_bounded(self):
        answer = self.ok("plt.figure(figsize=(100, 100)); plt.plot([1])")
        width, height = size(answer.displays("figure")[0]["data"]["image/png"])
        self.assertLess(width * height, 20_000_000)

    def test_plotly(self):
        if self.kernel.run("import plotly").done["status"] != "ok":
            self.plotly_stand_in()
        answer = self.ok("import plotly.graph_objects as go\nf = go.Figure(go.Bar(y=[1, 2]))\nf.show()")
        self.assertEqual(self.names(answer), ["chart_001.html"])
        answer = self.ok("f")
        self.assertEqual(self.names(answer), ["chart_002.html"])
        with open(os.path.join(self.kernel.workspace, "chart_002.html")) as file:
            self.assertIn("<html", file.read())

    def test_plotly_image_is_asked_for(self):
        self.ok("import plotly.graph_objects as go\nf = go.Figure(go.Bar(y=[1, 2]), layout={'width': 320})")
        answer = self.ok("f.show()")
        self.assertIn("no browser here", str(answer.done["notes"]))
        self.kernel.reply = lambda meta, blob: (True, "", b"picture of %d bytes" % len(blob))
        frame = self.ok("f").displays("figure")[0]
        self.assertTrue(frame["data"]["image/png"].startswith(b"picture of"))
        self.assertEqual(self.kernel.asked[-1][0]["what"], "render")
        self.assertEqual(json.loads(self.kernel.asked[-1][1])["data"][0]["y"], [1, 2])
        self.ok("f.write_image('own.pdf', height=200, scale=2)")
        meta = self.kernel.asked[-1][0]
        self.assertEqual([meta["format"], meta["width"], meta["height"], meta["scale"]], ["pdf", 320, 200, 2])
        with open(os.path.join(self.kernel.workspace, "own.pdf"), "rb") as file:
            self.assertTrue(file.read().startswith(b"picture of"))
        self.assertIn("picture of", self.ok("f.to_image('svg')").result)
        self.ok("import kaleido, plotly.io\nkaleido.write_fig_sync(f, path='k.png')\nplotly.io.write_images(f, 'i.jpg')\n"
                "assert open('k.png').read().startswith('picture') and open('i.jpg').read().startswith('picture')")
        self.fails("f.write_image('x.gif')", "ValueError")
        self.kernel.reply = lambda meta, blob: (False, "no browser here", b"")
        self.assertIn("no browser here", self.fails("f.write_image('x.png')", "Refused").done["error"]["value"])
        self.kernel.reply = lambda meta, blob: (True, "", b"for a thread")
        self.assertEqual(self.ok("from concurrent.futures import ThreadPoolExecutor as T\n"
                                 "T(1).submit(f.to_image).result()").result, "b'for a thread'")

    def test_interrupt_while_asking(self):
        self.ok("import plotly.graph_objects as go\nf = go.Figure(go.Bar(y=[1, 2]))")
        self.kernel.reply = lambda meta, blob: Timer(0.2, self.kernel.interrupt).start()
        self.kernel.start("f.to_image()")
        answer = self.kernel.finish()
        self.assertEqual(answer.done["status"], "interrupted")
        # The answer that comes too late is passed over.
        late = self.kernel.asked[-1][0]["ask"]
        self.kernel.frames.send(3, {"ask": late, "ok": True}, b"late")
        self.kernel.reply = lambda meta, blob: (True, "", b"in time")
        self.assertEqual(self.ok("f.to_image()").result, "b'in time'")

    def plotly_stand_in(self):
        """The smallest package with plotly's shape, where the real one is not installed: tests the import hook."""
        root = os.path.join(self.kernel.workspace, "plotly")
        os.makedirs(root)
        files = {
            "__init__.py": "",
            "basedatatypes.py": "class BaseFigure:\n    layout = None\n    def to_html(self, **_): return '<html></html>'\n",
            "graph_objects.py": "from plotly.basedatatypes import BaseFigure\nclass Figure(BaseFigure):\n"
                                "    def __init__(self, *_): pass\ndef Bar(**_): return None\n",
        }
        for name, text in files.items():
            with open(os.path.join(root, name), "w") as file:
                file.write(text)


if __name__ == "__main__":
    unittest.main()
