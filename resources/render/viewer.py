"""A one-shot worker that looks into one file for the server: a kernel without a session, which serves one Task `look`.

The file comes as a descriptor with the task. Answers are a JSON text and pictures in one blob: 4 bytes with the length of
the text (little endian), the text, the pictures; the text's "pictures" has their sizes."""
import json
import os
import platform
import signal
import struct

import _power
from power_kernel import worker

MAX_BLOB = 30 << 20


class ViewError(Exception):
    """What went wrong, in a sentence for the one who asked."""


def answer(run, facts, pictures):
    sizes = []
    for index, (picture, _) in enumerate(pictures):
        if sum(sizes) + len(picture) > MAX_BLOB:
            facts["left_out"] = len(pictures) - index
            break
        sizes.append(len(picture))
    facts["pictures"] = [{"size": size, "type": pictures[index][1]} for index, size in enumerate(sizes)]
    text = json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")
    worker.done(run, "ok", struct.pack("<I", len(text)) + text + b"".join(pictures[index][0] for index in range(len(sizes))))


def look(meta, file, home, office_helper):
    what = meta["what"]
    if what == "table":
        from power_kernel import tables

        return tables.look(file, meta["ending"], int(meta["rows"]), meta.get("sheet") or "", home)
    from power_kernel import pages

    if what == "picture":
        return pages.picture(file, int(meta["side"]))
    return pages.look(file, meta["ending"], int(meta["first"]), int(meta["last"]), int(meta["width"]), home, office_helper)


def main(info):
    """Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["HOME"] = os.environ["TMPDIR"] = home = info["home"]
    _power.send(worker.READY, json.dumps({"pid": os.getpid(), "python": platform.python_version()}).encode(), b"")
    frame = _power.receive()
    if frame is None or frame[0] != worker.TASK:
        os._exit(0)
    meta = json.loads(frame[1])
    descriptor = _power.take_descriptor()
    try:
        if descriptor < 0:
            raise ViewError("The file did not arrive.")
        with os.fdopen(descriptor, "rb") as file:
            answer(meta["run"], *look(meta, file, home, info.get("office_helper", "")))
    except ViewError as error:
        worker.done(meta["run"], "error", name="ViewError", value=str(error))
    except MemoryError:
        worker.done(meta["run"], "error", name="MemoryError", value="The file needs more memory than a view may use.")
    except Exception as error:
        worker.done(meta["run"], "error", name=type(error).__name__, value=f"The file cannot be read as what its name says: {error}")
    _power.receive()  # until the server ends it: with the whole tree
    os._exit(0)
