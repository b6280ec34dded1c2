"""Rich outputs as Display frames, in order with the pipes (epochs: shared/wire/PROTOCOL.md)."""
import base64
import json
import re

import _power
from power_kernel import jsonsafe

DISPLAY = 17
MAX_TEXT_PART = 4 << 20
MAX_PART = 48 << 20
# Order of preference of the parts of one output.
ORDER = [
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "image/svg", "application/pdf",
    "text/html", "text/markdown", "text/latex", "application/json", "text/plain",
]
MIME = re.compile("[!-.0-~]{1,50}/[!-~]{1,48}")  # what the server accepts; anything else breaks the connection
BINARY = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf")


class Current:
    """The run whose outputs these are; None between cells."""

    run = None
    left = 0  # bytes of displays still allowed in this run
    notes = []
    shell = None


def begin(run, limit, notes):
    Current.run, Current.left, Current.notes = run, limit, notes


def end():
    Current.run = None


def note(text):
    if text not in Current.notes and len(Current.notes) < 20:
        Current.notes.append(text)


def encoded(mime, data):
    """Bytes of one part, or None when it is not usable."""
    if mime in BINARY:
        if isinstance(data, str):
            return base64.b64decode(data)
        return bytes(data)
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if not isinstance(data, str):
        data = jsonsafe.dumps(data)
    if len(data) > MAX_TEXT_PART:
        if mime != "text/plain":
            return None
        half = MAX_TEXT_PART // 2
        data = f"{data[:half]}\n... {len(data) - 2 * half} characters left out ...\n{data[-half:]}"
    return data.encode("utf-8", "replace")


def publish(kind, data, name=None, alt=None):
    """One Display frame. Without a run, or in a forked process, its text goes to stdout instead."""
    if Current.run is None or _power.forked():
        print(data.get("text/plain") or alt or "")
        return
    parts, blobs = [], []
    data = {mime: item for mime, item in data.items() if isinstance(mime, str) and MIME.fullmatch(mime)}
    for mime in sorted(data, key=lambda m: ORDER.index(m) if m in ORDER else len(ORDER) - 1.5):
        if mime == "application/vnd.jupyter.widget-view+json" or len(parts) >= 16:
            continue
        try:
            blob = encoded(mime, data[mime])
        except Exception:
            blob = None
        if blob is None:
            note(f"An output of type {mime} was left out: too long or not valid.")
        elif len(blob) > Current.left or len(blob) > MAX_PART:
            note(f"An output of type {mime} with {len(blob)} bytes was left out: above the limit for one run.")
        else:
            Current.left -= len(blob)
            parts.append({"mime": mime, "size": len(blob)})
            blobs.append(blob)
    if not parts and not name:
        return
    meta = {"run": Current.run, "epoch": _power.mark("f"), "kind": kind, "parts": parts}
    if name:
        meta["name"] = name
    if alt:
        meta["alt"] = alt[:500].encode("utf-8", "replace").decode()
    _power.send(DISPLAY, json.dumps(meta).encode(), b"".join(blobs))


ATOMS = {int, bool, str, bytes, complex}
PLAIN = {float, list, dict, tuple, set, frozenset}


def formatted(value):
    """{mime: data} of any value by IPython's formatters; {} when it displayed itself."""
    if Current.shell is None:
        return {"text/plain": jsonsafe.text_of(value)}
    formatter = Current.shell.display_formatter
    kind = type(value)
    if kind in ATOMS or (kind is float and formatter.formatters["text/plain"].float_format == "%r"):
        return {"text/plain": repr(value)}
    if kind in PLAIN:  # the other formatters have nothing for these, and are slow to say so
        return {"text/plain": formatter.formatters["text/plain"](value)}
    data, _ = formatter.format(value)
    return data


def show(value, kind="display"):
    """display(value), or the value of a cell's last expression (kind "result")."""
    from power_kernel import figures

    if figures.is_figure(value):
        figures.capture(value)
        return
    data = formatted(value)
    if data:
        publish(kind, data)


def install_plain():
    """display() where IPython is missing."""
    import builtins

    def display(*values, **_):
        for value in values:
            show(value)

    builtins.display = display


