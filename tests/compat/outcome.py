"""What is compared of a cell: how it ended, what it displayed, what it printed. The rule stands in README.md."""
import re

MASKS = [
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0x"),
    (re.compile(r"^.*(Date:|Time:).*$", re.MULTILINE), "DATE"),
    (re.compile(r"\b\d+(\.\d+)?(e[-+]?\d+)? ?(s|sec|secs|seconds|ms|us|µs|ns|min|minutes)\b"), "TIME"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
]
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?")
EMPTY_FIGURE = re.compile(r"<Figure size \S+ with 0 Axes>")


def kind_of(data, metadata):
    """The richest of what a display offers: figure, html, latex or text; None: nothing to see."""
    if metadata.get("file") or any(mime.startswith(("image/", "application/vnd.plotly")) for mime in data):
        return "figure"
    if EMPTY_FIGURE.fullmatch(data.get("text/plain", "").strip()):
        return None
    for mime, kind in (("text/html", "html"), ("text/latex", "latex"), ("text/plain", "text")):
        if mime in data:
            return kind
    return None


def masked(text, places):
    for place in places:
        text = text.replace(place, "DIR")
    for pattern, stand_in in MASKS:
        text = pattern.sub(stand_in, text)
    return text.strip()


def outcome(outputs, places, stdout=None):
    """Of one cell: its outputs as a notebook keeps them, directories that differ by nature, and its whole stdout when that is
    known better than from the outputs."""
    error, kinds, texts, shown = None, [], [], None
    printed = "".join(o["text"] for o in outputs if o["output_type"] == "stream" and o["name"] == "stdout")
    for output in outputs:
        if output["output_type"] == "error":
            error = output["ename"]
        elif output["output_type"] in ("display_data", "execute_result"):
            kind = kind_of(output["data"], output.get("metadata", {}))
            picture = output["data"].get("image/png")
            if output["output_type"] == "execute_result":
                shown = picture
            elif picture and picture == shown:
                continue
            if kind:
                kinds.append(kind)
            if kind in ("text", "html", "latex"):
                texts.append(output["data"].get("text/plain", ""))
    return {"error": error, "kinds": kinds, "text": masked("\n".join([printed if stdout is None else stdout, *texts]), places)}


def differences(ours, theirs, numbers_too=True):
    """[(number of the cell, what differs, ours, theirs)]; without numbers only what is not a number counts in texts."""
    found = []
    for number, (one, other) in enumerate(zip(ours, theirs), 1):
        for what in ("error", "kinds", "text"):
            mine, jupyter = one[what], other[what]
            if what == "text" and not numbers_too:
                mine, jupyter = (re.sub(r"\s+", "", NUMBER.sub("#", text)) for text in (mine, jupyter))
            if mine != jupyter:
                found.append((number, what, mine, jupyter))
    return found
