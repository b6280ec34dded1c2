"""A one-shot worker that draws one plotly figure: a kernel without a session, which serves one Task `render`."""
import json
import os
import platform
import signal

import _power
from power_kernel import plotlyimage
from power_kernel.browser import BrowserError

ANSWER_DONE, READY, TASK = 18, 16, 2
SECONDS = 60.0  # to start the browser, and again to draw: one second each on an idle machine, but this is its last priority
MAX_PICTURE = 32 << 20


def done(run, status, blob=b"", name="", value=""):
    meta = {"run": run, "epoch": _power.mark("f"), "status": status, "count": 1, "variables": 0, "notes": []}
    if status != "ok":
        meta["error"] = {"name": name, "value": value[:4000]}
    _power.send(ANSWER_DONE, json.dumps(meta).encode("utf-8", "replace"), blob)


def main(info):
    """Never returns. The browser starts before the figure is there: a worker may be made in advance."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["HOME"] = os.environ["TMPDIR"] = home = info["home"]
    painter, trouble = None, ""
    _power.send(READY, json.dumps({"pid": os.getpid(), "python": platform.python_version()}).encode(), b"")
    try:
        painter = plotlyimage.Painter(home, SECONDS)
    except (BrowserError, OSError) as error:
        trouble = str(error)
    frame = _power.receive()
    if frame is None or frame[0] != TASK:
        os._exit(0)
    _, meta, figure = frame
    meta = json.loads(meta)
    try:
        if painter is None:
            raise BrowserError(trouble)
        painter.limit(SECONDS)
        size = {name: meta.get(name) for name in ("width", "height", "scale")}
        picture = painter.draw(figure.decode("utf-8", "replace"), meta["format"], **size)
        if len(picture) > MAX_PICTURE:
            raise BrowserError(f"The picture has {len(picture)} bytes, at most {MAX_PICTURE} are allowed.")
        done(meta["run"], "ok", picture)
    except Exception as error:
        done(meta["run"], "error", name=type(error).__name__, value=str(error))
    _power.receive()  # until the server ends it: with the whole tree
    os._exit(0)
