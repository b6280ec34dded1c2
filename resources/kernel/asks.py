"""Questions to the server in the middle of a cell (frames Ask and Answer of shared/wire/PROTOCOL.md)."""
import json
import sys
import threading

import _power
from power_kernel import display

ANSWER, ASK = 3, 19
SECONDS = 270.0  # above the server's own limits: they end first and say why


class Refused(RuntimeError):
    """The server's answer was no; the text is for the reader of the traceback."""


counter = {"last": 0}
PATIENCE = 86_400.0  # the server answers before: with the line, or with why there is none
person = {"there": False}  # in this run


def read_line(prompt="", /):
    """input() of a cell: the line of the person behind the client, where there is one."""
    text = str(prompt)
    if not person["there"]:
        raise EOFError("input() is not available: nobody is at a keyboard. Put the value into the code.")
    sys.stdout.write(text)
    sys.stdout.flush()
    try:
        line = ask("input", seconds=PATIENCE, prompt=text[:2000]).decode("utf-8", "replace")
    except Refused as refusal:
        sys.stdout.write("\n")
        raise EOFError(f"input() got no answer: {refusal}") from None
    sys.stdout.write(line + "\n")  # the log reads as a terminal would
    return line


def ask(what, blob=b"", seconds=SECONDS, **fields):
    """Bytes of the server's answer. Waits; an interrupt of the cell ends the wait. Main thread of a cell only."""
    if _power.forked():
        raise Refused("A process started by the session cannot do this: only the session's own process has a way to the server.")
    if threading.current_thread() is not threading.main_thread():
        raise Refused("Another thread than the main one cannot do this: call it in the cell itself, after the threads are done.")
    if display.Current.run is None:
        raise Refused("This works only while a cell runs.")
    counter["last"] += 1
    number = counter["last"]
    meta = {"run": display.Current.run, "ask": number, "what": what, **fields}
    _power.send(ASK, json.dumps(meta).encode(), blob)
    while True:
        frame = _power.receive_within(seconds)
        if frame is None:
            raise ConnectionError("the server has closed this kernel's connection")
        kind, meta, answer = frame
        meta = json.loads(meta)
        if kind != ANSWER or meta.get("ask") != number:
            continue  # of a question that was interrupted
        if meta.get("ok"):
            return answer
        raise Refused(meta.get("error") or "the server refused without a reason")
