"""The zygote does a few times what its kernels will do first, so that they find everything in place: a page that only a
first run writes to (caches of attributes, bytecode that adapts itself, lazily made objects) stays shared by all kernels."""
import os
import sys

import _power
from power_kernel import display, loop, settings, tracebacks

CELLS = [
    "pass",
    "1+1",
    "rehearsed = [1, 2]\nprint(rehearsed)",
    "1/0",
    "pd.DataFrame({'k': ['a', 'b'], 'v': [1, 2]}).groupby('k').v.sum()",
]
ROUNDS = 20  # bytecode has settled after 8 to 16 runs
STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
SIGNALS = (loop.signal.SIGINT, loop.signal.SIGUSR2)


def rehearse():
    """In the zygote, once, when everything is imported. Leaves nothing behind but warm caches."""
    main, environ, path = sys.modules["__main__"].__dict__, dict(os.environ), list(sys.path)
    before, base = dict(main), dict(settings.base)
    streams = [getattr(sys, name) for name in STREAMS]
    handlers = [loop.signal.getsignal(number) for number in SIGNALS]
    sys._clear_type_cache()  # entries of the imports would be replaced one by one in every kernel
    _power.rehearse(True)
    try:
        for _ in range(ROUNDS):
            play()
            sys.path[:] = path
    finally:
        _power.rehearse(False)
        for name, stream in zip(STREAMS, streams):
            setattr(sys, name, stream)
        for number, handler in zip(SIGNALS, handlers):
            loop.signal.signal(number, handler)
        for kept, was in ((main, before), (settings.base, base), (os.environ, environ)):
            kept.clear()
            kept.update(was)
        tracebacks.forget()
        display.end()


def play():
    """The way of a kernel from its fork to the end of some cells."""
    _power.rehearse_fork()
    loop.make_ready()
    session = loop.wake({"plan": {"tier": "full"}, "home": os.getcwd()})
    for number, code in enumerate(CELLS):
        loop.run(session, {"run": number}, code.encode())
