"""Questions to the server in the middle of a cell (frames Ask and Answer of shared/wire/PROTOCOL.md)."""
import json
import sys
import threading

import _power
from power_kernel import display

ANSWER, ASK = 3, 19
SECONDS = 86_400.0  # the server's own limits and that of the run end first and say why
SLICE = 0.1  # a thread looks that often whether its cell still runs


class Refused(RuntimeError):
    """The server's answer was no; the text is for the reader of the traceback."""


person = {"there": False}  # in this run


def read_line(prompt="", /):
    """input() of a cell: the line of the person behind the client, where there is one."""
    text = str(prompt)
    if not person["there"]:
        raise EOFError("input() is not available: nobody is at a keyboard. Put the value into the code.")
    sys.stdout.write(text)
    sys.stdout.flush()
    try:
        line = ask("input", prompt=text[:2000]).decode("utf-8", "replace")
    except Refused as refusal:
        sys.stdout.write("\n")
        raise EOFError(f"input() got no answer: {refusal}") from None
    sys.stdout.write(line + "\n")  # the log reads as a terminal would
    return line


class State:
    last = 0
    lock = threading.Lock()  # one question at a time: its holder reads the answers
    owner = None


def may_ask():
    """The run that may ask now."""
    if _power.forked():
        raise Refused("A process started by the session cannot do this: only the session's own process has a way to the server.")
    run = display.Current.run
    if run is None:
        raise Refused("This works only while a cell runs.")
    return run


def ask(what, blob=b"", **fields):
    """Bytes of the server's answer. Waits; an interrupt of the cell ends the wait. Other threads than the cell's own may
    ask too, one after the other, as long as the cell runs."""
    run = may_ask()
    with State.lock:
        State.owner = threading.get_ident()
        return ask_now(run, what, blob, fields)


def ask_now(run, what, blob, fields):
    seconds = SECONDS if threading.current_thread() is threading.main_thread() else SLICE
    still_asked(run)
    State.last += 1
    number = State.last
    _power.send(ASK, json.dumps({"run": run, "ask": number, "what": what, **fields}).encode(), blob)
    while True:
        try:
            frame = _power.receive_within(seconds)
        except TimeoutError:
            still_asked(run)
            continue
        if frame is None:
            raise ConnectionError("the server has closed this kernel's connection")
        kind, meta, answer = frame
        meta = json.loads(meta)
        if kind != ANSWER or meta.get("ask") != number:
            continue  # of a question that was interrupted
        if meta.get("ok"):
            return answer
        raise Refused(meta.get("error") or "the server refused without a reason")


def still_asked(run):
    if display.Current.run != run:
        raise Refused("The cell that asked has ended.")


def settle():
    """The cell has ended (display.end() was called): no thread reads from the connection any more after this."""
    while not State.lock.acquire(timeout=2):
        if State.owner == threading.get_ident():  # its own wait was torn apart by the hard interrupt
            break
    State.lock = threading.Lock()


def call(tool, values):
    """What the operation `tool` of the server answers, from JSON."""
    text = json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(ask("call", text, tool=tool))["value"]


def tell(done, total, text):
    """How far the cell is: no answer comes, and when nobody can hear it nothing happens."""
    run = display.Current.run
    if run is not None and not _power.forked():
        meta = {"run": run, "ask": 0, "what": "progress", "done": done, "total": total, "text": text}
        _power.send(ASK, json.dumps(meta).encode(), b"")
