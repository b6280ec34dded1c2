"""sys.stdout and sys.stderr of a kernel: text over the marked pipes (Output.cpp)."""
import io
import sys

import _power


class Pipe(io.RawIOBase):
    def __init__(self, descriptor, write):
        super().__init__()
        self._descriptor = descriptor
        self.write = write  # the C function itself: no Python frame per print
        self.name = "<stdout>" if descriptor == 1 else "<stderr>"
        self.mode = "wb"

    def writable(self):
        return True

    def fileno(self):
        return self._descriptor

    def isatty(self):
        return False

    def close(self):
        """User code that closes sys.stdout must not end the session's output."""


class Text(io.TextIOWrapper):
    def close(self):
        pass


def text(descriptor, write):
    return Text(Pipe(descriptor, write), "utf-8", errors="backslashreplace", newline="\n", write_through=True)


def install():
    """Sets the three standard streams. Again before every cell, in case a cell replaced and lost them."""
    sys.stdout = sys.__stdout__ = text(1, _power.write_out)
    sys.stderr = sys.__stderr__ = text(2, _power.write_err)
    sys.stdin = sys.__stdin__ = open(0, "r", closefd=False)
    return sys.stdout, sys.stderr


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


