"""Tracebacks as a person wants them: the cell's frames with their source, libraries folded, nothing of the kernel."""
import linecache
import os
import re
import traceback

MAX_TEXT = 200_000
MAX_CELLS = 2000
MAX_SOURCE = 16 << 20
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

known = {}  # file name of a cell -> size, oldest first
total = 0


def remember(name, source):
    """Lets tracebacks and inspect find a cell's lines. The oldest cells are forgotten above the bounds."""
    lines = [line + "\n" for line in source.split("\n")]  # a line without its end would shift the carets
    linecache.cache[name] = (len(source), None, lines, name)
    global total
    total += len(source) - known.pop(name, 0)
    known[name] = len(source)
    while len(known) > MAX_CELLS or total > MAX_SOURCE:
        oldest = next(iter(known))
        total -= known.pop(oldest)
        linecache.cache.pop(oldest, None)


def forget():
    """Everything that was remembered."""
    global total
    for name in known:
        linecache.cache.pop(name, None)
    known.clear()
    total = 0


def is_users(filename):
    if filename.startswith("<cell "):
        return True
    if filename.startswith("<"):
        return False
    return os.path.abspath(filename).startswith(os.getcwd() + os.sep)


def fold(stack):
    """Drops the kernel's frames; of each stretch of library frames only the last one stays."""
    kept = []
    frames = [frame for frame in stack if not frame.filename.startswith("<power/")]
    for position, frame in enumerate(frames):
        following = frames[position + 1] if position + 1 < len(frames) else None
        if is_users(frame.filename) or following is None or is_users(following.filename):
            kept.append(frame)
    return traceback.StackSummary.from_list(kept)


def shortened(text, most):
    if len(text) <= most:
        return text
    return text[: most // 2] + "\n... shortened ...\n" + text[-most // 2 :]


def shorten_message(shown):
    """Before it is split into lines: of a message of many megabytes that takes minutes."""
    message = getattr(shown, "_str", None)
    if isinstance(message, str):
        shown._str = shortened(message, MAX_TEXT // 2)


def tidy(shown, seen):
    if shown is None or id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack = fold(shown.stack)
    shorten_message(shown)
    tidy(shown.__cause__, seen)
    tidy(shown.__context__, seen)
    for part in getattr(shown, "exceptions", None) or ():
        tidy(part, seen)


def text(error):
    """The whole traceback, plain text."""
    try:
        shown = traceback.TracebackException.from_exception(error, compact=True)
        if isinstance(error, SyntaxError) and (error.filename or "").startswith("<cell "):
            shown.stack = traceback.StackSummary.from_list([])
            lines = list(shown.format_exception_only())
        else:
            tidy(shown, set())
            lines = list(shown.format())
        out = ANSI.sub("", "".join(lines))
    except Exception as trouble:  # an exception whose own __str__ fails
        out = f"{type(error).__name__} (its traceback could not be shown: {trouble!r})\n"
    return shortened(out, MAX_TEXT)


def line(error):
    """Number of the cell line the error came from, or None."""
    if isinstance(error, SyntaxError) and (error.filename or "").startswith("<cell "):
        return error.lineno
    found = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith("<cell "):
            found = number
    return found


def message(error):
    try:
        return ANSI.sub("", str(error))[:4000]
    except Exception as trouble:
        return f"(its message could not be shown: {trouble!r})"
